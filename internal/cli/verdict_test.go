package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Two series are judged offline like samples: any verdict is an answer, a wrong case is not.
func TestVerdictOnSeries(t *testing.T) {
	for _, tc := range []struct{ in, verdict, says string }{
		{`{"gate":{"compare":"distribution","direction":"increase"},"series":{"canary":[0,1,2,1,0,0],"stable":[0,0,0,0,0,0]}}`, "fail", "stopped at window 5"},
		{`{"series":{"canary":[null],"stable":[1]},"gate":{"compare":"distribution"}}`, "hold", "0 windows"},
		{`{"gate":{"compare":"distribution","method":"mannWhitney"},"series":{"canary":[5,6,7,8,9,10],"stable":[1,2,3,null,2,1]}}`, "fail", "High, 6 values of new, 5 of stable"},
		{`{"gate":{"compare":"distribution","method":"mannWhitney"},"series":{"canary":[1],"stable":[1]}}`, "pass", "as Kayenta does"},
	} {
		ok(t, run(t, t.TempDir(), tc.in, "verdict", "-f", "-"), tc.verdict+": ", tc.says)
		var j struct {
			Verdict   string
			StoppedAt *int
			Evidence  map[string]any
			Reasons   []string
		}
		r := ok(t, run(t, t.TempDir(), tc.in, "verdict", "-f", "-", "--json"))
		if err := json.Unmarshal([]byte(r.out), &j); err != nil || j.Verdict != tc.verdict || len(j.Reasons) == 0 || (j.StoppedAt != nil) != (tc.verdict == "fail") || j.Evidence["canaryPoints"] == nil {
			t.Errorf("%s: %s, %v", tc.in, r.out, err)
		}
	}
	for in, says := range map[string]string{
		`{"gate":{"compare":"distribution"},"samples":[]}`:                                    "samples: there is no such field",
		`{"gate":{"compare":"distribution"},"series":{"canary":[1]}}`:                         "series.stable: missing",
		`{"gate":{"compare":"distribution","method":"t"},"series":{"canary":[],"stable":[]}}`: "expected sequential or mannWhitney",
		`{"gate":{"compare":"distribution"},"series":{"canary":["NaN"],"stable":[]}}`:         "series.canary[0]",
		`{"gate":{"compare":"distribution"},"series":{"canary":[1],"stable":[]}`:              "ends too early",
	} {
		if r := run(t, t.TempDir(), in, "verdict", "-f", "-"); r.code != 2 || r.out != "" || !strings.Contains(r.err, says) {
			t.Errorf("%s: exit %d, %s%s", in, r.code, r.out, r.err)
		}
	}
}

// Every other signal is judged offline in its own form.
func TestVerdictOnOtherSignals(t *testing.T) {
	for in, says := range map[string][]string{
		`{"gate":{"signal":"quantile","max":0.3},"samples":[{"bounds":[0.1,0.3],"canary":[500,300,200],"stable":[800,200,0]}]}`: {"fail: p99: the canary's, beyond the largest bound, is higher than", "p99: the canary's is over the limit of 0.3 s", "new 0.3 to any s of 1000 requests, stable 0.3 s (0.1 to 0.3) of 1000", "stopped at sample 0"},
		`{"gate":{"signal":"quantile"},"samples":[{}]}`:                                                         {"hold: There is no data yet", "new 0 to any s of 0 requests"},
		`{"gate":{"signal":"query","min":1},"readings":[2,null]}`:                                               {"hold: The query gave no data.", "2 readings, 0 bad, 1 without data; 0 bad in a row"},
		`{"gate":{"signal":"command"},"readings":[{"verdict":"fail"}]}`:                                         {"fail: The command failed at reading 0.", "stopped at reading 0"},
		`{"gate":{"signal":"series"},"series":{"canary":[1,1],"stable":[1,1]}}`:                                 {"hold: Too little data: 2 of 2 windows"},
		`{"gate":{"signal":"series","distribution":{"minWindows":2}},"series":{"canary":[1,1],"stable":[1,1]}}`: {"pass: "},
	} {
		ok(t, run(t, t.TempDir(), in, "verdict", "-f", "-"), says...)
		r := ok(t, run(t, t.TempDir(), in, "verdict", "-f", "-", "--json"))
		if !json.Valid([]byte(r.out)) {
			t.Errorf("%s: %s", in, r.out)
		}
	}
	for in, says := range map[string]string{
		`{"gate":{"signal":"quantile"},"samples":[{"bounds":[0.1],"canary":[1]}]}`: "samples[0].canary: got 1 counts, expected 2",
		`{"gate":{"signal":"query","max":1},"readings":[1,"2"]}`:                   `readings[1]: got "2"`,
		`{"gate":{"signal":"cpu"},"samples":[]}`:                                   "gate.signal",
	} {
		if r := run(t, t.TempDir(), in, "verdict", "-f", "-"); r.code != 2 || r.out != "" || !strings.Contains(r.err, says) {
			t.Errorf("%s: exit %d, %s%s", in, r.code, r.out, r.err)
		}
	}
}
