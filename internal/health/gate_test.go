package health

import (
	"math"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
)

func ptr[T any](v T) *T { return &v }

func TestDefaults(t *testing.T) {
	g := Defaults(Gate{})
	if g.Signal != SignalErrors || g.Compare != CompareStable || g.Alpha != 0.01 || g.MaxRatio != 1 || g.MaxShare != 0.05 || *g.MinRequests != 500 || g.ExpectedShare != 0 {
		t.Errorf("errors: %+v", g)
	}
	if g := Defaults(Gate{Signal: SignalLatency}); g.MaxShare != 1 {
		t.Errorf("latency has no limit unless one is given, got %v", g.MaxShare)
	}
	if g := Defaults(Gate{Signal: SignalQuantile}); g.Quantile != 0.99 || g.Compare != CompareStable || g.MaxRatio != 1 || *g.MinRequests != 500 || g.MaxShare != 0 {
		t.Errorf("quantile: %+v", g)
	}
	for signal, failures := range map[string]int{SignalQuery: 3, SignalProbe: 3, SignalWebhook: 1, SignalCommand: 1} {
		if g := Defaults(Gate{Signal: signal}); g != (Gate{Signal: signal, Alpha: 0.01, Failures: failures}) {
			t.Errorf("%s: %+v", signal, g)
		}
	}
	if g := Defaults(Gate{Signal: SignalSeries, Distribution: &DistributionGate{Alpha: 0.05}}); g.Alpha != 0.05 || g.Distribution.Alpha != 0.05 || g.Compare != CompareStable {
		t.Errorf("series: %+v, %+v", g, g.Distribution)
	}
	given := Gate{Signal: SignalLatency, Over: "0.3", Compare: CompareNone, Alpha: 0.05, MaxRatio: 1.2, MaxShare: 0.2, MinRequests: ptr(int64(0)), ExpectedShare: 0.1}
	if got := Defaults(given); got != given {
		t.Errorf("what is given stays: got %+v, want %+v", got, given)
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name string
		gate Gate
		want string // in the message; "" for fine
	}{
		{"all open", Gate{}, ""},
		{"latency without a limit", Gate{Signal: SignalLatency}, ""},
		{"limit alone", Gate{Compare: CompareNone}, ""},
		{"everything given", Gate{Signal: SignalLatency, Over: "0.3", Alpha: 0.5, MaxRatio: 2, MaxShare: 1, MinRequests: ptr(int64(0)), ExpectedShare: 0.5}, ""},
		{"a quantile", Gate{Signal: SignalQuantile, Quantile: 0.5, MaxRatio: 2, Max: ptr(1.0)}, ""},
		{"a limit of a quantile alone", Gate{Signal: SignalQuantile, Compare: CompareNone, Max: ptr(1.0)}, ""},
		{"a query", Gate{Signal: SignalQuery, Max: ptr(-1.0)}, ""},
		{"what a ring gives to all gates", Gate{Signal: SignalWebhook, Compare: CompareNone, Alpha: 0.002, ExpectedShare: 0.1}, ""},
		{"series", Gate{Signal: SignalSeries, Alpha: 0.002, Distribution: &DistributionGate{Method: MethodMannWhitney}}, ""},
		{"a quantile beyond", Gate{Signal: SignalQuantile, Quantile: 1}, "gate.quantile: got 1"},
		{"a quantile not a number", Gate{Signal: SignalQuantile, Quantile: math.NaN()}, "gate.quantile"},
		{"a quantile with a share", Gate{Signal: SignalQuantile, MaxShare: 0.1}, "gate.maxShare: the signal quantile has no such setting"},
		{"errors with a quantile", Gate{Quantile: 0.9}, "gate.quantile: the signal errors has no such setting"},
		{"a quantile without anything", Gate{Signal: SignalQuantile, Compare: CompareNone}, "no max there is nothing to judge by"},
		{"a query without limits", Gate{Signal: SignalQuery}, "a query without max and min"},
		{"a limit not a number", Gate{Signal: SignalQuery, Max: ptr(math.NaN())}, "gate.max"},
		{"limits crossed", Gate{Signal: SignalQuery, Min: ptr(1.0), Max: ptr(0.5)}, "gate.min: got 1, expected at most max"},
		{"patience", Gate{Signal: SignalProbe, Failures: -1}, "gate.failures: got -1"},
		{"series by a test unknown", Gate{Signal: SignalSeries, Distribution: &DistributionGate{Method: "t"}}, "gate.method"},
		{"signal", Gate{Signal: "mood"}, `gate.signal: got "mood"`},
		{"compare", Gate{Compare: "yesterday"}, `gate.compare: got "yesterday"`},
		{"over", Gate{Signal: SignalLatency, Over: "soon"}, `gate.over: got "soon"`},
		{"over below 0", Gate{Signal: SignalLatency, Over: "-1"}, "gate.over"},
		{"alpha below 0", Gate{Alpha: -0.1}, "gate.alpha: got -0.1"},
		{"alpha too large", Gate{Alpha: 0.6}, "gate.alpha"},
		{"alpha too small to have a threshold", Gate{Alpha: 1e-320}, "gate.alpha"},
		{"alpha not a number", Gate{Alpha: math.NaN()}, "gate.alpha"},
		{"ratio", Gate{MaxRatio: -1}, "gate.maxRatio"},
		{"ratio without end", Gate{MaxRatio: math.Inf(1)}, "gate.maxRatio"},
		{"share above 1", Gate{MaxShare: 5}, "gate.maxShare: got 5"},
		{"floor", Gate{MinRequests: ptr(int64(-1))}, "gate.minRequests: got -1"},
		{"expected share", Gate{ExpectedShare: 1}, "gate.expectedShare: got 1"},
		{"expected share not a number", Gate{ExpectedShare: math.NaN()}, "gate.expectedShare"},
		{"nothing to judge by", Gate{Signal: SignalLatency, Compare: CompareNone}, "nothing to judge by"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Validate(tc.gate)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, expected an invalid error with %q", err, tc.want)
			}
		})
	}
}

// A gate that cannot be must neither pass nor fail anything.
func TestWrongGateHolds(t *testing.T) {
	j := Judge(Gate{Alpha: math.NaN()}, []Sample{{Canary: &Counts{Requests: 1e6, Bad: 1e6}, Stable: &Counts{Requests: 1e6}}})
	if j.Verdict != Hold || !strings.Contains(strings.Join(j.Reasons, " "), "gate.alpha") {
		t.Errorf("got %s, %q", j.Verdict, j.Reasons)
	}
	mustJSON(t, j)
}
