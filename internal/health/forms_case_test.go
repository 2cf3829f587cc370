package health

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
)

func TestParseHistograms(t *testing.T) {
	gate, samples, err := ParseHistograms([]byte(`{"gate":{"signal":"quantile","name":"p99.9","quantile":0.999,"maxRatio":1.2,"max":0.5,"alpha":0.02,"minRequests":0,"compare":"stable"},
		"samples":[{"canary":[1,2,3],"bounds":[0.1,0.5],"stable":null},{},{"bounds":[],"stable":[7]}]}`))
	wantGate := Gate{Signal: SignalQuantile, Name: "p99.9", Quantile: 0.999, MaxRatio: 1.2, Max: ptr(0.5), Alpha: 0.02, MinRequests: ptr(int64(0)), Compare: CompareStable}
	want := []HistogramSample{{Bounds: []float64{0.1, 0.5}, Canary: hist(1, 2, 3)}, {}, {Stable: hist(7)}}
	if d := cmp.Diff(wantGate, gate) + cmp.Diff(want, samples); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestParseReadings(t *testing.T) {
	gate, readings, err := ParseReadings([]byte(`{"gate":{"signal":"query","name":"lost orders","max":0,"min":-1.5,"failures":2},
		"readings":[0.1,null,{"value":-3},{"value":null},{"verdict":"fail","text":"no"},{"value":1,"verdict":"pass"}]}`))
	wantGate := Gate{Signal: SignalQuery, Name: "lost orders", Max: ptr(0.0), Min: ptr(-1.5), Failures: 2}
	want := []Reading{{Value: ptr(0.1)}, {}, {Value: ptr(-3.0)}, {}, {Verdict: Fail, Text: "no"}, {Value: ptr(1.0), Verdict: Pass}}
	if d := cmp.Diff(wantGate, gate) + cmp.Diff(want, readings); d != "" || err != nil {
		t.Error(d, err)
	}
}

// The gate of two series in either spelling.
func TestParseSeriesGate(t *testing.T) {
	const series = `,"series":{"canary":[1],"stable":[1]}}`
	for in, want := range map[string]DistributionGate{
		`{"signal":"series"}`: {Compare: CompareDistribution},
		`{"signal":"series","name":"queue","compare":"distribution","direction":"increase"}`:                                                {Compare: CompareDistribution, Direction: DirectionIncrease},
		`{"signal":"series","alpha":0.05,"compare":"stable","distribution":{"compare":"distribution","direction":"increase","alpha":0.01}}`: {Compare: CompareDistribution, Direction: DirectionIncrease, Alpha: 0.05},
		`{"signal":"series","distribution":{"alpha":0.02}}`:                                                                                 {Compare: CompareDistribution, Alpha: 0.02},
		`{"signal":"series","alpha":0.01,"distribution":{"method":"mannWhitney"}}`:                                                          {Compare: CompareDistribution, Method: MethodMannWhitney},
	} {
		gate, _, err := ParseDistribution([]byte(`{"gate":` + in + series))
		if d := cmp.Diff(want, gate); d != "" || err != nil {
			t.Errorf("%s: %v %s", in, err, d)
		}
	}
	for in, want := range map[string]string{
		`{"signal":"query"}`:                                           `gate.signal: got "query", expected series`,
		`{"compare":"distribution","distribution":{}}`:                 "gate.distribution: only for the signal series",
		`{"signal":"series","direction":"increase","distribution":{}}`: "some settings stand in distribution and some beside it",
		`{"signal":"series","compare":"none","distribution":{}}`:       `gate.compare: got "none", expected stable beside distribution`,
		`{"signal":"series","distribution":{"compare":"stable"}}`:      `gate.distribution.compare: got "stable"`,
		`{"signal":"series","compare":"stable"}`:                       `gate.compare: got "stable", expected distribution`,
		`{"signal":"series","distribution":{"maxShare":1}}`:            "gate.distribution.maxShare: there is no such field",
		`{"signal":"series","distribution":{"method":"t-test"}}`:       "gate.method",
		`{"signal":"series","distribution":[]}`:                        "gate.distribution: got a list",
	} {
		if _, _, err := ParseDistribution([]byte(`{"gate":` + in + series)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected %q", in, err, want)
		}
	}
}

func TestParseFormsRefuse(t *testing.T) {
	quantile := func(s string) string { return `{"gate":{"signal":"quantile"},` + "\n" + `"samples":[{},` + s + `]}` }
	query := func(s string) string {
		return `{"gate":{"signal":"query","max":1},` + "\n" + `"readings":[1,` + s + `]}`
	}
	for _, tc := range []struct{ name, in, want string }{
		{"no samples", `{"gate":{"signal":"quantile"}}`, "samples: missing, expected a list of samples"},
		{"readings for a quantile", `{"gate":{"signal":"quantile"},"readings":[]}`, "readings: there is no such field"},
		{"counts for a quantile", quantile(`{"canary":{"requests":1,"bad":0}}`), "line 2: samples[1].canary: got an object, expected a list"},
		{"bounds null", quantile(`{"bounds":null}`), "samples[1].bounds: got null, expected a list"},
		{"a bound null", quantile(`{"bounds":[null]}`), "samples[1].bounds[0]: got null, expected a number"},
		{"a bound as text", quantile(`{"bounds":["0.1"]}`), `samples[1].bounds[0]: got "0.1"`},
		{"bounds that fall", quantile(`{"bounds":[2,1],"canary":[1,1,1]}`), "line 2: samples[1].bounds[1]: got 1 after 2, expected them to ascend"},
		{"too few counts", quantile(`{"bounds":[1],"canary":[1]}`), "samples[1].canary: got 1 counts, expected 2, one more than bounds"},
		{"counts without bounds", quantile(`{"stable":[1,2]}`), "samples[1].stable: got 2 counts, expected 1"},
		{"a count negative", quantile(`{"canary":[-1]}`), "samples[1].canary[0]: got -1"},
		{"a count broken", quantile(`{"canary":[1.5]}`), "samples[1].canary[0]: got 1.5"},
		{"a count null", quantile(`{"canary":[null]}`), "samples[1].canary[0]: got null, expected a whole number; where there is no data, the side is null"},
		{"too many bounds", quantile(`{"bounds":[` + strings.Repeat("1,", MaxBounds) + `1]}`), "samples[1].bounds: expected at most 1000"},
		{"a quantile of 1", `{"gate":{"signal":"quantile","quantile":1},"samples":[]}`, "gate.quantile: got 1, expected a number from 0.01 to 0.9999"},
		{"a limit of 0", `{"gate":{"signal":"quantile","max":0},"samples":[]}`, "gate.max: got 0"},
		{"a setting of counts", `{"gate":{"signal":"quantile","maxShare":0.1},"samples":[]}`, "gate.maxShare: there is no such field"},
		{"nothing to judge by", `{"gate":{"signal":"quantile","compare":"none"},"samples":[]}`, "with compare none and no max there is nothing to judge by"},
		{"something after", `{"gate":{"signal":"quantile"},"samples":[]}x`, "expected nothing after the case"},

		{"no readings", `{"gate":{"signal":"probe"}}`, "readings: missing, expected a list of readings"},
		{"samples for a query", `{"gate":{"signal":"query","max":1},"samples":[]}`, "samples: there is no such field"},
		{"no signal", `{"readings":[]}`, `gate.signal: got "", expected query, webhook, command or probe`},
		{"no limit", `{"gate":{"signal":"query"},"readings":[]}`, "a query without max and min has nothing to judge by"},
		{"limits crossed", `{"gate":{"signal":"query","max":1,"min":2},"readings":[]}`, "gate.min: got 2, expected at most max, 1"},
		{"no patience", `{"gate":{"signal":"query","max":1,"failures":0},"readings":[]}`, "gate.failures: got 0, expected a whole number from 1 to 1000"},
		{"a reading as text", query(`"0.1"`), `line 2: readings[1]: got "0.1", expected a number of ordinary size, null`},
		{"a reading as a list", query(`[1]`), "readings[1]: got a list"},
		{"a reading as a word", query(`true`), "readings[1]: got true"},
		{"a reading too large", query(`1e101`), "readings[1]: got 1e101"},
		{"a value beyond numbers", query(`{"value":1e999}`), "readings[1].value: got 1e999"},
		{"nothing said", query(`{"text":"x"}`), "readings[1]: got neither, expected value or verdict"},
		{"a verdict unknown", query(`{"verdict":"ok"}`), `readings[1].verdict: got "ok", expected pass, hold or fail`},
		{"a field unknown", query(`{"values":1}`), "readings[1].values: there is no such field"},
		{"a setting of a quantile", `{"gate":{"signal":"probe","quantile":0.9},"readings":[]}`, "gate.quantile: there is no such field"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var err error
			switch FormOf([]byte(tc.in)) {
			case FormHistograms:
				_, _, err = ParseHistograms([]byte(tc.in))
			case FormReadings:
				_, _, err = ParseReadings([]byte(tc.in))
			default:
				t.Fatal("it is taken for another form")
			}
			if err == nil || errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, expected an invalid error with %q", err, tc.want)
			}
		})
	}
}

// What is accepted can be judged, written and read again, with the same judgement.
func FuzzParseHistograms(f *testing.F) {
	f.Add([]byte(`{"gate":{"signal":"quantile","quantile":0.5,"minRequests":0},"samples":[{"bounds":[0.1,0.5],"canary":[10,20,30],"stable":[60,0,0]},{"bounds":[0.3],"canary":[1,2],"stable":null}]}`))
	f.Add([]byte(`{"gate":{"signal":"quantile","compare":"none","max":0.5},"samples":[{"bounds":[0.1,0.5],"canary":[0,0,1000000000]}]}`))
	f.Add([]byte(`{"gate":{"signal":"quantile","maxRatio":0.001,"alpha":0.5},"samples":[{"bounds":[0,1e100],"canary":[5,5,5],"stable":[1,0,900000000000]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		gate, samples, err := ParseHistograms(data)
		if err != nil {
			if errs.KindOf(err) != errs.Invalid || err.Error() == "" {
				t.Fatalf("not an invalid error: %v", err)
			}
			return
		}
		j := JudgeQuantile(gate, samples)
		if (j.Verdict == Fail) != (j.StoppedAt != nil) || len(j.Reasons) == 0 {
			t.Fatalf("%+v", j)
		}
		type written struct {
			Bounds []float64 `json:"bounds"`
			Canary []int64   `json:"canary"`
			Stable []int64   `json:"stable"`
		}
		all := []written{}
		for _, s := range samples {
			w := written{Bounds: append([]float64{}, s.Bounds...)}
			if s.Canary != nil {
				w.Canary = s.Canary.Counts
			}
			if s.Stable != nil {
				w.Stable = s.Stable.Counts
			}
			all = append(all, w)
		}
		again := mustJSON(t, map[string]any{"gate": gate, "samples": all})
		gate, samples, err = ParseHistograms(again)
		if err != nil {
			t.Fatalf("its own writing %s is refused: %v", again, err)
		}
		first, second := mustJSON(t, j), mustJSON(t, JudgeQuantile(gate, samples))
		if string(first) != string(second) || !json.Valid(first) {
			t.Fatalf("%s, then %s", first, second)
		}
	})
}

func FuzzParseReadings(f *testing.F) {
	f.Add([]byte(`{"gate":{"signal":"query","max":0.05},"readings":[0.01,null,0.2,{"value":7,"text":"x"}]}`))
	f.Add([]byte(`{"gate":{"signal":"webhook","failures":2},"readings":[{"verdict":"fail"},{"verdict":"hold"},{"verdict":"fail","text":"no"}]}`))
	f.Add([]byte(`{"gate":{"signal":"probe","min":-1e100},"readings":[1e100,-1e100]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		gate, readings, err := ParseReadings(data)
		if err != nil {
			if errs.KindOf(err) != errs.Invalid || err.Error() == "" {
				t.Fatalf("not an invalid error: %v", err)
			}
			return
		}
		j := JudgeReadings(gate, readings)
		if (j.Verdict == Fail) != (j.StoppedAt != nil) || len(j.Reasons) == 0 {
			t.Fatalf("%+v", j)
		}
		all := []any{}
		for _, r := range readings {
			if r.Verdict == "" {
				all = append(all, map[string]any{"value": r.Value, "text": r.Text})
			} else {
				all = append(all, r)
			}
		}
		again := mustJSON(t, map[string]any{"gate": gate, "readings": all})
		gate, readings, err = ParseReadings(again)
		if err != nil {
			t.Fatalf("its own writing %s is refused: %v", again, err)
		}
		if first, second := mustJSON(t, j), mustJSON(t, JudgeReadings(gate, readings)); string(first) != string(second) || !json.Valid(first) {
			t.Fatalf("%s, then %s", first, second)
		}
	})
}
