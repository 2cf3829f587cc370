package exposure

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"pgregory.net/rapid"
)

func percent(p float64) resource.Audience { return resource.Audience{Percent: &p} }

func rule(raw string) resource.Audience { return resource.Audience{Rule: json.RawMessage(raw)} }

func TestExpand(t *testing.T) {
	segments := map[string]resource.Segment{
		"staff":  {Audience: rule(`{"ends_with": [{"var": "email"}, "@example.com"]}`)},
		"inside": {Audience: resource.Audience{Any: []resource.Audience{{Segment: "staff"}, {Users: []string{"zoe"}}}}},
	}
	const staff, zoe = `{"ends_with":[{"var":"email"},"@example.com"]}`, `{"in":[{"var":"targetingKey"},["zoe"]]}`
	const two = `{"and":[{"var":"targetingKey"},{"fractional":[{"cat":["salt",{"var":"targetingKey"}]},[true,2500000],[false,97500000]]}]}`
	for _, c := range []struct {
		audience resource.Audience
		want     string
	}{
		{resource.Audience{Users: []string{"zoe"}}, zoe},
		{resource.Audience{Segment: "staff"}, staff},
		{resource.Audience{Segment: "inside"}, `{"or":[` + staff + `,` + zoe + `]}`},
		{percent(2.5), two},
		{percent(0), `false`},
		{rule(` {"==" : [1, {"var": "a"}]} `), `{"==":[1,{"var":"a"}]}`},
		{resource.Audience{Any: []resource.Audience{percent(2.5), {Segment: "inside"}, rule(`true`)}}, `{"or":[` + two + `,` + staff + `,` + zoe + `,true]}`},
	} {
		got, err := Expand("salt", c.audience, segments)
		if err != nil || string(got) != c.want {
			t.Errorf("got %s %v, want %s", got, err, c.want)
		}
	}
}

func TestExpandRing(t *testing.T) {
	for _, c := range []struct {
		audience resource.Audience
		percent  float64
		rule     string
	}{
		{resource.Audience{}, 0, ""},
		{percent(5), 5, ""},
		{percent(0), 0, "false"}, // nobody, which must not become everyone
		{rule(`true`), 0, "true"},
	} {
		got, err := ExpandRing("salt", resource.Ring{Name: "early", Audience: c.audience}, nil)
		if err != nil || got.Name != "early" || got.Percent != c.percent || string(got.Audience) != c.rule {
			t.Errorf("%+v: got %+v %v", c, got, err)
		}
	}
	if _, err := ExpandRing("salt", resource.Ring{Audience: percent(-1)}, nil); err == nil {
		t.Error("a negative percentage is accepted")
	}
}

func TestExpandRefuses(t *testing.T) {
	a := func(name string) resource.Audience { return resource.Audience{Segment: name} }
	segments := map[string]resource.Segment{
		"a": {Audience: resource.Audience{Any: []resource.Audience{a("b"), rule(`true`)}}}, "b": {Audience: a("c")}, "c": {Audience: a("a")},
		"self": {Audience: a("self")}, "dangling": {Audience: a("gone")}, "empty": {},
		"bad": {Audience: rule(`{"and": [{"eq": [1, 2]}]}`)},
		"s0":  {Audience: rule(`true`)},
	}
	for i := range 20 { // each refers to the one before twice
		before := a(fmt.Sprintf("s%d", i))
		segments[fmt.Sprintf("s%d", i+1)] = resource.Segment{Audience: resource.Audience{Any: []resource.Audience{before, before}}}
	}
	for _, c := range []struct {
		audience resource.Audience
		want     string
	}{
		{a("a"), "audience.segment.a.any.0.segment.b.segment.c.segment: segments refer to each other in a circle: a → b → c → a"},
		{a("self"), "audience.segment.self.segment: segments refer to each other in a circle: self → self"},
		{a("dangling"), `audience.segment.dangling.segment: there is no segment "gone"`},
		{a("empty"), "audience.segment.empty: has nothing; expected exactly one of users, segment, tenants, regions, percent, rule, any"},
		{a("bad"), `audience.segment.bad.rule: rule at /and/0/eq: unknown operator "eq"`},
		{resource.Audience{}, "audience: has nothing; expected exactly one of users, segment, tenants, regions, percent, rule, any"},
		{resource.Audience{Segment: "a", Users: []string{"x"}}, "audience: has users and segment; expected exactly one of users, segment, tenants, regions, percent, rule, any"},
		{resource.Audience{Users: []string{}}, "audience.users: is empty; expected at least one targeting key"},
		{resource.Audience{Users: []string{"a", ""}}, "audience.users: item 1 has 0 bytes; expected 1 to 512"},
		{resource.Audience{Users: []string{strings.Repeat("x", 513)}}, "audience.users: item 0 has 513 bytes; expected 1 to 512"},
		{resource.Audience{Users: make([]string, 20001)}, "audience.users: more than 20000 users; give them an attribute and use a rule on it"},
		{resource.Audience{Any: []resource.Audience{}}, "audience.any: is empty; expected at least one audience"},
		{resource.Audience{Any: []resource.Audience{percent(1), percent(200)}}, "audience.any.1.percent: percent is 200; expected 0 to 100"},
		{rule(`null`), `audience.rule: is empty; expected an operator such as {"==": [{"var": "plan"}, "beta"]}`},
		{rule(`{}`), `audience.rule: is empty; expected an operator such as {"==": [{"var": "plan"}, "beta"]}`},
		{rule(`{"==": [`), "audience.rule: rule is not JSON: unexpected end of JSON input"},
		{rule(`{"var": ""}`), "audience.rule: the rule computes which attribute it reads; expected plain names, since only those are taken from requests"},
		{rule(`"` + strings.Repeat("x", MaxRuleBytes) + `"`), "audience.rule: rule has 65538 bytes, at most 65536 are allowed"},
	} {
		_, err := Expand("salt", c.audience, segments)
		if err == nil {
			t.Errorf("accepted, want %s", c.want)
			continue
		}
		wantInvalid(t, err, c.want)
	}
	if _, err := Expand("salt", a("s20"), segments); err == nil || !strings.Contains(err.Error(), "more than 1000 audiences") {
		t.Errorf("segments that multiply: %v", err)
	}
}

// Thousands of users cost a look-up, not a search: the time for one does not grow with their number.
func TestManyUsersAreASet(t *testing.T) {
	users := make([]string, maxUsers)
	for i := range users {
		users[i] = fmt.Sprintf("user-%d@example.com", i)
	}
	from, err := ExpandRing("salt", resource.Ring{Name: "canary", Audience: resource.Audience{Users: users}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := mustRings(t, "salt", from, fleet.Ring{Name: "all"})
	in, out := &Context{TargetingKey: users[maxUsers-1]}, &Context{TargetingKey: "user-x@example.com"}
	if plan.Lookup(in) != 0 || plan.Lookup(out) != 1 {
		t.Fatal("the last user must be in the ring, another one not")
	}
	const lookups = 20_000
	start := time.Now()
	for range lookups {
		aside += plan.Lookup(in)
	}
	if took := time.Since(start); took > time.Second { // a set takes about 1 ms, a search more than 2 s
		t.Errorf("%d look-ups among %d users take %v", lookups, maxUsers, took)
	}
}

// What Expand makes of an audience is what the forms say, and being compiled as a ring does not change it.
func TestExpandedMeansTheForms(t *testing.T) {
	segments := map[string]resource.Segment{"beta": {Audience: rule(`{"==": [{"var": "plan"}, "beta"]}`)}}
	var draw func(t *rapid.T, depth int) resource.Audience
	draw = func(t *rapid.T, depth int) resource.Audience {
		switch n := rapid.IntRange(0, 4).Draw(t, "form"); {
		case n == 0:
			return resource.Audience{Users: rapid.SliceOfN(rapid.SampledFrom([]string{"alice", "bob", "carol"}), 1, 2).Draw(t, "users")}
		case n == 1:
			return resource.Audience{Segment: "beta"}
		case n == 2 && depth > 0:
			return resource.Audience{Any: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) resource.Audience { return draw(t, depth-1) }), 1, 3).Draw(t, "any")}
		}
		return percent(rapid.Float64Range(1e-6, 100).Draw(t, "percent"))
	}
	var has func(a resource.Audience, ctx *Context) bool
	has = func(a resource.Audience, ctx *Context) bool {
		for _, u := range a.Users {
			if u == ctx.TargetingKey {
				return true
			}
		}
		for _, one := range a.Any {
			if has(one, ctx) {
				return true
			}
		}
		if a.Percent != nil {
			plan, err := Compile("salt", []fleet.Ring{{Name: "p", Percent: *a.Percent}, {Name: "all"}})
			return err == nil && plan.Lookup(ctx) == 0
		}
		return a.Segment == "beta" && ctx.Attributes["plan"] == "beta"
	}
	rapid.Check(t, func(t *rapid.T) {
		a := draw(t, 2)
		ring, err := ExpandRing("salt", resource.Ring{Name: "r", Audience: a}, segments)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := Compile("salt", []fleet.Ring{ring, {Name: "all"}})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := Expand("salt", a, segments)
		if err != nil {
			t.Fatal(err)
		}
		alone, err := CompileRule(raw, Options{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range append(rapid.SliceOfN(rapid.String(), 5, 5).Draw(t, "keys"), "", "alice", "dave") {
			ctx := &Context{TargetingKey: key, Attributes: map[string]any{"plan": rapid.SampledFrom([]string{"beta", "free"}).Draw(t, "plan")}}
			want := has(a, ctx)
			if in := plan.Lookup(ctx) == 0; in != want || alone.Match(ctx) != want {
				t.Fatalf("%s: %q of plan %v: ring says %v, rule says %v, want %v", raw, key, ctx.Attributes["plan"], in, alone.Match(ctx), want)
			}
		}
	})
}
