package health

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ringfence/ringfence/internal/errs"
)

func TestFormOf(t *testing.T) {
	for in, want := range map[string]Form{
		`{"gate":{"compare":"distribution"},"series":{}}`:             FormSeries,
		`{"series":{"canary":[1]},"gate":{"compare":"distribution"}}`: FormSeries,
		`{"series":{}}`: FormSeries,
		`{"gate":{"compare":"distribution"},"samples":[]}`: FormSeries,
		`{"gate":{"signal":"series"}}`:                     FormSeries,
		`{"gate":{"compare":"stable"},"samples":[]}`:       FormCounts,
		`{"samples":[]}`:                              FormCounts,
		`{"gate":{"compare":7},"samples":[]}`:         FormCounts,
		`{"gate":7}`:                                  FormCounts,
		`{"gate":{"signal":"cpu"}}`:                   FormCounts,
		`{"gate":{"signal":"latency"}}`:               FormCounts,
		`{"gate":{"signal":"quantile"},"samples":[]}`: FormHistograms,
		`{"gate":{"signal":"query"}}`:                 FormReadings,
		`{"gate":{"signal":"probe"},"samples":[]}`:    FormReadings,
		`{"readings":[]}`:                             FormReadings,
		`{"series":{"canary":[`:                       FormSeries,
		`{"readings":[`:                               FormReadings,
		`{"samples":[`:                                FormCounts,
		``:                                            FormCounts,
	} {
		if got := FormOf([]byte(in)); got != want {
			t.Errorf("%s: got %s, expected %s", in, got, want)
		}
	}
}

func TestParseDistribution(t *testing.T) {
	gate, series, err := ParseDistribution([]byte(`{"series":{"stable":[1,null,-2.5e3],"canary":[]},
		"gate":{"compare":"distribution","method":"mannWhitney","direction":"increase","nanStrategy":"replace","noData":"fail","tolerance":0,"confidence":0.95,
			"outliers":{"strategy":"remove","outlierFactor":1.5},"effectSize":{"measure":"cles","allowedIncrease":0.8,"criticalDecrease":0}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := DistributionGate{Compare: "distribution", Method: "mannWhitney", Direction: "increase", NaNStrategy: "replace", NoData: "fail",
		Tolerance: ptr(0.0), Confidence: 0.95, Outliers: &Outliers{Strategy: "remove", Factor: 1.5},
		EffectSize: &EffectSize{Measure: "cles", AllowedIncrease: ptr(0.8), CriticalDecrease: ptr(0.0)}}
	if d := cmp.Diff(want, gate) + cmp.Diff(Series{Canary: []float64{}, Stable: []float64{1, math.NaN(), -2500}}, series, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
	gate, _, err = ParseDistribution([]byte(`{"gate":{"compare":"distribution","method":null,"alpha":0.05,"maxRatio":1.1,"minWindows":20,"novel":"hold"},"series":{"canary":[1],"stable":[1]}}`))
	if d := cmp.Diff(DistributionGate{Compare: "distribution", Alpha: 0.05, MaxRatio: 1.1, MinWindows: ptr(20), Novel: "hold"}, gate); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestParseDistributionRefuses(t *testing.T) {
	gate := func(s string) string {
		return `{"gate":{"compare":"distribution",` + s + `},"series":{"canary":[],"stable":[]}}`
	}
	mw := func(s string) string { return gate(`"method":"mannWhitney",` + s) }
	series := func(s string) string { return `{"gate":{"compare":"distribution"},"series":` + s + `}` }
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", "", "the JSON ends too early"},
		{"no gate", `{"series":{"canary":[],"stable":[]}}`, `gate.compare: got "", expected distribution`},
		{"gate null", `{"gate":null,"series":{"canary":[],"stable":[]}}`, "gate: got null, expected an object"},
		{"another comparison", `{"gate":{"compare":"stable"},"series":{"canary":[],"stable":[]}}`, `gate.compare: got "stable"`},
		{"no series", `{"gate":{"compare":"distribution"}}`, "series.canary: missing"},
		{"no stable", series(`{"canary":[]}`), "series.stable: missing, expected a list of numbers, with null for a missing value"},
		{"samples", `{"gate":{"compare":"distribution"},"samples":[]}`, "samples: there is no such field"},
		{"something after", series(`{"canary":[],"stable":[]}`) + "x", "expected nothing after the case"},
		{"a side null", series(`{"canary":null,"stable":[]}`), "series.canary: got null, expected a list"},
		{"a side twice", series(`{"canary":[],"canary":[]}`), "series.canary: given twice"},
		{"a side unknown", series(`{"baseline":[]}`), "series.baseline: there is no such field"},
		{"a value as text", series(`{"canary":[1,"NaN"],"stable":[]}`), `series.canary[1]: got "NaN", expected a number`},
		{"a value too large", series(`{"canary":[1],"stable":[0,1e101]}`), "series.stable[1]: got 1e+101, expected a number from"},
		{"a value beyond numbers", series(`{"canary":[1e999],"stable":[]}`), "series.canary[0]: got 1e999, expected a number of ordinary size"},
		{"too many values", series(`{"canary":[` + strings.Repeat("1,", MaxPoints) + `1],"stable":[]}`), "series.canary: expected at most 100000"},
		{"negative, with a ratio", `{"gate":{"compare":"distribution","maxRatio":2},"series":{"canary":[1],"stable":[-1]}}`, "series.stable[0]: got -1, expected 0 or more, since gate.maxRatio"},
		{"a method unknown", gate(`"method":"t-test"`), `gate.method: got "t-test", expected sequential or mannWhitney`},
		{"a method empty", gate(`"method":""`), `gate.method: got "", expected a word`},
		{"a direction unknown", gate(`"direction":"up"`), "gate.direction: got \"up\", expected increase, decrease or either"},
		{"a strategy unknown", gate(`"nanStrategy":"zero"`), "gate.nanStrategy"},
		{"a verdict unknown", gate(`"noData":"ignore"`), "gate.noData"},
		{"novel unknown", gate(`"novel":"yes"`), "gate.novel"},
		{"alpha", gate(`"alpha":0.6`), "gate.alpha: got 0.6"},
		{"alpha 0", gate(`"alpha":0`), "gate.alpha: got 0, expected a number above 0"},
		{"ratio below 1", gate(`"maxRatio":0.9`), "gate.maxRatio: got 0.9, expected a number from 1 to 1000"},
		{"no windows", gate(`"minWindows":0`), "gate.minWindows: got 0, expected a number from 1"},
		{"windows without end", gate(`"minWindows":1000000000000`), "gate.minWindows: got 100001"},
		{"a setting unknown", gate(`"maxShare":0.1`), "gate.maxShare: there is no such field"},
		{"a setting of the other method", gate(`"confidence":0.98`), "gate.confidence: the method sequential has no such setting"},
		{"a setting of the default method", mw(`"alpha":0.01`), "gate.alpha: the method mannWhitney has no such setting"},
		{"tolerance", mw(`"tolerance":-1`), "gate.tolerance: got -1"},
		{"confidence", mw(`"confidence":1`), "gate.confidence: got 1"},
		{"outliers", mw(`"outliers":{"strategy":"none"}`), `gate.outliers.strategy: got "none", expected keep or remove`},
		{"outlier factor", mw(`"outliers":{"outlierFactor":-1}`), "gate.outliers.outlierFactor"},
		{"a measure", mw(`"effectSize":{"measure":"cohen"}`), "gate.effectSize.measure"},
		{"a share above 1", mw(`"effectSize":{"measure":"cles","allowedIncrease":1.5}`), "gate.effectSize.allowedIncrease: got 1.5, expected a number from 0 to 1"},
		{"an effect unknown", mw(`"effectSize":{"allowed":1}`), "gate.effectSize.allowed: there is no such field"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := ParseDistribution([]byte(tc.in))
			if err == nil || errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, expected an invalid error with %q", err, tc.want)
			}
		})
	}
}

// nulls writes series as cases have them.
func nulls(values []float64) []*float64 {
	all := make([]*float64, len(values))
	for i := range values {
		if !math.IsNaN(values[i]) {
			all[i] = &values[i]
		}
	}
	return all
}

// What is accepted can be judged, written and read again, with the same judgement.
func FuzzParseDistribution(f *testing.F) {
	f.Add([]byte(`{"gate":{"compare":"distribution","method":"sequential","direction":"increase"},"series":{"canary":[1,2,null],"stable":[0,0,1e-300,4]}}`))
	f.Add([]byte(`{"gate":{"compare":"distribution","maxRatio":1.5,"nanStrategy":"replace","novel":"hold","alpha":0.5},"series":{"canary":[1,1,1,1,1,1],"stable":[null]}}`))
	f.Add([]byte(`{"gate":{"compare":"distribution","method":"mannWhitney","outliers":{"strategy":"remove"},"effectSize":{"measure":"cles"}},"series":{"canary":[1e100,-1e100,3],"stable":[2,2,5e-324]}}`))
	f.Add([]byte(`{"gate":{"compare":"distribution","method":"mannWhitney","confidence":0.5,"tolerance":0},"series":{"canary":[5],"stable":[0,0]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		gate, series, err := ParseDistribution(data)
		if err != nil {
			if errs.KindOf(err) != errs.Invalid || err.Error() == "" {
				t.Fatalf("not an invalid error: %v", err)
			}
			return
		}
		if FormOf(data) != FormSeries {
			t.Fatal("accepted, but not taken for a case of two series")
		}
		j := JudgeDistribution(gate, series)
		if (j.Verdict == Fail) != (j.StoppedAt != nil) || len(j.Reasons) == 0 || strings.Contains(j.Reasons[0], "Nothing can be judged") {
			t.Fatalf("%+v", j)
		}
		first := mustJSON(t, j)
		again := mustJSON(t, map[string]any{"gate": gate, "series": map[string]any{"canary": nulls(series.Canary), "stable": nulls(series.Stable)}})
		gate, series, err = ParseDistribution(again)
		if err != nil {
			t.Fatalf("its own writing %s is refused: %v", again, err)
		}
		if second := mustJSON(t, JudgeDistribution(gate, series)); string(first) != string(second) || !json.Valid(first) {
			t.Fatalf("%s, then %s", first, second)
		}
	})
}
