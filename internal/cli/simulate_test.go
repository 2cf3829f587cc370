package cli_test

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/simulate"
	"github.com/ringfence/ringfence/test/plane"
)

const standard = "../../examples/shop/service.yaml"

func TestSimulate(t *testing.T) {
	none := t.TempDir()
	args := []string{"simulate", "-f", standard, "--traffic", "500/s", "--segment", "employees=0.1%", "--runs", "50"}
	r := ok(t, run(t, none, "", args...), "plan standard, 500 requests a second", "errors: 0.5 % of the requests before, 1 % with the regression",
		"healthy release: stopped in ", "RING", "canary", "0.1 %", "exposed on average: ", "- Ring early suffices")
	if strings.Contains(r.out, "assumed:") {
		t.Errorf("assumes what was given:\n%s", r.out)
	}
	one := ok(t, run(t, none, "", append(args, "--json")...))
	var rep simulate.Report
	if err := json.Unmarshal([]byte(one.out), &rep); err != nil {
		t.Fatal(err)
	}
	g := rep.Regression
	if len(g.ByRing) != 4 || g.ByRing[1].Name != "early" || g.ByRing[1].Share < 0.8 || g.DetectedShare != 1 || len(rep.Advice) == 0 ||
		g.ExposedUsers < 100 || g.ExposedUsers > 6000 || rep.Healthy.StoppedShare > 0.05 {
		t.Errorf("%+v", rep)
	}
	if again := run(t, none, "", append(args, "--json")...); again.out != one.out {
		t.Error("the same seed gave another answer")
	}
	if other := run(t, none, "", append(args, "--json", "--seed", "2")...); other.out == one.out {
		t.Error("another seed gave the same answer")
	}
	// The promise to scripts, by its names.
	for _, name := range []string{"healthy.stoppedShare", "regression.detectedShare", "regression.byRing", "regression.exposedUsers", "regression.exposedUserMinutes", "advice"} {
		var v any
		_ = json.Unmarshal([]byte(one.out), &v) // it was valid above
		for key := range strings.SplitSeq(name, ".") {
			v = v.(map[string]any)[key]
		}
		if v == nil {
			t.Errorf("no %s", name)
		}
	}
}

func TestSimulateAPlanOfTheServer(t *testing.T) {
	p := start(t)
	ok(t, run(t, p.Dir, plane.Shop, "apply", "-f", "-"))
	r := ok(t, run(t, p.Dir, "", "simulate", "--plan", "quick", "--traffic", "50/s", "--regression", "errors=100%", "--runs", "20", "--json"))
	var rep simulate.Report
	if err := json.Unmarshal([]byte(r.out), &rep); err != nil || rep.Plan != "quick" || math.Abs(rep.Regression.DetectedShare-1) > 0 {
		t.Errorf("%v: %+v", err, rep)
	}
	if r := run(t, p.Dir, "", "simulate", "--plan", "nothing", "--traffic", "50/s"); r.code != 5 {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

func TestWrongSimulations(t *testing.T) {
	none := t.TempDir()
	two := write(t, filepath.Join(none, "two.yaml"), `{apiVersion: ringfence.dev/v1, kind: RingPlan, metadata: {name: a}, spec: {rings: [{name: all}]}}
---
{apiVersion: ringfence.dev/v1, kind: RingPlan, metadata: {name: b}, spec: {rings: [{name: all}]}}
`)
	wrong := write(t, filepath.Join(none, "wrong.yaml"), `{apiVersion: ringfence.dev/v1, kind: RingPlan, metadata: {name: a}, spec: {rings: [{nmae: all}]}}`)
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"simulate -f " + standard:                                                        {2, `"traffic" not set`},
		"simulate --traffic 5/s":                                                         {2, "no plan is named"},
		"simulate --plan standard --traffic 5/s":                                         {6, "no control plane"},
		"simulate -f " + standard + " --traffic 5":                                       {2, "--traffic: traffic \"5\": expected requests by time"},
		"simulate -f " + standard + " --traffic 5/s --regression errors=+5ms":            {2, "--regression errors"},
		"simulate -f " + standard + " --traffic 5/s --regression errors":                 {2, "expected NAME=VALUE"},
		"simulate -f " + standard + " --traffic 5/s --regression sadness=2x":             {2, `unknown signal "sadness"`},
		"simulate -f " + standard + " --traffic 5/s --baseline errors=7":                 {2, "--baseline errors"},
		"simulate -f " + standard + " --traffic 5/s --segment nobody=1%":                 {2, `share of "nobody"`},
		"simulate -f " + standard + " --traffic 5/s --runs 0":                            {2, "--runs"},
		"simulate -f " + standard + " --traffic 5/s --users 0":                           {2, "--users"},
		"simulate -f " + standard + " --traffic 5/s --day-curve NaN":                     {2, "--day-curve"},
		"simulate -f " + standard + " --traffic 5/s --plan other":                        {5, `there is no RingPlan "other", only standard`},
		"simulate -f /does/not/exist --traffic 5/s":                                      {2, "no such file"},
		"simulate -f " + two + " --traffic 5/s":                                          {2, "there are 2 plans: a, b"},
		"simulate -f " + two + " --traffic 5/s --plan b --runs 1 --regression errors=1x": {0, ""},
		"simulate -f " + wrong + " --traffic 5/s":                                        {2, "did you mean name?"},
	} {
		r := run(t, none, "", strings.Fields(args)...)
		if r.code != c.code || !strings.Contains(r.err, c.says) || c.code != 0 && r.out != "" {
			t.Errorf("%s: exit %d, expected %d and %q: %s", args, r.code, c.code, c.says, r.err)
		}
	}
}
