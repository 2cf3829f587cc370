package health

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
)

var tenths = []float64{0.1, 0.2, 0.3, 0.4, 0.5, 1}

func hist(counts ...int64) *Histogram { return &Histogram{Counts: counts} }

// slow is a side of n requests of which the given number took between 0.4 and 0.5 s, the others under 0.2 s.
func slow(n, over int64) *Histogram { return hist(0, n-over, 0, 0, over, 0, 0) }

func beside(canary, stable *Histogram) HistogramSample {
	return HistogramSample{Bounds: tenths, Canary: canary, Stable: stable}
}

func TestQuantileVerdict(t *testing.T) {
	many := func(n int, s HistogramSample) []HistogramSample {
		return slices.Repeat([]HistogramSample{s}, n)
	}
	for _, tc := range []struct {
		name    string
		gate    Gate
		samples []HistogramSample
		want    Verdict
		stopped *int
		reason  string // in the first reason
		noData  bool
	}{
		{"no samples", Gate{}, nil, Hold, nil, "no data yet: 672 canary requests are needed", true},
		{"without data", Gate{}, many(3, HistogramSample{}), Hold, nil, "no data yet", true},
		{"no canary", Gate{}, many(3, beside(nil, slow(1000, 5))), Hold, nil, "no canary requests yet", true},
		{"canary without requests", Gate{}, many(3, beside(slow(0, 0), slow(1000, 5))), Hold, nil, "no canary requests yet", false},
		{"no stable", Gate{}, many(9, beside(slow(1000, 5), nil)), Hold, nil, "0 of 9000 canary requests had stable beside them", true},
		{"no stable, no floor", Gate{MinRequests: ptr(int64(0))}, many(9, beside(slow(10, 0), nil)), Hold, nil, "0 of 90 canary requests had stable", true},
		{"too few to bound a p99", Gate{MinRequests: ptr(int64(0))}, many(6, beside(slow(100, 0), slow(900, 0))), Hold, nil, "600 canary requests, 672 are needed, 72 more", false},
		{"a median takes fewer", Gate{Quantile: 0.5, MinRequests: ptr(int64(0))}, many(6, beside(slow(10, 0), slow(90, 0))), Pass, nil, "Traffic suffices: 60 canary requests", false},
		{"alike", Gate{}, many(10, beside(slow(1000, 5), slow(1000, 5))), Pass, nil, "Traffic suffices: 10000 canary requests, 672 are needed", false},
		{"better", Gate{}, many(10, beside(slow(1000, 0), slow(1000, 50))), Pass, nil, "Traffic suffices", false},
		{"worse", Gate{}, many(10, beside(slow(1000, 50), slow(1000, 5))), Fail, ptr(5), "p99: the canary's, 0.5 s (0.4 to 0.5), is higher than stable's, 0.2 s (0.1 to 0.2): evidence", false},
		{"worse, in one sample", Gate{}, many(1, beside(slow(10_000, 2000), slow(10_000, 10))), Fail, ptr(0), "is higher than stable's", false},
		{"worse, beyond all bounds", Gate{}, many(1, beside(hist(800, 0, 0, 0, 0, 0, 200), slow(1000, 0))), Fail, ptr(0), "p99: the canary's, beyond the largest bound, is higher than", false},
		{"all in one bucket", Gate{}, many(9, HistogramSample{Canary: hist(1000), Stable: hist(1000)}), Hold, nil, "may be as high as you like", false},
		{"worse, but allowed", Gate{MaxRatio: 5}, many(10, beside(slow(1000, 50), slow(1000, 5))), Pass, nil, "Traffic suffices", false},
		{"worse, little by little", Gate{}, many(60, beside(slow(10, 1), slow(190, 1))), Fail, ptr(30), "0.5 s (0.4 to no bound), is higher than stable's", false},
		{"too little on stable", Gate{}, many(10, beside(slow(1000, 5), slow(10, 0))), Hold, nil, "on stable: 100 requests beside the canary's, 672 are needed, 572 more", false},
		{"beyond all bounds", Gate{}, many(10, beside(hist(900, 0, 0, 0, 0, 0, 100), hist(900, 0, 0, 0, 0, 0, 100))), Hold, nil, "canary's p99 may be as high as you like", false},
		{"stable's beyond all bounds", Gate{}, many(10, beside(slow(1000, 0), hist(900, 0, 0, 0, 0, 0, 100))), Hold, nil, "Stable's p99 may be as high as you like", false},
		{"over the limit, both", Gate{Max: ptr(0.3)}, many(10, beside(slow(1000, 50), slow(1000, 50))), Fail, ptr(0), "over the limit of 0.3 s, with 5 % (50 of 1000)", false},
		{"over the limit, alone", Gate{Compare: CompareNone, Max: ptr(0.3)}, many(10, beside(slow(100, 5), nil)), Fail, ptr(1), "over the limit of 0.3 s", false},
		{"a limit within a bucket", Gate{Compare: CompareNone, Max: ptr(0.45)}, many(10, beside(slow(1000, 50), nil)), Pass, nil, "Traffic suffices", false},
		{"under the limit, alone", Gate{Compare: CompareNone, Max: ptr(0.5)}, many(10, beside(slow(1000, 50), nil)), Pass, nil, "Traffic suffices", false},
		{"a limit beyond all bounds", Gate{Compare: CompareNone, Max: ptr(2.0)}, many(10, beside(hist(900, 0, 0, 0, 0, 0, 100), nil)), Hold, nil, "as high as you like", false},
		{"silent at last", Gate{}, append(many(2, beside(slow(100, 0), slow(100, 0))), HistogramSample{}), Hold, nil, "200 canary requests, 672 are needed", true},
		{"a wrong gate", Gate{Quantile: 2}, many(10, beside(slow(1000, 50), slow(1000, 5))), Hold, nil, "gate.quantile: got 2", true},
		{"a wrong sample", Gate{}, many(10, beside(hist(1), slow(1000, 5))), Hold, nil, "samples[0].canary: got 1 counts, expected 7", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.gate.Signal = SignalQuantile
			j := JudgeQuantile(tc.gate, tc.samples)
			if j.Verdict != tc.want || !cmp.Equal(j.StoppedAt, tc.stopped) || j.NoData != tc.noData || !strings.Contains(j.Reasons[0], tc.reason) {
				t.Errorf("got %s at %v, no data %v: %q", j.Verdict, j.StoppedAt, j.NoData, j.Reasons)
			}
			mustJSON(t, j)
		})
	}
}

// Traffic that moves: the canary has most of it when everything is slow. Its p99 is higher for that alone, which its bands show
// and the comparison sample by sample does not.
func TestQuantileWhenTrafficMoves(t *testing.T) {
	var samples []HistogramSample
	for range 10 {
		samples = append(samples, beside(slow(1000, 50), slow(100, 5)), beside(slow(100, 0), slow(1000, 0)))
	}
	j := JudgeQuantile(Gate{Signal: SignalQuantile}, samples)
	ev := j.Evidence.Quantile
	if j.Verdict != Pass || *ev.Canary.Lower < *ev.Stable.Upper || ev.BandsE < 100 || ev.PairsE > 1 || !strings.Contains(strings.Join(j.Reasons, " "), "sample by sample evidence is") {
		t.Errorf("%+v, %+v", j, ev)
	}
}

// Evidence is no more than what is there in whatever bucket stable's quantile is, and the bands being apart is enough.
func TestQuantileEvidence(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	apart := 0
	for range 300 {
		gate := Gate{Signal: SignalQuantile, Quantile: []float64{0.5, 0.9, 0.99}[r.IntN(3)], MaxRatio: []float64{0.7, 1, 1.3, 2}[r.IntN(4)]}
		q := NewQuantile(gate)
		for range 1 + r.IntN(3) {
			var bounds []float64
			for k := range 40 {
				if r.IntN(3) > 0 {
					bounds = append(bounds, 0.01*math.Pow(2, float64(k)/4))
				}
			}
			draw := func(factor float64) *Histogram {
				h := &Histogram{Counts: make([]int64, len(bounds)+1)}
				for range 1 + r.IntN(3000) {
					at, _ := slices.BinarySearch(bounds, factor*math.Exp(0.6*r.NormFloat64()))
					h.Counts[at]++
				}
				return h
			}
			if err := q.Add(HistogramSample{Bounds: bounds, Canary: draw(math.Exp(r.NormFloat64())), Stable: draw(1)}); err != nil {
				t.Fatal(err)
			}
		}
		least := math.Inf(1)
		for k := range len(q.grid.bounds) + 1 {
			c, s := q.against(k)
			least = min(least, c+s)
		}
		if got := q.bandsEvidence(math.Inf(-1)); got != least {
			t.Fatalf("evidence %v, the least is %v", got, least)
		}
		c, s := q.band(q.grid.sides[0]), q.band(q.grid.sides[1])
		if c.Lower != nil && s.Upper != nil && *c.Lower >= gate.MaxRatio**s.Upper {
			apart++
			if least < q.threshold()-1e-9 {
				t.Fatalf("the bands are apart and the evidence is %v", least)
			}
		}
		for _, b := range []Bounds{c, s} {
			if b.Lower != nil && b.Estimate != nil && *b.Lower >= *b.Estimate || b.Upper != nil && (b.Estimate == nil || *b.Upper < *b.Estimate) {
				t.Fatalf("%s", b.words())
			}
		}
	}
	if apart < 20 {
		t.Errorf("only %d cases with bands apart", apart)
	}
}

// Samples whose bounds differ are added up so that what is certain stays so.
func TestGridWithOtherBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 100 {
		g := grid{ratio: 1}
		var values []float64
		for range 4 {
			bounds := make([]float64, r.IntN(6))
			for i := range bounds {
				bounds[i] = float64(r.IntN(30))
			}
			slices.Sort(bounds)
			bounds = slices.Compact(bounds)
			h := &Histogram{Counts: make([]int64, len(bounds)+1)}
			for range 20 {
				v := float64(r.IntN(3100)) / 100
				at, _ := slices.BinarySearch(bounds, v)
				h.Counts[at]++
				values = append(values, v)
			}
			g.add(bounds, h, nil)
			g.keep()
		}
		for k, b := range g.bounds {
			over := int64(0)
			for _, v := range values {
				if v > b {
					over++
				}
			}
			if s := g.sides[0]; s.sure[k] > over || s.most[k] < over || s.n != int64(len(values)) || g.sides[1].most[k] != 0 {
				t.Fatalf("%d of %d are over %v, the grid has %d to %d", over, len(values), b, s.sure[k], s.most[k])
			}
		}
	}
}

func TestQuantileRefusesSamples(t *testing.T) {
	for want, s := range map[string]HistogramSample{
		"bounds[1]: got 0.1 after 0.2":         {Bounds: []float64{0.2, 0.1}, Canary: hist(1, 1, 1)},
		"bounds[0]: got -1":                    {Bounds: []float64{-1}, Canary: hist(1, 1)},
		"bounds[0]: got NaN":                   {Bounds: []float64{math.NaN()}, Canary: hist(1, 1)},
		"bounds[0]: got +Inf":                  {Bounds: []float64{math.Inf(1)}, Canary: hist(1, 1)},
		"bounds: got 1001":                     {Bounds: make([]float64, 1001)},
		"canary: got 1 counts, expected 2":     {Bounds: []float64{1}, Canary: hist(1)},
		"stable[0]: got -1":                    {Bounds: []float64{1}, Stable: hist(-1, 1)},
		"stable[1]: got 1000000000000":         {Bounds: []float64{1}, Stable: hist(1, MaxCount)},
		"canary: 1000000000001 requests with":  {Canary: hist(MaxCount)},
		"stable: 1000000000001 requests with ": {Stable: hist(MaxCount)},
	} {
		q := NewQuantile(Gate{Signal: SignalQuantile})
		if err := q.Add(HistogramSample{Canary: hist(1), Stable: hist(1)}); err != nil {
			t.Fatal(err)
		}
		before := q.Judgement()
		if err := q.Add(s); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
		if d := cmp.Diff(before, q.Judgement()); d != "" {
			t.Errorf("%q: a refused sample counts: %s", want, d)
		}
	}
	q := NewQuantile(Gate{Signal: SignalQuantile})
	for i := range 6 { // each with bounds of its own
		h := &Histogram{Counts: make([]int64, MaxBounds+1)}
		h.Counts[i] = 1
		bounds := make([]float64, MaxBounds)
		for k := range bounds {
			bounds[k] = float64(k) + float64(i)/10
		}
		if err := q.Add(HistogramSample{Bounds: bounds, Canary: h}); (err != nil) != (i >= 4) {
			t.Errorf("sample %d: %v", i, err)
		}
	}
}

// Fail is final, and what comes later changes nothing.
func TestQuantileFailIsFinal(t *testing.T) {
	q := NewQuantile(Gate{Signal: SignalQuantile, Max: ptr(0.3)})
	_ = q.Add(beside(slow(1000, 50), slow(1000, 5)))
	first := q.Judgement()
	for range 10 {
		_ = q.Add(beside(slow(1000, 0), slow(1000, 50)))
	}
	if d := cmp.Diff(first, q.Judgement()); d != "" || first.Verdict != Fail {
		t.Errorf("%s: %s", first.Verdict, d)
	}
}
