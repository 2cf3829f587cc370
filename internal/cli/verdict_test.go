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
