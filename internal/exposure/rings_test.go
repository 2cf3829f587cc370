package exposure

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/fleet"
)

func TestLookupAndExplain(t *testing.T) {
	plan := mustRings(t, "shop-4711",
		fleet.Ring{Name: "canary", Audience: json.RawMessage(`{"or": [
			{"in": [{"var": "targetingKey"}, ["alice", "bob"]]},
			{"ends_with": [{"var": "email"}, "@example.com"]},
			{"and": [{"var": "targetingKey"}, {"fractional": [{"cat": ["shop-4711", {"var": "targetingKey"}]}, [true, 1000000], [false, 99000000]]}]}]}`)},
		fleet.Ring{Name: "beta", Audience: json.RawMessage(`{"==": [{"var": "plan.name"}, "beta"]}`)},
		fleet.Ring{Name: "early", Percent: 5},
		fleet.Ring{Name: "broad", Percent: 50},
		fleet.Ring{Name: "all"},
	)
	staff := map[string]any{"email": "carol@example.com"}
	for _, c := range []struct {
		ctx  Context
		want Membership
	}{
		{Context{TargetingKey: "alice"}, Membership{0, "canary", `targeting key "alice" is listed (audience 1 of 3)`}},
		{Context{TargetingKey: "carol", Attributes: staff}, Membership{0, "canary", "the ring's rule matched (audience 2 of 3)"}},
		{Context{Attributes: staff}, Membership{0, "canary", "the ring's rule matched (audience 2 of 3)"}},
		{Context{TargetingKey: "user-85"}, Membership{0, "canary", "bucket 0.945576 of 100 is below 1 (audience 3 of 3)"}},
		{Context{TargetingKey: "carol", Attributes: map[string]any{"plan": map[string]any{"name": "beta"}}}, Membership{1, "beta", "the ring's rule matched"}},
		{Context{TargetingKey: "user-20"}, Membership{2, "early", "bucket 2.658 of 100 is below 5"}},
		{Context{TargetingKey: "user-1"}, Membership{3, "broad", "bucket 46.209769 of 100 is below 50"}},
		{Context{TargetingKey: "user-12"}, Membership{4, "all", "no rule of a ring before matched; bucket 90.238732 of 100 is not below 50; the last ring takes everyone"}},
		{Context{}, Membership{4, "all", "no rule of a ring before matched; without a targeting key no percentage applies; the last ring takes everyone"}},
	} {
		if got := plan.Explain(&c.ctx); got != c.want {
			t.Errorf("%+v:\n got %+v\nwant %+v", c.ctx, got, c.want)
		}
		if got := plan.Lookup(&c.ctx); got != c.want.Index {
			t.Errorf("%+v: Lookup gives ring %d, want %d", c.ctx, got, c.want.Index)
		}
	}
	if got := plan.Attributes(); !reflect.DeepEqual(got, []string{"email", "plan"}) {
		t.Errorf("reads %v", got)
	}
	if plan.Len() != 5 || plan.Name(2) != "early" {
		t.Errorf("%d rings, the third is %q", plan.Len(), plan.Name(2))
	}
	if got := mustRings(t, "", fleet.Ring{Name: "all"}).Explain(&Context{}).Why; got != "the last ring takes everyone" {
		t.Errorf("a plan of one ring: %q", got)
	}
}

func TestWithoutKeyNoPercentage(t *testing.T) {
	plan := mustRings(t, "s", fleet.Ring{Name: "most", Percent: 100}, fleet.Ring{Name: "all"})
	if plan.Lookup(&Context{}) != 1 || plan.Lookup(&Context{TargetingKey: "x"}) != 0 {
		t.Error("100 percent must be all keys, and only keys")
	}
}

// Only the very form that a percentage expands to may take the short way to a look-up: what resembles it is a rule
// like any other.
func TestLookalikesOfPercentagesAreRules(t *testing.T) {
	const form = `{"and": [{"var": "targetingKey"}, {"fractional": [{"cat": ["salt", {"var": "targetingKey"}]}, [true, 30000000], [false, 70000000]]}]}`
	for _, change := range [][2]string{
		{"salt", "other"}, {`"cat": ["salt", {"var": "targetingKey"}]`, `"cat": ["salt", {"var": "plan"}]`}, {`[false, 70000000]`, `[false, 10000000]`},
		{`[true, 30`, `["", 30`}, {`"and": [{"var": "targetingKey"}`, `"and": [{"var": "plan"}`}, {`[true, 30000000]`, `[true, 30000000.5]`},
		{`{"and"`, `{"or"`}, {`"salt", `, ``}, {"30000000], [false, 70000000", "-1], [false, 100000001"},
	} {
		raw := json.RawMessage(strings.Replace(form, change[0], change[1], 1))
		plan := mustRings(t, "salt", fleet.Ring{Name: "r", Audience: raw}, fleet.Ring{Name: "all"})
		alone := mustRule(t, string(raw))
		for i := range 100 {
			ctx := &Context{TargetingKey: fmt.Sprintf("user-%d", i), Attributes: map[string]any{"plan": fmt.Sprintf("plan-%d", i%7)}}
			if in, want := plan.Lookup(ctx) == 0, alone.Match(ctx); in != want {
				t.Fatalf("%s: %s is in the ring: %v, want %v", raw, ctx.TargetingKey, in, want)
			}
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	all := fleet.Ring{Name: "all"}
	rule := func(raw string) fleet.Ring { return fleet.Ring{Name: "r", Audience: json.RawMessage(raw)} }
	for _, c := range []struct {
		rings []fleet.Ring
		want  string
	}{
		{nil, "0 rings; expected 1 to 64"},
		{make([]fleet.Ring, 65), "65 rings; expected 1 to 64"},
		{[]fleet.Ring{{}}, `ring "": has no name`},
		{[]fleet.Ring{{Name: "all", Percent: 1}, all}, `ring "all": is there twice; names of rings must differ`},
		{[]fleet.Ring{{Name: "r"}, all}, `ring "r": has no audience; only the last ring takes everyone`},
		{[]fleet.Ring{{Name: "r", Percent: 5}}, `ring "r": is the last and must take everyone, so it cannot have an audience`},
		{[]fleet.Ring{{Name: "r", Percent: 101}, all}, `ring "r": percent is 101; expected 0 to 100`},
		{[]fleet.Ring{{Name: "r", Percent: -1}, all}, `ring "r": percent is -1; expected 0 to 100`},
		{[]fleet.Ring{{Name: "r", Percent: 1e-9}, all}, `ring "r": percent is 1e-09; expected 0, or at least 0.000001`},
		{[]fleet.Ring{{Name: "r", Percent: 1, Audience: json.RawMessage(`true`)}, all}, `ring "r": has both an audience and a percentage; expected one`},
		{[]fleet.Ring{rule(`{"or": [true, {"x": 1}]}`), all}, `ring "r": rule at /or/1/x: unknown operator "x"`},
		{[]fleet.Ring{rule(`{"==": [1]}`), all}, `ring "r": rule at /==: "==" has 1 arguments; expected at least 2`},
		{[]fleet.Ring{rule(`{"var": {"var": "x"}}`), all}, `ring "r": the rule computes which attribute it reads; expected plain names, since only those are taken from requests`},
		{[]fleet.Ring{rule(`{`), all}, `ring "r": rule is not JSON: unexpected end of JSON input`},
	} {
		_, err := Compile("salt", c.rings)
		if err == nil {
			t.Errorf("accepted, want %s", c.want)
			continue
		}
		wantInvalid(t, err, c.want)
	}
}

// Being on the way of each request, a look-up allocates nothing, whatever kind of ring decides.
func TestLookupDoesNotAllocate(t *testing.T) {
	plan := mustRings(t, "shop-4711", fourRings...)
	for _, ctx := range []*Context{
		{TargetingKey: "5c3d8535-f81a-4478-a6d3-afaa4d51199e", Attributes: map[string]any{"plan": "beta", "email": "a@example.com", "country": "de"}},
		{TargetingKey: "5c3d8535-f81a-4478-a6d3-afaa4d51199e", Attributes: map[string]any{"plan": "beta", "email": "a@example.com", "country": "se"}},
		{},
	} {
		if n := testing.AllocsPerRun(100, func() { aside += plan.Lookup(ctx) }); n != 0 {
			t.Errorf("%+v: %v allocations", *ctx, n)
		}
	}
}
