package health

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// byPairs is z as the textbook has it: from every pair of values, with the variance of the rank sum corrected by every
// group of ties.
func byPairs(x, y []float64, mu float64) float64 {
	u, counts := 0.0, map[float64]float64{}
	for _, a := range x {
		counts[a-mu]++
		for _, b := range y {
			switch {
			case a-mu > b:
				u++
			case a-mu == b:
				u += 0.5
			}
		}
	}
	for _, b := range y {
		counts[b]++
	}
	m, n := float64(len(x)), float64(len(y))
	ties := 0.0
	for _, c := range counts {
		ties += c*c*c - c
	}
	d := u - m*n/2
	if d != 0 {
		d -= math.Copysign(0.5, d)
	}
	return d / math.Sqrt(m*n/12*(m+n+1-ties/((m+n)*(m+n-1))))
}

func samples(least int) *rapid.Generator[[]float64] {
	value := rapid.OneOf(rapid.Map(rapid.IntRange(0, 9), func(i int) float64 { return float64(i) }), rapid.Float64Range(-10, 10))
	return rapid.SliceOfN(value, least, 30)
}

func TestRankSumIsThatOfPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := samples(1).Draw(t, "x"), samples(1).Draw(t, "y")
		mu := rapid.SampledFrom([]float64{0, 1, -2, 0.5, math.Pi}).Draw(t, "mu")
		slices.Sort(x)
		slices.Sort(y)
		z, err := rankSum{x, y}.z(mu)
		if want := byPairs(x, y, mu); err == nil && math.Abs(z-want) > 1e-9 {
			t.Fatalf("got %v, expected %v", z, want)
		} else if err != nil && !math.IsNaN(want) && !math.IsInf(want, 0) {
			t.Fatalf("refused, expected %v", want)
		}
	})
}

// The estimate is the median of all differences, the ends of the interval are where z crosses its quantile; both within
// the tolerance of the root.
func TestShiftIsWhereTheRankSumCrosses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := samples(4).Draw(t, "x"), samples(4).Draw(t, "y")
		s, err := mannWhitney(x, y, 0.98)
		if err != nil {
			t.Skip(err)
		}
		const q, slack = 2.3263478740408408, 2 * rootTolerance
		if s.Low > s.Estimate+slack || s.High < s.Estimate-slack {
			t.Fatalf("the estimate is outside of its interval: %+v", s)
		}
		for _, c := range []struct{ at, quantile float64 }{{s.Low, q}, {s.Estimate, 0}, {s.High, -q}} {
			below, above := byPairs(x, y, c.at-slack), byPairs(x, y, c.at+slack)
			least, most := slices.Min(x)-slices.Max(y), slices.Max(x)-slices.Min(y)
			if below < c.quantile-1e-9 && c.at > least+slack || above > c.quantile+1e-9 && c.at < most-slack {
				t.Fatalf("z is not %v at %v: %v before, %v after", c.quantile, c.at, below, above)
			}
		}
	})
}

// The numbers that a user of Kayenta saw in a debugger: spinnaker issue 6278.
func TestMannWhitneyAsKayentaComputesIt(t *testing.T) {
	j := judge(DistributionGate{Method: MethodMannWhitney, EffectSize: &EffectSize{AllowedIncrease: ptr(1.05), CriticalIncrease: ptr(1.1)}},
		[]float64{100, 100, 100, 100, 100, 100, 100, 1, 1, 1}, times(10, 1))
	want := MannWhitneyEvidence{Classification: Similar, Shift: ptr(98.99992904170193), ShiftLow: ptr(6.825022991538781e-5), ShiftHigh: ptr(99.0),
		Bound: ptr(24.749982260425483), MeanRatio: ptr(70.3), Effect: ptr(70.3)}
	if d := cmp.Diff(&want, j.Evidence.MannWhitneyEvidence, cmpopts.EquateApprox(1e-13, 0)); d != "" || j.Verdict != Pass || j.StoppedAt != nil {
		t.Error(d, j.Verdict, j.StoppedAt)
	}
	if j := judge(DistributionGate{Method: MethodMannWhitney}, append(times(8, 100), 1, 1), times(10, 1)); j.Verdict != Fail {
		t.Errorf("with an eighth value Kayenta fails it: %q", j.Reasons)
	}
}

func TestMannWhitneyVerdicts(t *testing.T) {
	base := []float64{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}
	plus := func(by float64) (all []float64) {
		for _, v := range base {
			all = append(all, v+by)
		}
		return all
	}
	effect := func(e EffectSize) DistributionGate { return DistributionGate{EffectSize: &e} }
	for _, tc := range []struct {
		name           string
		gate           DistributionGate
		canary, stable []float64
		want           string
		verdict        Verdict
		says           string
	}{
		{"the same", DistributionGate{}, base, base, Similar, Pass, "exactly the same values, which the Mann-Whitney method passes as Kayenta does"},
		{"the same, in another order", DistributionGate{}, []float64{1, 2, 3}, []float64{3, 1, 2}, Similar, Pass, "exactly the same values"},
		{"one value", DistributionGate{}, times(3, 1), times(2, 1), Similar, Pass, "one value only"},
		{"little different", DistributionGate{}, plus(0.5), base, Similar, Pass, "not shown to differ"},
		{"higher", DistributionGate{}, plus(20), base, High, Fail, "higher than stable's: the shift is 20, between"},
		{"lower", DistributionGate{}, base, plus(20), Low, Fail, "lower than stable's: the shift is -20, between"},
		{"higher, which is fine", DistributionGate{Direction: DirectionDecrease}, plus(20), base, Similar, Pass, "direction decrease"},
		{"lower, which is fine", DistributionGate{Direction: DirectionIncrease}, base, plus(20), Similar, Pass, ""},
		{"higher by what is allowed", effect(EffectSize{AllowedIncrease: ptr(3.0)}), plus(20), base, Similar, Pass, "the effect (meanRatio) 2.379"},
		{"lower by what is allowed", effect(EffectSize{AllowedDecrease: ptr(0.4)}), base, plus(20), Similar, Pass, "the effect (meanRatio) 0.4203"},
		{"higher in more pairs than allowed", effect(EffectSize{Measure: "cles", AllowedIncrease: ptr(0.8)}), plus(20), base, High, Fail, "the effect (cles) 1"},
		{"higher in few pairs", effect(EffectSize{Measure: "cles", AllowedIncrease: ptr(0.995)}), plus(9), base, Similar, Pass, "the effect (cles) 0.9"},
		{"no mean to divide by", effect(EffectSize{AllowedIncrease: ptr(3.0)}), base, times(10, 0), High, Fail, "higher"},
		{"constant", DistributionGate{}, times(5, 10), times(5, 1), High, Fail, "higher"},
		{"constant, against zero", DistributionGate{}, times(5, 0), times(5, 10), Low, Fail, "lower"},
		{"nothing", DistributionGate{}, nil, base, Nodata, Hold, "0 values on the canary, 10 values on stable"},
		{"nothing, which fails", DistributionGate{NoData: "fail"}, base, times(4, gap), Nodata, Fail, "10 values on the canary, 0 values on stable"},
		{"nothing, which passes", DistributionGate{NoData: "pass"}, nil, nil, Nodata, Pass, ""},
		{"nothing made of zeros", DistributionGate{NaNStrategy: "replace"}, times(9, gap), times(9, gap), Nodata, Hold, ""},
		{"zeros in place of values", DistributionGate{NaNStrategy: "replace"}, plus(20), times(9, gap), High, Fail, ""},
		{"one value each", DistributionGate{}, []float64{7}, []float64{1}, Nodata, Hold, "too little data to compare: 1 value on the canary"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.gate.Method = MethodMannWhitney
			j := judge(tc.gate, tc.canary, tc.stable)
			if j.Verdict != tc.verdict || j.Evidence.Classification != tc.want || !strings.Contains(j.Reasons[0], tc.says) || (j.StoppedAt != nil) != (tc.verdict == Fail) {
				t.Errorf("got %s, %s at %v, %q, expected %s, %s with %q", j.Evidence.Classification, j.Verdict, j.StoppedAt, j.Reasons, tc.want, tc.verdict, tc.says)
			}
		})
	}
}

// Kayenta looks for the shift to within an absolute 0.0001. The same case in other units is another case.
func TestMannWhitneyDependsOnUnits(t *testing.T) {
	for _, tc := range []struct {
		size float64
		want int
	}{{1e-2, 20}, {1e-5, 0}} {
		caught := 0
		for i := range 20 {
			s := series(rand.New(rand.NewPCG(3, uint64(i))), 30, tc.size, 1.2)
			if judge(DistributionGate{Method: MethodMannWhitney}, s.Canary, s.Stable).Verdict == Fail {
				caught++
			}
		}
		if caught != tc.want {
			t.Errorf("of 20 canaries with a fifth more than stable's %v, %d are failed, expected %d", tc.size, caught, tc.want)
		}
	}
}

func TestCriticalEffects(t *testing.T) {
	canary, stable := []float64{20, 22, 21, 25, 30}, []float64{1, 2.2, 1.1, 2.5, 3} // twelve times
	for _, tc := range []struct {
		effect         EffectSize
		canary, stable []float64
		want           string
		critical       bool
	}{
		{EffectSize{}, canary, stable, High, true},
		{EffectSize{AllowedIncrease: ptr(5.0), CriticalIncrease: ptr(13.0)}, canary, stable, High, false},
		{EffectSize{AllowedIncrease: ptr(13.0), CriticalIncrease: ptr(12.0)}, canary, stable, Similar, false},
		{EffectSize{CriticalDecrease: ptr(0.1)}, stable, canary, Low, true},
		{EffectSize{CriticalDecrease: ptr(0.05)}, stable, canary, Low, false},
	} {
		ev := judge(DistributionGate{Method: MethodMannWhitney, Tolerance: ptr(0.1), Confidence: 0.95, EffectSize: &tc.effect}, tc.canary, tc.stable).Evidence
		if ev.Classification != tc.want || ev.Critical != tc.critical {
			t.Errorf("got %s, critical %v, expected %s, %v", ev.Classification, ev.Critical, tc.want, tc.critical)
		}
	}
}

func TestOutliers(t *testing.T) {
	values := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1000}
	for _, tc := range []struct {
		outliers Outliers
		want     []float64
	}{
		{Outliers{}, values},
		{Outliers{Strategy: "keep", Factor: 0.1}, values},
		// quartiles 3.5 and 8.5: the fence of 3 ranges ends at 23.5, that of the 99th percentile at 901, which is wider
		{Outliers{Strategy: "remove"}, values[:10]},
		{Outliers{Strategy: "remove", Factor: 300}, values},
	} {
		g := defaultsOf(DistributionGate{Method: MethodMannWhitney, Outliers: &tc.outliers})
		if d := cmp.Diff(tc.want, prepare(g, values)); d != "" {
			t.Errorf("%+v: %s", tc.outliers, d)
		}
	}
	if q := quantile([]float64{1, 2, 3, 4}, 0.25); q != 1.75 { // the seventh definition
		t.Errorf("got %v", q)
	}
}
