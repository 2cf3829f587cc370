package health

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// badCanaries are canaries that users of Kayenta reported as wrongly passed, with their values as reported.
var badCanaries = map[string]struct {
	gate   DistributionGate
	series Series
	at     int
	says   string
}{
	"spinnaker issue 6278: seven of ten values a hundred times stable's": {
		series: Series{Canary: []float64{100, 100, 100, 100, 100, 100, 100, 1, 1, 1}, Stable: times(10, 1.0)},
		at:     5, says: "stable had the value 1 in all of 6 windows, the canary another one in 6",
	},
	"spinnaker issue 5622: errors where stable has none": {
		series: Series{Canary: []float64{0, 0.048, 0, 0.18, 0.089, 0, 0.098, 0.035, 0, 0}, Stable: times(10, 0.0)},
		at:     5, says: "the canary another one in 3",
	},
	"spinnaker issue 5622, before missing values are replaced": {
		gate:   DistributionGate{Direction: DirectionIncrease, NaNStrategy: strategyReplace},
		series: Series{Canary: []float64{gap, 0.048, gap, 0.18, 0.089, gap, 0.098, 0.035, gap, gap}, Stable: times(10, gap)},
		at:     5, says: "the canary another one in 3",
	},
	"kayenta issue 426: sparse errors where stable has none": {
		series: Series{Canary: []float64{0, 1, 2, 1, 0, 0}, Stable: times(6, 0.0)},
		at:     5, says: "the canary another one in 3",
	},
	"kayenta issue 780, case 1: another spread around the same median": {
		series: Series{
			Canary: []float64{10, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 17, 17.1, 17.2, 17.3, 17.4, 17.5, 17.6, 17.7},
			Stable: []float64{1, 100, 4, 101, 5, 102, 6, 103, 7, 104, 8, 105, 9, 106, 17},
		},
		at: 13, says: "are distributed otherwise",
	},
}

var gap = math.NaN()

func times(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }

func judge(g DistributionGate, canary, stable []float64) DistributionJudgement {
	g.Compare = CompareDistribution
	return JudgeDistribution(g, Series{Canary: canary, Stable: stable})
}

func TestBadCanaries(t *testing.T) {
	for name, c := range badCanaries {
		t.Run(name, func(t *testing.T) {
			j := judge(c.gate, c.series.Canary, c.series.Stable)
			if j.Verdict != Fail || j.StoppedAt == nil || *j.StoppedAt != c.at || !strings.Contains(j.Reasons[0], c.says) {
				t.Errorf("got %s at %v, %q, expected a fail at %d with %q", j.Verdict, j.StoppedAt, j.Reasons, c.at, c.says)
			}
			c.gate.Method = MethodMannWhitney
			if j := judge(c.gate, c.series.Canary, c.series.Stable); j.Verdict != Pass {
				t.Errorf("got %s %q, expected Kayenta's pass", j.Verdict, j.Reasons)
			}
		})
	}
}

func TestSequentialVerdicts(t *testing.T) {
	rising := func(n int, by float64) (v []float64) {
		for i := range n {
			v = append(v, 10+float64(i%7)+by)
		}
		return v
	}
	long := rising(100, 0)
	for _, tc := range []struct {
		name           string
		gate           DistributionGate
		canary, stable []float64
		want           Verdict
		says           string
	}{
		{"the same", DistributionGate{}, long, long, Pass, "100 windows, the canary's value higher in 0 and lower in 0"},
		{"higher", DistributionGate{}, rising(100, 9), long, Fail, "are higher than stable's"},
		{"higher, as asked", DistributionGate{Direction: DirectionIncrease}, rising(100, 9), long, Fail, "are higher"},
		{"higher, which is fine", DistributionGate{Direction: DirectionDecrease}, rising(100, 9), long, Pass, "direction decrease"},
		{"lower", DistributionGate{}, rising(100, -9), long, Fail, "are lower than stable's"},
		{"lower, as asked", DistributionGate{Direction: DirectionDecrease}, rising(100, -9), long, Fail, "are lower"},
		{"lower, which is fine", DistributionGate{Direction: DirectionIncrease}, rising(100, -9), long, Pass, ""},
		{"higher by what is allowed", DistributionGate{MaxRatio: 2}, rising(100, 9), long, Pass, ""},
		{"higher by more than is allowed", DistributionGate{MaxRatio: 1.3}, rising(100, 9), long, Fail, "are higher"},
		{"lower by more than is allowed", DistributionGate{MaxRatio: 1.3}, rising(100, -9), long, Fail, "are lower"},
		{"few windows", DistributionGate{}, long[:9], long[:9], Hold, "9 of 9 windows have a value on both sides, 10 are needed, 1 more"},
		{"few windows, enough as asked", DistributionGate{MinWindows: ptr(9)}, long[:9], long[:9], Pass, ""},
		{"windows without stable", DistributionGate{}, long, long[:9], Hold, "9 of 100 windows"},
		{"no windows", DistributionGate{}, nil, nil, Hold, "none of 0 windows"},
		{"no stable", DistributionGate{}, long, times(100, gap), Hold, "none of 100 windows"},
		{"never at the same time", DistributionGate{}, []float64{1, gap}, []float64{gap, 1}, Hold, "none of 2 windows"},
		{"no data may pass", DistributionGate{NoData: "pass"}, nil, long, Pass, "none of 100 windows"},
		{"no data may fail", DistributionGate{NoData: "fail"}, nil, nil, Fail, "none of 0 windows"},
		{"zeros are not made of nothing at all", DistributionGate{NaNStrategy: "replace"}, times(50, gap), times(50, gap), Hold, "none of 0 windows"},
		{"zeros in place of values", DistributionGate{NaNStrategy: "replace"}, times(50, 0.0), times(50, gap), Pass, "50 windows"},
		{"a level that stable never leaves", DistributionGate{}, []float64{1, 0, 1, 0, 1, 0}, times(6, 0.0), Fail, "This is a rule, not evidence"},
		{"a level left for the better", DistributionGate{Direction: DirectionDecrease}, []float64{1, 0, 1, 0, 1, 0}, times(6, 0.0), Hold, "Too little data"},
		{"a level left seldom", DistributionGate{}, append([]float64{1, 1, 0, 0, 0, 0, 0}, times(9, 0.0)...), times(16, 0.0), Pass, ""},
		{"a level left by stable too", DistributionGate{}, []float64{1, 1, 1, 0, 0, 0}, []float64{0, 1, 0, 0, 0, 0}, Hold, "Too little data"},
		{"a level left, to be looked at", DistributionGate{Novel: "hold"}, []float64{1, 0, 1, 0, 1, 0}, times(6, 0.0), Hold, "does what stable never does"},
		{"a level left, held back no longer", DistributionGate{Novel: "hold"}, append([]float64{1, 0, 1, 0, 1, 0}, times(9, 0.0)...), times(15, 0.0), Pass, ""},
		{"a level left, which is fine", DistributionGate{Novel: "ignore", MinWindows: ptr(6)}, []float64{1, 0, 1, 0, 1, 0}, times(6, 0.0), Pass, ""},
		{"another level for long", DistributionGate{Novel: "ignore"}, times(40, 2.0), times(40, 1.0), Fail, "are higher"},
		{"another level within what is allowed", DistributionGate{MaxRatio: 2}, times(40, 2.0), times(40, 1.0), Pass, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := judge(tc.gate, tc.canary, tc.stable)
			if j.Verdict != tc.want || !strings.Contains(strings.Join(j.Reasons, " "), tc.says) || (j.StoppedAt != nil) != (tc.want == Fail) {
				t.Errorf("got %s at %v, %q, expected %s with %q", j.Verdict, j.StoppedAt, j.Reasons, tc.want, tc.says)
			}
		})
	}
}

func TestDistributionEvidence(t *testing.T) {
	j := judge(DistributionGate{}, []float64{3, gap, 1, 1}, []float64{1, 1, 1, 5, 7})
	got := string(mustJSON(t, j))
	for _, want := range []string{`"gate":{"compare":"distribution","method":"sequential","direction":"either","nanStrategy":"remove","noData":"hold","alpha":0.01,"maxRatio":1,"minWindows":10,"novel":"fail"}`,
		`"stoppedAt":null`, `"canaryPoints":3,"stablePoints":3`, `"threshold":100,"windows":3,"higher":1,"lower":1,"novel":0,"moreWindows":7`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nexpected %s", got, want)
		}
	}
	none := judge(DistributionGate{}, nil, nil)
	if d := cmp.Diff(`{"canaryPoints":0,"stablePoints":0,"canaryMean":null,"stableMean":null,"e":1,"pValue":1,"threshold":100,"windows":0,"higher":0,"lower":0,"novel":0,"moreWindows":10}`,
		string(mustJSON(t, none.Evidence))); d != "" {
		t.Error(d)
	}
}

// What is wrong never passes or fails a release.
func TestWrongDistributionsHold(t *testing.T) {
	for name, j := range map[string]DistributionJudgement{
		"no comparison": JudgeDistribution(DistributionGate{}, Series{}),
		"a method":      judge(DistributionGate{Method: "t"}, nil, nil),
		"infinity":      judge(DistributionGate{}, []float64{math.Inf(1)}, []float64{1}),
		"too many":      judge(DistributionGate{}, make([]float64, MaxPoints+1), []float64{1}),
		"negative":      judge(DistributionGate{MaxRatio: 2}, []float64{-1}, []float64{1}),
	} {
		if j.Verdict != Hold || !strings.HasPrefix(j.Reasons[0], "Nothing can be judged: ") || j.StoppedAt != nil {
			t.Errorf("%s: %+v", name, j)
		}
		mustJSON(t, j)
	}
}
