package health

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func distributionGates() *rapid.Generator[DistributionGate] {
	return rapid.Custom(func(t *rapid.T) DistributionGate {
		return DistributionGate{
			Compare:     CompareDistribution,
			Direction:   rapid.SampledFrom([]string{"", DirectionIncrease, DirectionDecrease, DirectionEither}).Draw(t, "direction"),
			NaNStrategy: rapid.SampledFrom([]string{"", strategyReplace}).Draw(t, "nanStrategy"),
			Novel:       rapid.SampledFrom([]string{"", string(Hold), actIgnore}).Draw(t, "novel"),
			Alpha:       rapid.SampledFrom([]float64{0, minAlpha, 0.05, 0.5}).Draw(t, "alpha"),
			MaxRatio:    rapid.SampledFrom([]float64{0, 1, 1.25}).Draw(t, "maxRatio"),
		}
	})
}

// points draws values with many ties, or none, or only one, and gaps.
func points(n int) *rapid.Generator[[]float64] {
	return rapid.Custom(func(t *rapid.T) []float64 {
		value := rapid.SampledFrom([]*rapid.Generator[float64]{rapid.Just(3.0), rapid.Float64Range(0, 100),
			rapid.Map(rapid.IntRange(0, 3), func(i int) float64 { return float64(i) })}).Draw(t, "kind")
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 {
			if rapid.IntRange(0, 9).Draw(t, "gap") == 0 {
				return gap
			}
			return value.Draw(t, "value")
		}), n, n).Draw(t, "values")
	})
}

func fold(g DistributionGate, s Series) *sequence {
	q := newSequence(defaultsOf(g))
	for i := range s.Canary {
		q.Add(s.Canary[i], s.Stable[i])
	}
	return q
}

// The guarantee itself, exactly: over all ways to say which value of each window is the canary's, evidence is 1 on
// average, so nothing can be won when the two sides are exchangeable. No distribution, no large numbers are assumed.
func TestNothingIsWonByChance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "windows")
		g := distributionGates().Draw(t, "gate")
		g.Alpha, g.MaxRatio, g.Novel, g.NaNStrategy = minAlpha, 1, actIgnore, "" // never stops
		a, b := points(n).Draw(t, "a"), points(n).Draw(t, "b")
		sum := 0.0
		for swaps := range 1 << n {
			s := Series{Canary: append([]float64{}, a...), Stable: append([]float64{}, b...)}
			for i := range n {
				if swaps>>i&1 == 1 {
					s.Canary[i], s.Stable[i] = s.Stable[i], s.Canary[i]
				}
			}
			sum += math.Exp(fold(g, s).value())
		}
		if mean := sum / float64(int(1)<<n); math.Abs(mean-1) > 1e-9 {
			t.Fatalf("on average evidence is %v", mean)
		}
	})
}

// Whatever comes: a prefix is judged as it was, fail is final and freezes the evidence, a pass rests on enough windows,
// and asking changes nothing.
func TestSequencesAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := distributionGates().Draw(t, "gate")
		n := rapid.IntRange(0, 40).Draw(t, "windows")
		s := Series{Canary: points(n).Draw(t, "canary"), Stable: points(n).Draw(t, "stable")}
		q := newSequence(defaultsOf(g))
		failed := ""
		for i := range n {
			q.Add(s.Canary[i], s.Stable[i])
			j := q.Judgement()
			now := write(t, j)
			switch {
			case write(t, q.Judgement()) != now:
				t.Fatalf("asked twice: %s, then %s", now, write(t, q.Judgement()))
			case write(t, fold(g, Series{s.Canary[:i+1], s.Stable[:i+1]}).Judgement()) != now:
				t.Fatal("folded again, it is another judgement")
			case failed != "" && now != failed:
				t.Fatalf("after a fail nothing changes: %s, then %s", failed, now)
			case (j.Verdict == Fail) != (j.StoppedAt != nil) || j.Verdict == Fail && failed == "" && *j.StoppedAt != i:
				t.Fatalf("a fail names its window, here %d: %s", i, now)
			case j.Verdict == Pass && j.Evidence.Windows < *j.Gate.MinWindows:
				t.Fatalf("passed on too little: %s", now)
			}
			if j.Verdict == Fail {
				failed = now
			}
		}
	})
}

// Upside down, an increase is a decrease; and which is the canary does not matter to whether the two are alike.
func TestDirectionsAreSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "windows")
		a, b := points(n).Draw(t, "a"), points(n).Draw(t, "b")
		value := func(direction string, canary, stable []float64) float64 {
			return fold(DistributionGate{Direction: direction, Alpha: minAlpha, Novel: actIgnore}, Series{canary, stable}).value()
		}
		if up, down := value(DirectionIncrease, a, b), value(DirectionDecrease, negative(a), negative(b)); !near(up, down) {
			t.Fatalf("increase %v, decrease upside down %v", up, down)
		}
		if there, back := value(DirectionEither, a, b), value(DirectionEither, negative(a), negative(b)); !near(there, back) {
			t.Fatalf("%v, upside down %v", there, back)
		}
		there, back := alike{}, alike{}
		for i := range n {
			if !math.IsNaN(a[i]) && !math.IsNaN(b[i]) {
				there.add(a[i], b[i])
				back.add(b[i], a[i])
			}
		}
		if !near(there.value(), back.value()) {
			t.Fatalf("%v, with the sides swapped %v", there.value(), back.value())
		}
	})
}

func negative(values []float64) (all []float64) {
	for _, v := range values {
		all = append(all, -v)
	}
	return all
}

// With a direction only the order of values counts: another unit, or another scale, changes nothing. Kayenta's method
// depends on units.
func TestUnitsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "windows")
		whole := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 1000), func(i int) float64 { return float64(i) }), n, n)
		a, b := whole.Draw(t, "a"), whole.Draw(t, "b")
		g := DistributionGate{Direction: DirectionIncrease, Alpha: minAlpha, Novel: actIgnore}
		cubes := func(values []float64) (all []float64) {
			for _, v := range values {
				all = append(all, math.Ldexp(v*v*v, -40))
			}
			return all
		}
		if plain, curved := fold(g, Series{a, b}).value(), fold(g, Series{cubes(a), cubes(b)}).value(); plain != curved {
			t.Fatalf("%v, on another scale %v", plain, curved)
		}
	})
	small, large := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(1, 2))
	for range 20 {
		a, b := series(small, 60, 0x1p-20, 1.2), series(large, 60, 1, 1.2)
		if x, y := judge(DistributionGate{}, a.Canary, a.Stable), judge(DistributionGate{}, b.Canary, b.Stable); x.Verdict != Fail || y.Verdict != Fail || !near(x.Evidence.E, y.Evidence.E) {
			t.Errorf("in millionths %s %v, in whole %s %v", x.Verdict, x.Evidence.E, y.Verdict, y.Evidence.E)
		}
	}
}

// series are n windows of a metric of the given size with a spread of a tenth, the canary's times ratio.
func series(r *rand.Rand, n int, size, ratio float64) (s Series) {
	for range n {
		s.Canary = append(s.Canary, size*ratio*(1+0.1*r.NormFloat64()))
		s.Stable = append(s.Stable, size*(1+0.1*r.NormFloat64()))
	}
	return s
}

// novelByChance is the chance that the rule for a level that stable never leaves takes back a canary which leaves it in
// any window with the same chance as stable does, independently.
func novelByChance(leaves float64, windows int) float64 {
	alive := []float64{1} // by windows that the canary left it in; stable never did, and the rule did not apply yet
	caught := 0.0
	for n := 1; n <= windows; n++ {
		next := make([]float64, n+1)
		for k, p := range alive {
			next[k] += p * (1 - leaves) * (1 - leaves)
			next[k+1] += p * (1 - leaves) * leaves
		}
		for k := range next {
			if n >= novelWindows && 2*k >= n {
				caught += next[k]
				next[k] = 0
			}
		}
		alive = next
	}
	return caught
}

// What the documentation says the rule costs.
func TestWhatTheNovelRuleCosts(t *testing.T) {
	worst, where := 0.0, 0.0
	for leaves := 0.005; leaves < 1; leaves += 0.005 {
		if p := novelByChance(leaves, 200); p > worst {
			worst, where = p, leaves
		}
	}
	t.Logf("worst: %.4f where %.3f of windows leave it; where 0.01 do %.6f, 0.05 %.5f, 0.1 %.5f", worst, where,
		novelByChance(0.01, 200), novelByChance(0.05, 200), novelByChance(0.1, 200))
	if worst > 0.034 || novelByChance(0.05, 200) > 0.002 || novelByChance(0.01, 200) > 0.00002 {
		t.Error("the rule costs more than is documented")
	}
	fails, runs := 0, 4000
	for i := range runs {
		r := rand.New(rand.NewPCG(7, uint64(i)))
		q := newSequence(defaultsOf(DistributionGate{Alpha: minAlpha}))
		for range 40 {
			var v [2]float64
			for side := range v {
				if r.Float64() < where {
					v[side] = 1
				}
			}
			if q.Add(v[0], v[1]); q.stopped != nil {
				fails++
				break
			}
		}
	}
	if got, want := float64(fails)/float64(runs), novelByChance(where, 40); math.Abs(got-want) > 0.012 { // four standard errors
		t.Errorf("simulated %v, computed %v", got, want)
	}
}
