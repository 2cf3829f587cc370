package flag

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/fleet"
)

const checkout = `{"service": "shop", "environments": ["staging", "production"], "reviewers": {"production": {"from": ["leads"], "need": "each"}},
 "metadata": {"flagSetId": "shop"},
 "flags": {
  "base": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"if": [{"==": [{"var": "plan"}, "beta"]}, "on"]}},
  "checkout": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "owner": "team-shop", "kind": "release", "expires": "2027-01-31",
    "prerequisites": [{"flag": "base", "variant": "on"}],
    "schedule": [{"from": "2026-12-24T00:00:00Z", "until": "2026-12-27T00:00:00Z", "variant": "on"}],
    "preview": {"title": "New checkout", "variant": "on"},
    "exposure": {"plan": "standard", "variant": "on"},
    "environments": {"staging": {"defaultVariant": "on"}}}}}`

func documented(t *testing.T, raw string) *Document {
	t.Helper()
	d, problems := ParseDocument([]byte(raw))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return d
}

func lowered(t *testing.T, d *Document, env string, live Live) *Set {
	t.Helper()
	raw, problems := Lower(d, env, live)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s, problems := Parse(raw)
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, raw)
	}
	return s
}

func TestLower(t *testing.T) {
	d := documented(t, checkout)
	beta := map[string]any{"plan": "beta"}
	live := Live{
		Choices: map[string]Choices{"checkout": {In: []string{"ina"}, Out: []string{"otto"}}},
		Exposures: map[string]Exposure{"checkout": {Rollout: "ramp-1", Salt: "standard", Variants: []string{"on", ""},
			Rings: []fleet.Ring{{Name: "canary", Audience: json.RawMessage(`{"in": [{"var": "targetingKey"}, ["carol", "otto"]]}`)}, {Name: "all"}}}},
	}
	for _, c := range []struct {
		what, env string
		live      Live
		ctx       exposure.Context
		want      string
	}{
		{"the environment's default", "staging", Live{}, exposure.Context{TargetingKey: "x", Attributes: beta}, "on"},
		{"the default", "production", Live{}, exposure.Context{TargetingKey: "x", Attributes: beta}, "off"},
		{"in the window", "production", Live{}, exposure.Context{Attributes: beta, Timestamp: 1798070400}, "on"},
		{"at the window's end", "production", Live{}, exposure.Context{Attributes: beta, Timestamp: 1798329600}, "off"},
		{"the prerequisite is not met", "production", live, exposure.Context{TargetingKey: "ina"}, "off"},
		{"opted in", "production", live, exposure.Context{TargetingKey: "ina", Attributes: beta}, "on"},
		{"opted out", "production", live, exposure.Context{TargetingKey: "otto", Attributes: beta}, "off"},
		{"in the ring", "production", live, exposure.Context{TargetingKey: "carol", Attributes: beta}, "on"},
		{"in a later ring", "production", live, exposure.Context{TargetingKey: "dave", Attributes: beta}, "off"},
	} {
		if got := lowered(t, d, c.env, c.live).Evaluate("checkout", &c.ctx); got.Variant != c.want {
			t.Errorf("%s: %+v, want %s", c.what, got, c.want)
		}
	}
}

// What is put together costs no allocation to evaluate.
func TestLoweredAllocatesNothing(t *testing.T) {
	d := documented(t, checkout)
	set := lowered(t, d, "production", Live{
		Choices:     map[string]Choices{"checkout": {In: []string{"ina"}, Out: []string{"otto"}}},
		Experiments: map[string]Assignment{"checkout": {Salt: "x", Share: 10, Variants: []Weight{{"on", 1}, {"off", 1}}, Holdouts: []Holdout{{"held", 5}}}},
		Exposures: map[string]Exposure{"checkout": {Salt: "standard", Variants: []string{"on", "", ""}, Trial: &Trial{Ring: 1, Variant: "on", Control: 50, Salt: "ramp"},
			Rings: []fleet.Ring{{Name: "staff", Audience: json.RawMessage(`{"ends_with": [{"var": "email"}, "@example.com"]}`)}, {Name: "early", Percent: 40}, {Name: "all"}}}},
	})
	users := make([]exposure.Context, 100)
	for i := range users {
		users[i] = exposure.Context{TargetingKey: fmt.Sprint("user-", i), Attributes: map[string]any{"plan": "beta", "email": "carol@example.org"}}
	}
	i := 0
	if n := testing.AllocsPerRun(1000, func() { set.Evaluate("checkout", &users[i%100]); i++ }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
