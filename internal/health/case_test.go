package health

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
)

func TestParseCase(t *testing.T) {
	gate, samples, err := ParseCase([]byte(`{
		"gate": {"signal":"errors","compare":"stable","alpha":0.01,"maxRatio":1.0,"maxShare":0.05,"minRequests":500},
		"samples": [
			{"canary":{"requests":100,"bad":1},"stable":{"requests":1900,"bad":9,"users":3}},
			{"canary":null,"stable":{"requests":1,"bad":0}},
			{"canary":{"bad":0,"requests":1}},
			{}
		]}`))
	if err != nil {
		t.Fatal(err)
	}
	wantGate := Gate{Signal: "errors", Compare: "stable", Alpha: 0.01, MaxRatio: 1, MaxShare: 0.05, MinRequests: ptr(int64(500))}
	want := []Sample{
		{Canary: &Counts{Requests: 100, Bad: 1}, Stable: &Counts{Requests: 1900, Bad: 9, Users: 3}},
		{Stable: &Counts{Requests: 1}},
		{Canary: &Counts{Requests: 1}},
		{},
	}
	if d := cmp.Diff(wantGate, gate) + cmp.Diff(want, samples); d != "" {
		t.Error(d)
	}
	for _, open := range []string{`{"samples":[]}`, `{"gate":null,"samples":[]}`, `{"gate":{},"samples":[]}`,
		`{"gate":{"signal":null,"alpha":null,"minRequests":null,"expectedShare":0},"samples":[]}`} {
		gate, samples, err := ParseCase([]byte(open))
		if err != nil || gate != (Gate{}) || len(samples) != 0 {
			t.Errorf("%s: %+v, %v, %v", open, gate, samples, err)
		}
	}
	gate, _, err = ParseCase([]byte(`{"gate":{"signal":"latency","over":"300ms","minRequests":0},"samples":[]}`))
	if d := cmp.Diff(Gate{Signal: "latency", Over: "0.3", MinRequests: ptr(int64(0))}, gate); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestParseCaseRefuses(t *testing.T) {
	sample := func(s string) string { return "{\n\"samples\":[{},\n" + s + "]}" }
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", "", "line 1: the case: the JSON ends too early"},
		{"not JSON", "gate: {}", "not JSON"},
		{"a list", "[]", "the case: got a list, expected an object"},
		{"null", "null", "the case: got null"},
		{"no samples", `{"gate":{}}`, "samples: missing"},
		{"samples null", `{"samples":null}`, "samples: got null, expected a list"},
		{"cut off", `{"samples":[{"canary":{"requests":1`, "ends too early"},
		{"something after", `{"samples":[]} {}`, "nothing after the case"},
		{"rubbish after", `{"samples":[]} x`, "nothing after the case"},
		{"unknown field", `{"samples":[],"sample":1}`, "line 1: sample: there is no such field"},
		{"unknown setting", "{\"gate\":{\n\"maxratio\":2},\"samples\":[]}", "line 2: gate.maxratio: there is no such field"},
		{"unknown count", sample(`{"canary":{"requests":1,"bad":0,"good":1}}`), "line 3: samples[1].canary.good: there is no such field"},
		{"another case of letters", sample(`{"Canary":null}`), "samples[1].Canary: there is no such field"},
		{"given twice", sample(`{"canary":{"requests":1,"bad":0,"bad":1}}`), "samples[1].canary.bad: given twice"},
		{"side given twice", sample(`{"canary":null,"canary":null}`), "samples[1].canary: given twice"},
		{"sample null", sample(`null`), "samples[1]: got null, expected an object"},
		{"side a number", sample(`{"stable":7}`), "samples[1].stable: got 7, expected an object"},
		{"count a string", sample(`{"stable":{"requests":"7","bad":0}}`), `samples[1].stable.requests: got "7", expected a whole number`},
		{"count broken", sample(`{"stable":{"requests":7.5,"bad":0}}`), "samples[1].stable.requests: got 7.5"},
		{"count too large", sample(`{"stable":{"requests":99999999999999999999,"bad":0}}`), "samples[1].stable.requests"},
		{"count negative", sample(`{"stable":{"requests":-7,"bad":0}}`), "samples[1].stable.requests: got -7"},
		{"no requests", sample(`{"stable":{"bad":0}}`), "samples[1].stable.requests: got nothing"},
		{"no bad", sample(`{"stable":{"requests":9}}`), "samples[1].stable.bad: got nothing"},
		{"bad null", sample(`{"stable":{"requests":9,"bad":null}}`), "samples[1].stable.bad: got nothing"},
		{"more bad than requests", sample(`{"stable":{"requests":9,"bad":10}}`), "samples[1].stable.bad: got 10"},
		{"setting a string", `{"gate":{"alpha":"0.01"},"samples":[]}`, `gate.alpha: got "0.01", expected a number`},
		{"setting 0", `{"gate":{"maxShare":0},"samples":[]}`, "gate.maxShare: got 0, expected a number above 0"},
		{"setting -1", `{"gate":{"maxRatio":-1},"samples":[]}`, "gate.maxRatio: got -1"},
		{"setting beyond numbers", `{"gate":{"maxRatio":1e999},"samples":[]}`, "gate.maxRatio"},
		{"signal a number", `{"gate":{"signal":1},"samples":[]}`, "gate.signal: got 1, expected a string"},
		{"signal unknown", `{"gate":{"signal":"cpu"},"samples":[]}`, "gate.signal"},
		{"compare unknown", `{"gate":{"compare":"canary"},"samples":[]}`, "gate.compare"},
		{"over", `{"gate":{"over":"long"},"samples":[]}`, "gate.over"},
		{"floor broken", `{"gate":{"minRequests":1.5},"samples":[]}`, "gate.minRequests: got 1.5"},
		{"gate a list", `{"gate":[],"samples":[]}`, "gate: got a list, expected an object"},
		{"a long name with odd letters", `{"` + strings.Repeat("\u0001", 99) + `":1}`, "not JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := ParseCase([]byte(tc.in))
			if err == nil || errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, expected an invalid error with %q", err, tc.want)
			}
		})
	}
}

// What is accepted can be judged, written and read again, with the same judgement.
func FuzzParseCase(f *testing.F) {
	f.Add([]byte(`{"gate":{"signal":"errors","compare":"stable","alpha":0.01,"maxRatio":1.0,"maxShare":0.05,"minRequests":500},"samples":[{"canary":{"requests":100,"bad":1},"stable":{"requests":1900,"bad":9}}]}`))
	f.Add([]byte(`{"gate":{"over":"300ms","signal":"latency","expectedShare":0.05},"samples":[{"canary":null},{"stable":{"requests":9,"bad":9,"users":9}}]}`))
	f.Add([]byte(`{"gate":{"compare":"none"},"samples":[{"canary":{"requests":1000000000000,"bad":1000000000000}}]}`))
	f.Add([]byte(`{"samples":[{}]}x`))
	f.Fuzz(func(t *testing.T, data []byte) {
		gate, samples, err := ParseCase(data)
		if err != nil {
			if errs.KindOf(err) != errs.Invalid || err.Error() == "" {
				t.Fatalf("not an invalid error: %v", err)
			}
			return
		}
		first := mustJSON(t, Judge(gate, samples))
		if samples == nil {
			samples = []Sample{}
		}
		again := mustJSON(t, map[string]any{"gate": gate, "samples": samples})
		gate, samples, err = ParseCase(again)
		if err != nil {
			t.Fatalf("its own writing %s is refused: %v", again, err)
		}
		if second := mustJSON(t, Judge(gate, samples)); string(first) != string(second) {
			t.Fatalf("%s, then %s", first, second)
		}
		if !json.Valid(first) {
			t.Fatalf("not JSON: %s", first)
		}
	})
}
