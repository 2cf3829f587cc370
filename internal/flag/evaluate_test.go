package flag

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/exposure"
)

const shop = `{
 "metadata": {"flagSetId": "shop", "version": "7", "team": "web"},
 "$evaluators": {"staff": {"ends_with": [{"var": "email"}, "@example.com"]}},
 "flags": {
  "static": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "metadata": {"team": "checkout", "risk": 2}},
  "off": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {"if": [true, "on"]}},
  "code": {"state": "ENABLED", "variants": {"on": true}},
  "code-null": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": null},
  "code-targeted": {"state": "ENABLED", "variants": {"on": true}, "targeting": {"if": [{"$ref": "staff"}, "on"]}},
  "empty-rule": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {}},
  "staff": {"state": "ENABLED", "variants": {"new": "b", "old": "a"}, "defaultVariant": "old", "targeting": {"if": [{"$ref": "staff"}, "new", null]}},
  "bool-named": {"state": "ENABLED", "variants": {"true": 1, "false": 0}, "defaultVariant": "false", "targeting": {"==": [{"var": "plan"}, "beta"]}},
  "number-named": {"state": "ENABLED", "variants": {"1": "one", "1.5": "more", "1000000": "many"}, "defaultVariant": "1", "targeting": {"*": [{"var": "n"}, 1]}},
  "any": {"state": "ENABLED", "variants": {"a": {"x": [1]}, "null": {}}, "defaultVariant": "a", "targeting": {"var": "choice"}},
  "share": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"fractional": [["on", 25], ["off", 75]]}},
  "itself": {"state": "ENABLED", "variants": {"itself": 1, "x": 2}, "defaultVariant": "x", "targeting": {"var": "$flagd.flagKey"}},
  "itself-within": {"state": "ENABLED", "variants": {"itself-within": 1, "x": 2}, "defaultVariant": "x", "targeting": {"var": {"cat": ["$flagd", ".flagKey"]}}},
  "since": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"if": [{">=": [{"var": "$flagd.timestamp"}, 1000]}, "on"]}}
 }}`

func parsed(t testing.TB, raw string) *Set {
	t.Helper()
	set, problems := Parse([]byte(raw))
	if len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
	return set
}

func TestEvaluate(t *testing.T) {
	set := parsed(t, shop)
	inSet := map[string]any{"flagSetId": "shop", "version": "7", "team": "web"}
	type attributes = map[string]any
	for _, c := range []struct {
		key  string
		with attributes
		want Result
	}{
		{"static", nil, Result{Value: false, Variant: "off", Reason: Static, Metadata: attributes{"flagSetId": "shop", "version": "7", "team": "checkout", "risk": 2.0}}},
		{"off", nil, Result{Reason: Disabled}},
		{"code", nil, Result{Reason: Default}},
		{"code-null", nil, Result{Reason: Default}},
		{"code-targeted", nil, Result{Reason: Default}},
		{"code-targeted", attributes{"email": "c@example.com"}, Result{Value: true, Variant: "on", Reason: TargetingMatch}},
		{"empty-rule", nil, Result{Value: true, Variant: "on", Reason: Static}},
		{"staff", attributes{"email": "c@example.com"}, Result{Value: "b", Variant: "new", Reason: TargetingMatch}},
		{"staff", attributes{"email": "c@example.org"}, Result{Value: "a", Variant: "old", Reason: Default}},
		{"staff", attributes{"email": 7.0}, Result{Value: "a", Variant: "old", Reason: Default}},
		{"bool-named", attributes{"plan": "beta"}, Result{Value: 1.0, Variant: "true", Reason: TargetingMatch}},
		{"bool-named", nil, Result{Value: 0.0, Variant: "false", Reason: TargetingMatch}},
		{"number-named", attributes{"n": 1.5}, Result{Value: "more", Variant: "1.5", Reason: TargetingMatch}},
		{"number-named", attributes{"n": 1e6}, Result{Value: "many", Variant: "1000000", Reason: TargetingMatch}},
		{"any", nil, Result{Value: attributes{"x": []any{1.0}}, Variant: "a", Reason: Default}},
		{"any", attributes{"choice": "null"}, Result{Value: attributes{}, Variant: "null", Reason: TargetingMatch}},
		{"any", attributes{"choice": "b"}, Result{Reason: Failed, Code: General, Details: `the rule gives "b", which is no variant`}},
		{"any", attributes{"choice": ""}, Result{Reason: Failed, Code: General, Details: `the rule gives "", which is no variant`}},
		{"any", attributes{"choice": []any{"a"}}, Result{Reason: Failed, Code: General, Details: "the rule gives a list or an object, which is no variant"}},
		{"share", nil, Result{Value: false, Variant: "off", Reason: Default}},
		{"share", attributes{"targetingKey": "user-2"}, Result{Value: true, Variant: "on", Reason: TargetingMatch}},
		{"itself", nil, Result{Value: 1.0, Variant: "itself", Reason: TargetingMatch}},
		{"itself-within", nil, Result{Value: 1.0, Variant: "itself-within", Reason: TargetingMatch}},
		{"since", nil, Result{Value: false, Variant: "off", Reason: Default}},
		{"none", nil, Result{Reason: Failed, Code: NotFound, Details: `there is no flag "none"`}},
	} {
		ctx := &exposure.Context{Attributes: c.with, Timestamp: 999}
		ctx.TargetingKey, _ = c.with["targetingKey"].(string)
		if c.want.Metadata == nil && c.want.Code != NotFound {
			c.want.Metadata = inSet
		}
		if got := set.Evaluate(c.key, ctx); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s with %v:\ngot  %+v\nwant %+v", c.key, c.with, got, c.want)
		}
	}
	if r := set.Evaluate("since", &exposure.Context{Timestamp: 1000}); r.Variant != "on" {
		t.Errorf("from its time on: %+v", r)
	}
	if set.ID != "shop" || set.Version != "7" || set.Len() != len(set.Keys()) || set.Len() != 14 {
		t.Errorf("%q %q %d", set.ID, set.Version, set.Len())
	}
}

func TestEvaluateAs(t *testing.T) {
	set := parsed(t, shop)
	for _, c := range []struct {
		key  string
		want Type
		code Code
	}{
		{"static", Boolean, ""}, {"static", Any, ""}, {"static", String, TypeMismatch}, {"any", Object, ""}, {"any", Number, TypeMismatch},
		{"code", Number, ""}, {"off", String, ""}, {"none", String, NotFound},
	} {
		r := set.EvaluateAs(c.key, c.want, &exposure.Context{})
		if r.Code != c.code || (r.Code == "") != (r.Details == "") || r.Code != "" && r.HasValue() {
			t.Errorf("%s as %s: %+v", c.key, c.want, r)
		}
	}
}

// What is wrong with one flag leaves the others to be evaluated, and the flag too when flagd would.
func TestProblems(t *testing.T) {
	const on = `"state": "ENABLED", "variants": {"on": true, "off": false}`
	for _, c := range []struct {
		flag, problem string
		want          Result // without metadata
	}{
		{`null`, "flags.x: got null, expected a flag", Result{Reason: Failed, Code: ParseError, Details: "the flag is null"}},
		{`{"variants": {"on": true}, "defaultVariant": "on"}`, "flags.x: there is no state, expected state, ENABLED or DISABLED", Result{Value: true, Variant: "on", Reason: Static}},
		{`{"state": "enabled", "variants": {"on": true}}`, `flags.x.state: got the text "enabled", expected ENABLED or DISABLED`, Result{Reason: Default}},
		{`{"state": "ENABLED"}`, "flags.x: there are no variants, expected variants", Result{Reason: Failed, Code: ParseError, Details: "there are no variants"}},
		{`{"state": "ENABLED", "variants": []}`, "flags.x.variants: got a list, expected an object of values by the names of variants", Result{Reason: Failed, Code: ParseError, Details: "variants is a list"}},
		{`{"state": "ENABLED", "variants": {"a": 1, "b": "1"}, "defaultVariant": "b"}`, `flags.x.variants.b: got the text "1", expected a number as the variants before it`, Result{Value: "1", Variant: "b", Reason: Static}},
		{`{"state": "ENABLED", "variants": {"a": null}, "defaultVariant": "a"}`, "flags.x.variants.a: got null, expected a boolean, text, a number or an object", Result{Reason: Failed, Code: TypeMismatch, Details: "the variant is null"}},
		{`{` + on + `, "defaultVariant": "of"}`, `flags.x.defaultVariant: "of" is no variant, expected one of off, on`, Result{Reason: Failed, Code: ParseError, Details: "the default variant is none of the variants"}},
		{`{` + on + `, "defaultVariant": 1}`, "flags.x.defaultVariant: got a number, expected the name of a variant, or null for the caller's default", Result{Reason: Failed, Code: ParseError, Details: "defaultVariant is a number"}},
		{`{` + on + `, "defaultVarient": "on"}`, "flags.x.defaultVarient: unknown field, expected one of state, variants, defaultVariant, targeting, metadata", Result{Reason: Default}},
		{`{` + on + `, "metadata": {"a": []}}`, "flags.x.metadata.a: got a list, expected text, a number or a boolean", Result{Reason: Default}},
		{`{` + on + `, "targeting": {"if": [{"$ref": "gone"}, "on"]}}`, `flags.x.targeting.if[0]["$ref"]: there is no evaluator "gone", expected one of $evaluators`,
			Result{Reason: Failed, Code: ParseError, Details: `rule at /if/0/$ref: there is no evaluator "gone"`}},
		{`{` + on + `, "targeting": {"if": [true, "yes", "off"]}}`, `flags.x.targeting.if[1]: "yes" is no variant, expected one of off, on`, Result{Reason: Failed, Code: General, Details: `the rule gives "yes", which is no variant`}},
		{`{` + on + `, "defaultVariant": "on", "targeting": null}`, `flags.x.targeting: got null, expected a rule, as in {"if": […]}`, Result{Value: true, Variant: "on", Reason: Default}},
		{`{` + on + `, "defaultVariant": "on", "targeting": {"starts_with": ["a"]}}`, "flags.x.targeting.starts_with: got 1 arguments, expected a list of 2", Result{Value: true, Variant: "on", Reason: Default}},
		{`{` + on + `, "state": "DISABLED"}`, "flags.x.state: stands twice, expected each key once", Result{Reason: Disabled}},
	} {
		set, problems := Parse([]byte(`{"flags": {"x": ` + c.flag + `, "y": {` + on + `, "defaultVariant": "on"}}}`))
		if len(problems) != 1 || problems[0].Text() != c.problem {
			t.Errorf("%s: %v\nwant %s", c.flag, problems, c.problem)
		}
		if set == nil {
			t.Fatalf("%s: there is no set", c.flag)
		}
		got := set.Evaluate("x", &exposure.Context{})
		if got.Metadata = nil; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.flag, got, c.want)
		}
		if other := set.Evaluate("y", &exposure.Context{}); other.Value != true {
			t.Errorf("%s: another flag gives %+v", c.flag, other)
		}
	}
}

func TestFilesThatAreNoFlags(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{`[]`, "got a list, expected an object with flags"},
		{`{}`, "there are no flags, expected flags, an object of flags by their keys"},
		{`{"flags": 1}`, "flags: got a number, expected an object of flags by their keys"},
		{`{"flags": {}`, "EOF, expected a JSON object with flags"},
		{`{"flags": {}} {}`, "more follows after the value, expected a JSON object with flags"},
		{strings.Repeat(" ", MaxBytes+1), "the file has 8388609 bytes, expected at most 8 MiB"},
		{`{"flags": {"x": ` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}}`, "nested more than 250 deep, expected a JSON object with flags"},
	} {
		set, problems := Parse([]byte(c.raw))
		if set != nil || len(problems) != 1 || problems[0].Text() != c.want {
			t.Errorf("%.40s: %v, want %s", c.raw, problems, c.want)
		}
	}
}

// Small files cannot make large rules of their evaluators.
func TestEvaluatorsDoNotMultiply(t *testing.T) {
	users := strings.Repeat(`"0123456789",`, 40_000) + `"x"`
	flags := make([]string, 0, 200)
	for i := range 200 {
		flags = append(flags, `"f`+strings.Repeat("x", i)+`": {"state": "ENABLED", "variants": {"on": true}, "targeting": {"if": [{"$ref": "users"}, "on"]}}`)
	}
	set, problems := Parse([]byte(`{"$evaluators": {"users": {"in": [{"var": "targetingKey"}, [` + users + `]]}}, "flags": {` + strings.Join(flags, ",") + `}}`))
	if len(problems) == 0 || !strings.Contains(problems[0].Text(), "expected at most 16 MiB in all") {
		t.Fatalf("%.300v", problems)
	}
	if r := set.Evaluate("f", &exposure.Context{TargetingKey: "x"}); r.Value != true {
		t.Errorf("the first: %+v", r)
	}
}
