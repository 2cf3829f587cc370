package experiment

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The numbers of GrowthBook's packages/shared/test/experiments.test.ts, in the order in which the p-values were given.
func TestPublishedAdjustments(t *testing.T) {
	for _, c := range []struct {
		how       Correction
		raw, want []float64
	}{
		{Holm, []float64{0.01, 0.04, 0.03, 0.005, 0.55, 0.6}, []float64{0.05, 0.12, 0.12, 0.03, 1, 1}},
		{Holm, []float64{0.025, 0.03}, []float64{0.05, 0.05}},
		{BenjaminiHochberg, []float64{0.898, 0.138, 0.007, 0.964, 0.538, 0.006, 0.138}, []float64{0.964, 0.2415, 0.0245, 0.964, 0.7532, 0.0245, 0.2415}},
		{BenjaminiHochberg, []float64{0.025, 0.03}, []float64{0.03, 0.03}},
		{Uncorrected, []float64{0.025, 0.03}, []float64{0.025, 0.03}},
		{Holm, nil, nil},
	} {
		got := Adjusted(c.how, c.raw)
		for i := range c.want {
			if math.Abs(got[i]-c.want[i]) > 5e-9 {
				t.Errorf("%s of %v: got %v, expected %v", c.how, c.raw, got, c.want)
				break
			}
		}
	}
	if got := Adjusted(Holm, []float64{math.NaN(), 0.02, 0.04}); !math.IsNaN(got[0]) || got[1] != 0.04 || got[2] != 0.04 {
		t.Errorf("with one missing: %v", got)
	}
}

func TestAdjustmentsKeepOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ps := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 30).Draw(t, "p")
		holm, bh := Adjusted(Holm, ps), Adjusted(BenjaminiHochberg, ps)
		for i, p := range ps {
			if bh[i] < p || holm[i] < bh[i]-1e-15 || holm[i] > 1 {
				t.Fatalf("%v: Holm %v, Benjamini-Hochberg %v", p, holm[i], bh[i])
			}
			for k, q := range ps {
				if p < q && (holm[i] > holm[k] || bh[i] > bh[k]) {
					t.Fatalf("%v and %v changed places", p, q)
				}
			}
		}
	})
}

// The chi-square tails were computed with 30 digits by mpmath.
func TestShares(t *testing.T) {
	for _, c := range []struct {
		users  []int64
		shares []float64
		want   float64
		broken bool
	}{
		{[]int64{1000, 1100}, []float64{1, 1}, 0.0290963317412522, false},
		{[]int64{3000, 3461}, []float64{1, 1}, 9.73784698522321e-9, true},
		{[]int64{500, 500}, []float64{1, 1}, 1.0, false},
		{[]int64{9000, 1050}, []float64{9, 1}, 0.134584871391077, false},
		{[]int64{3300, 3400, 3300}, []float64{1, 1, 1}, 0.367879441171442, false},
		{[]int64{4980, 5020, 4700, 5300}, []float64{1, 1, 1, 1}, 6.92719956896733e-8, true},
		{[]int64{1000000, 1003000}, []float64{1, 1}, 0.0340287252384196, false},
		{[]int64{5, 0}, []float64{1, 1}, 0.0253473186774683, false},
		{[]int64{0, 0}, []float64{1, 1}, 1, false}, {[]int64{100, 0}, []float64{1, 0}, 1, false}, {[]int64{500, 500, 90}, []float64{1, 1, 0}, 1, false},
	} {
		got := CheckShares(c.users, c.shares)
		if math.Abs(got.PValue-c.want) > 1e-9*c.want || got.Broken != c.broken {
			t.Errorf("%v of %v: got %+v, expected %v", c.users, c.shares, got, c.want)
		}
	}
	if m := CheckShares([]int64{9, 0}, []float64{1, 9}); m.PValue > 1e-6 || m.Broken {
		t.Errorf("so few users break nothing: %+v", m)
	}
}

func TestMultiple(t *testing.T) {
	if m := CheckMultiple(0, []int64{0, 0}); m.Share != 0 || m.Broken {
		t.Errorf("nobody: %+v", m)
	}
	if m := CheckMultiple(1, []int64{50, 49}); m.Share != 0.01 || m.Broken {
		t.Errorf("exactly as many as may be: %+v", m)
	}
	if m := CheckMultiple(2, []int64{50, 49}); !m.Broken {
		t.Errorf("more: %+v", m)
	}
}

func TestQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 20000)
	for i := range values {
		values[i] = rng.ExpFloat64()
	}
	var bounds []float64
	for b := 0.005; b < 20; b *= 1.02 {
		bounds = append(bounds, b)
	}
	counts := make([]int64, len(bounds)+1)
	for _, v := range values {
		k, _ := slices.BinarySearch(bounds, v)
		counts[k]++
	}
	for _, q := range []float64{0.5, 0.9, 0.99} {
		exact := QuantileOfValues("", values, q)
		rough, err := QuantileOfHistogram("", bounds, counts, q)
		if err != nil {
			t.Fatal(err)
		}
		// The quantile of an exponential is -log(1-q), and the variance of an estimate q(1-q)/density².
		want, sd := -math.Log(1-q), math.Sqrt(q*(1-q))/(1-q)
		for how, s := range map[string]Summary{"values": exact, "histogram": rough} {
			if math.Abs(s.Mean[Value]-want) > 4*sd/math.Sqrt(20000) || math.Abs(math.Sqrt(s.Cov[Value][Value])/sd-1) > 0.25 || s.N != 20000 {
				t.Errorf("%s, quantile %v: %v ± %v, expected %v ± %v", how, q, s.Mean[Value], math.Sqrt(s.Cov[Value][Value]), want, sd)
			}
		}
	}
	if s := QuantileOfValues("", []float64{3, 1, 2}, 0.9); s.Mean[Value] != 3 || s.Cov[Value][Value] != 0 {
		t.Errorf("three values have no interval: %+v", s)
	}
	if s := QuantileOfValues("", nil, 0.9); s.N != 0 {
		t.Errorf("no values: %+v", s)
	}
	for name, c := range map[string]struct {
		bounds []float64
		counts []int64
	}{"too few counts": {[]float64{1}, []int64{1}}, "falling bounds": {[]float64{2, 1}, []int64{1, 1, 1}}, "a negative count": {[]float64{1}, []int64{-1, 1}}, "above the last bound": {[]float64{1}, []int64{10, 90}}} {
		if s, err := QuantileOfHistogram("", c.bounds, c.counts, 0.5); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if s, err := QuantileOfHistogram("", []float64{1}, []int64{0, 0}, 0.5); err != nil || s.N != 0 {
		t.Errorf("nobody: %+v, %v", s, err)
	}
}

// What adds nothing changes nothing: order, merging, a covariate that explains nothing, a denominator of 1.
func TestSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var whole, first, second Sums
	for i := range 1000 {
		y := rng.NormFloat64() + 5
		u := [quantities]float64{y, 1, 2*y + rng.NormFloat64(), 1}
		whole.Add(u)
		if i < 300 {
			first.Add(u)
		} else {
			second.Add(u)
		}
	}
	first.Merge(second)
	a, b := whole.Summary("", Mean, false), first.Summary("", Mean, false)
	if math.Abs(a.Mean[Value]-b.Mean[Value]) > 1e-9 || math.Abs(a.Cov[Value][Covariate]-b.Cov[Value][Covariate]) > 1e-9 || a.N != b.N {
		t.Errorf("merged %+v, whole %+v", b, a)
	}
	other := MeanOf("", 1000, 5.2, 1.1)
	other.Mean[Denominator] = 1
	asMean, _ := Compare(Mean, Relative, a, other)
	asRatio, why := Compare(Ratio, Relative, a, other)
	if why != "" || math.Abs(asMean.Effect-asRatio.Effect) > 1e-12 || math.Abs(asMean.SE-asRatio.SE) > 1e-12 {
		t.Errorf("mean %+v, ratio by 1 %+v %s", asMean, asRatio, why)
	}
	if s := (Sums{}).Summary("x", Mean, false); s.N != 0 || s.Mean[Value] != 0 {
		t.Errorf("nobody: %+v", s)
	}
}

// A covariate takes away its squared correlation of the variance, and leaves the effect.
func TestCovariate(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var a, b Sums
	for range 20000 {
		for k, s := range []*Sums{&a, &b} {
			before := rng.NormFloat64()
			d := 1 + rng.Float64()
			s.Add([quantities]float64{10 + 0.8*before + 0.6*rng.NormFloat64() + 0.1*float64(k), d, 3 + before, d})
		}
	}
	e, why := Compare(Mean, Absolute, a.Summary("", Mean, true), b.Summary("", Mean, true))
	if why != "" || math.Abs(e.Reduction-0.64) > 0.02 || math.Abs(e.Effect-0.1) > 4*e.SE {
		t.Errorf("%+v %s", e, why)
	}
	plain, _ := Compare(Mean, Absolute, a.Summary("", Mean, false), b.Summary("", Mean, false))
	if math.Abs(e.SE/plain.SE-0.6) > 0.02 {
		t.Errorf("standard error %v, without the covariate %v", e.SE, plain.SE)
	}
	if r, why := Compare(Ratio, Relative, a.Summary("", Ratio, true), b.Summary("", Ratio, true)); why != "" || r.Reduction <= 0 {
		t.Errorf("ratio: %+v %s", r, why)
	}
	if _, why := Compare(Mean, Absolute, a.Summary("", Mean, true), b.Summary("", Mean, false)); why == "" {
		t.Error("one covariate is enough")
	}
}

func TestNoEstimate(t *testing.T) {
	good := MeanOf("good", 100, 5, 1)
	zero := ratioOf(100, 10, 20, 0, 5, 0)
	zero.Name = "bad"
	for name, c := range map[string]struct {
		kind Kind
		diff Difference
		a, b Summary
	}{
		"one user": {Mean, Absolute, MeanOf("bad", 1, 5, 1), good}, "nobody": {Mean, Absolute, good, Summary{Name: "bad"}}, "no spread": {Mean, Absolute, MeanOf("good", 100, 5, 0), MeanOf("bad", 100, 5, 0)}, "a quantile that was not resolved": {Quantile, Absolute, good, QuantileOf("bad", 60_000_000, 0.9, 5, 5, 5)},
		"relative to 0": {Mean, Relative, MeanOf("bad", 100, 0, 1), good}, "a denominator of 0": {Ratio, Relative, ratioOf(100, 10, 20, 5, 5, 1), zero},
		"too large": {Mean, Relative, MeanOf("bad", 100, 1e-200, 1e200), good}, "not a number": {Mean, Absolute, MeanOf("bad", 100, math.NaN(), 1), good},
	} {
		if e, why := Compare(c.kind, c.diff, c.a, c.b); why == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if _, why := Compare(Mean, Absolute, MeanOf("", 100, 0, 1), good); why != "" {
		t.Errorf("a control of 0 has an absolute difference: %s", why)
	}
}

// What is left of a metric of which nothing is left.
func TestNothingLeft(t *testing.T) {
	some, nobody := ProportionOf("some", 1000, 100), ProportionOf("nobody", 1000, 0)
	for _, d := range []Difference{Absolute, Relative} {
		e, why := Compare(Proportion, d, some, nobody)
		if want := map[Difference]float64{Absolute: -0.1, Relative: -1}[d]; why != "" || math.Abs(e.Effect-want) > 1e-12 || math.Abs(e.SE) > math.Abs(want)/5 || !(e.SE > 0) {
			t.Errorf("%s: %+v %s", d, e, why)
		}
	}
	if e, why := Compare(Proportion, Absolute, nobody, some); why != "" || math.Abs(e.Effect-0.1) > 1e-12 {
		t.Errorf("from nobody: %+v %s", e, why)
	}
	if e, why := Compare(Mean, Relative, MeanOf("always 2", 1000, 2, 0), MeanOf("3", 1000, 3, 1)); why != "" || math.Abs(e.Effect-0.5) > 1e-12 || !(e.SE > 0) {
		t.Errorf("from a constant: %+v %s", e, why)
	}
}

// The contrast is the plain difference at 0, and 0 at the effect itself, whatever the sign of the control.
func TestContrast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := MeanOf("a", 1000, rapid.Float64Range(-9, 9).Draw(t, "a"), 1), MeanOf("b", 2000, rapid.Float64Range(-9, 9).Draw(t, "b"), 2)
		plain, _ := Compare(Mean, Absolute, a, b)
		if c, why := contrast(Mean, a, b, 0); why != "" || c != plain {
			t.Fatalf("%+v, plain %+v %s", c, plain, why)
		}
		relative, why := Compare(Mean, Relative, a, b)
		if why != "" || math.Abs(a.Mean[Value]) < 0.01 {
			return
		}
		// Where the difference is 0 the contrast's error is that of the quotient, in units of the metric.
		c, why := contrast(Mean, a, b, relative.Effect)
		if size := math.Abs(a.Mean[Value]); why != "" || math.Abs(c.Effect) > 1e-9 || math.Abs(c.SE/size/relative.SE-1) > 1e-9 {
			t.Fatalf("%+v, relative %+v %s", c, relative, why)
		}
	})
}

// The ends of a Fieller interval are where the contrast is so many standard errors from 0.
func TestFieller(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := MeanOf("a", 1000, rapid.Float64Range(0.5, 9).Draw(t, "a")*rapid.SampledFrom([]float64{1, -1}).Draw(t, "sign"), 1)
		b := MeanOf("b", 2000, rapid.Float64Range(-9, 9).Draw(t, "b"), 2)
		width := rapid.Float64Range(1, 5).Draw(t, "width")
		ends := fieller(Mean, a, b, width)
		for i, r := range ends {
			if e, why := contrast(Mean, a, b, r); why != "" || math.Abs(e.Effect/e.SE+width*[]float64{-1, 1}[i]) > 1e-6 {
				t.Fatalf("%v: at %v the contrast is %+v %s", ends, r, e, why)
			}
		}
	})
	if ends := fieller(Mean, MeanOf("a", 100, 0.1, 1), MeanOf("b", 100, 0, 1), 3); !math.IsInf(ends[0], -1) || !math.IsInf(ends[1], 1) {
		t.Errorf("a control that may be 0: %v", ends)
	}
	ends := fieller(Mean, MeanOf("a", 100, 0.1, 1), MeanOf("b", 100, 5, 1), 3)
	if e, _ := contrast(Mean, MeanOf("a", 100, 0.1, 1), MeanOf("b", 100, 5, 1), ends[0]); !math.IsInf(ends[1], 1) || math.Abs(e.Effect/e.SE-3) > 1e-9 {
		t.Errorf("far more than a control that may be 0: %v, %+v", ends, e)
	}
}

// Every interval excludes no difference exactly when its p-value says so, and swapping signs swaps everything.
func TestIntervalsAgreeWithPValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Estimate{Effect: rapid.Float64Range(-5, 5).Draw(t, "effect"), SE: rapid.Float64Range(0.01, 3).Draw(t, "se"), N: int64(rapid.IntRange(4, 1e7).Draw(t, "n"))}
		e.DF = float64(e.N - 2)
		test := Test{Alpha: rapid.Float64Range(0.0001, 0.4).Draw(t, "alpha"), Tuning: rapid.Float64Range(10, 1e6).Draw(t, "tuning"),
			Method: rapid.SampledFrom([]Method{Welch, Sequential}).Draw(t, "method"), Tail: rapid.SampledFrom([]Tail{Both, Above, Below}).Draw(t, "tail")}
		o := test.Judge(e)
		if math.Abs(o.PValue-test.Alpha) > 1e-9 && within(o.CI, 0) != (o.PValue > test.Alpha) {
			t.Fatalf("interval %v, p %v, alpha %v", o.CI, o.PValue, test.Alpha)
		}
		e.Effect = -e.Effect
		test.Tail = map[Tail]Tail{Both: Both, Above: Below, Below: Above}[test.Tail]
		if m := test.Judge(e); math.Abs(m.PValue-o.PValue) > 1e-9 || m.CI[0] != -o.CI[1] || m.CI[1] != -o.CI[0] {
			t.Fatalf("mirrored %+v, was %+v", m, o)
		}
	})
}
