package exposure

import "testing"

// someone is the context of the tables below.
var someone = &Context{
	TargetingKey: "alice", FlagKey: "checkout", Timestamp: 1700000000,
	Attributes: map[string]any{
		"plan": "beta", "age": 41, "empty": "", "off": false, "zero": 0.0, "targetingKey": "mallory",
		"user": map[string]any{"name": "Alice", "roles": []any{"admin", "dev"}},
		"tags": []string{"a", "b"}, "numbers": []any{1.0, 2.0, 3.0, 4.0}, "none": nil,
	},
}

// given is a rule and what it gives for someone. The tables put the awkward cases first: they decide what people
// get when an attribute is missing or of another type than the rule expects.
type given struct{ rule, want string }

func check(t *testing.T, cases []given) {
	t.Helper()
	for _, c := range cases {
		if got := try(t, c.rule, someone); got != c.want {
			t.Errorf("%s: got %s, want %s", c.rule, got, c.want)
		}
	}
}

func TestReading(t *testing.T) {
	check(t, []given{
		{`{"var": "plan"}`, `"beta"`},
		{`{"var": ["gone", "x"]}`, `"x"`},
		{`{"var": ["off", true]}`, `false`},
		{`{"var": ["none", 1]}`, `1`},
		{`{"var": "user.name"}`, `"Alice"`},
		{`{"var": "user.roles.1"}`, `"dev"`},
		{`{"var": "user.roles.2"}`, `null`},
		{`{"var": "user.roles.-1"}`, `null`},
		{`{"var": "plan.name"}`, `null`},
		{`{"var": "tags.0"}`, `"a"`},
		{`{"var": {"cat": ["pl", "an"]}}`, `"beta"`},
		{`{"var": "targetingKey"}`, `"alice"`},
		{`{"var": "$flagd.flagKey"}`, `"checkout"`},
		{`{"var": "$flagd.timestamp"}`, `1700000000`},
		{`{"var": "$flagd"}`, `{"flagKey":"checkout","timestamp":1700000000}`},
		{`{"missing": ["plan", "gone", "empty"]}`, `["gone","empty"]`},
		{`{"missing": {"merge": ["plan", "x"]}}`, `["x"]`},
		{`{"missing_some": [1, ["plan", "gone"]]}`, `[]`},
		{`{"missing_some": [2, ["plan", "gone", "lost"]]}`, `["gone","lost"]`},
	})
}

func TestLogic(t *testing.T) {
	check(t, []given{
		{`{"if": [false, 1, false, 2, 3]}`, `3`},
		{`{"if": [{"var": "zero"}, 1]}`, `null`},
		{`{"if": []}`, `null`},
		{`{"?:": [[], 1, 2]}`, `2`},
		{`{"and": [1, "", 2]}`, `""`},
		{`{"or": [0, "a", 2]}`, `"a"`},
		{`{"!": [[0]]}`, `false`},
		{`{"!!": "0"}`, `true`},
		{`{"!!": {}}`, `true`},
	})
}

func TestComparing(t *testing.T) {
	check(t, []given{
		{`{"==": [1, "1"]}`, `true`},
		{`{"==": [0, null]}`, `false`},
		{`{"==": [null, {"var": "gone"}]}`, `true`},
		{`{"==": [true, 1]}`, `true`},
		{`{"==": [0, ""]}`, `true`},
		{`{"!=": ["abc", 1]}`, `true`},
		{`{"===": [1, "1"]}`, `false`},
		{`{"===": [["a", "b"], {"var": "tags"}]}`, `true`},
		{`{"!==": [1, 1]}`, `false`},
		{`{"<": [1, {"var": "age"}, 65]}`, `true`},
		{`{"<": [1, 3, 2]}`, `false`},
		{`{"<": ["10", "9"]}`, `true`},
		{`{"<": ["10", 9]}`, `false`},
		{`{">=": ["abc", 9]}`, `null`},
		{`{"<": [{"var": "gone"}, 1]}`, `true`},
		{`{"<": [1]}`, `null`},
	})
}

func TestArithmetic(t *testing.T) {
	check(t, []given{
		{`{"+": [1, "2", true]}`, `4`},
		{`{"+": "3.5"}`, `3.5`},
		{`{"+": ["abc", 1]}`, `null`},
		{`{"+": {"var": "numbers"}}`, `10`},
		{`{"-": 3}`, `-3`},
		{`{"-": [10, 3, 2]}`, `5`},
		{`{"*": [2, 3, 4]}`, `24`},
		{`{"/": [1, 4]}`, `0.25`},
		{`{"/": [1, 0]}`, `null`},
		{`{"%": [-7, 3]}`, `-1`},
		{`{"%": [7, 0]}`, `null`},
		{`{"max": [1, "3", 2]}`, `3`},
		{`{"min": []}`, `null`},
		{`{"*": [1e308, 10]}`, `null`},
	})
}

func TestText(t *testing.T) {
	check(t, []given{
		{`{"cat": ["a", 1, null, true, 0.5, 1e21, 0.0000001]}`, `"a1true0.51e+211e-7"`},
		{`{"cat": [["a", ["b"]], "c"]}`, `"a,bc"`},
		{`{"substr": ["übergröße", -3, 2]}`, `"öß"`},
		{`{"substr": ["abcdef", 1, -2]}`, `"bcd"`},
		{`{"substr": ["abc", 5]}`, `""`},
		{`{"substr": ["abc", -9, 1]}`, `"a"`},
		{`{"substr": ["abc", 0.9, 1.9]}`, `"a"`},
		{`{"substr": [{"var": "gone"}, 0]}`, `null`},
		{`{"in": ["li", "Alice"]}`, `true`},
		{`{"in": ["dev", {"var": "user.roles"}]}`, `true`},
		{`{"in": [{"var": "age"}, [40, 41]]}`, `true`},
		{`{"in": [{"var": "age"}, ["41"]]}`, `false`},
		{`{"in": [{"var": "gone"}, "abc"]}`, `false`},
		{`{"in": [{"var": "gone"}, ["a", null]]}`, `true`},
		{`{"in": [{"var": "tags"}, [["a", "b"]]]}`, `true`},
		{`{"starts_with": [{"var": "plan"}, "be"]}`, `true`},
		{`{"ends_with": [{"var": "plan"}, "be"]}`, `false`},
		{`{"starts_with": [{"var": "age"}, "4"]}`, `null`},
		{`{"starts_with": ["abc"]}`, `null`},
	})
}

func TestLists(t *testing.T) {
	check(t, []given{
		{`{"merge": [[1, [2]], 3]}`, `[1,[2],3]`},
		{`{"map": [{"var": "numbers"}, {"*": [{"var": ""}, 2]}]}`, `[2,4,6,8]`},
		{`{"map": [{"var": "gone"}, 1]}`, `[]`},
		{`{"map": [[1], {"var": "plan"}]}`, `[null]`},
		{`{"filter": [{"var": "numbers"}, {">": [{"var": ""}, 2]}]}`, `[3,4]`},
		{`{"reduce": [{"var": "numbers"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 10]}`, `20`},
		{`{"all": [[], true]}`, `false`},
		{`{"all": [{"var": "user.roles"}, {"in": [{"var": ""}, "admin dev"]}]}`, `true`},
		{`{"some": [{"var": "user.roles"}, {"==": [{"var": ""}, "dev"]}]}`, `true`},
		{`{"none": [{"var": "gone"}, true]}`, `true`},
		{`[1, {"var": "plan"}]`, `[1,"beta"]`},
		{`{"a": 1, "b": 2}`, `{"a":1,"b":2}`},
	})
}

func TestSemVer(t *testing.T) {
	for _, c := range []struct{ version, relation, other, want string }{
		{"1.2.3", "=", "v1.2.3", "true"}, {"V1.2.3", "=", "1.2.3+build.7", "true"}, {"1.2", "=", "1.2.0", "true"},
		{"1.10.0", ">", "1.9.0", "true"}, {"10.0.0", ">", "9.9.9", "true"}, {"1.0.0", "!=", "1.0.0", "false"},
		{"1.0.0-alpha", "<", "1.0.0", "true"}, {"1.0.0", ">", "1.0.0-rc.1", "true"}, {"1.0.0-alpha.2", "<", "1.0.0-alpha.10", "true"},
		{"1.0.0-alpha", "<", "1.0.0-alpha.1", "true"}, {"1.0.0-1", "<", "1.0.0-a", "true"},
		{"1.2.9", "~", "1.2.0", "true"}, {"1.3.0", "~", "1.2.0", "false"},
		{"1.9.0", "^", "1.0.0", "true"}, {"2.0.0", "^", "1.0.0", "false"},
		{"3.0.0", "<=", "3.0.0", "true"}, {"3.0.1", ">=", "3.0.0", "true"},
		{"1.2.3.4", "=", "1.2.3", "null"}, {"01.2.3", "=", "1.2.3", "null"}, {"1.2-rc", "=", "1.2", "null"},
		{"1.2.3-01", "=", "1.2.3", "null"}, {"", "=", "1.0.0", "null"}, {"1.0.0", "==", "1.0.0", "null"}, {"one", "=", "1.0.0", "null"},
	} {
		ctx := &Context{Attributes: map[string]any{"v": c.version, "w": c.other}}
		for _, other := range []string{`"` + c.other + `"`, `{"var": "w"}`} {
			rule := `{"sem_ver": [{"var": "v"}, "` + c.relation + `", ` + other + `]}`
			if got := try(t, rule, ctx); got != c.want {
				t.Errorf("%s of %s: got %s, want %s", rule, c.version, got, c.want)
			}
		}
	}
	number := &Context{Attributes: map[string]any{"v": 1.2}}
	if got := try(t, `{"sem_ver": [{"var": "v"}, ">=", "1.2.0"]}`, number); got != "true" {
		t.Errorf("a version given as a number: got %s", got)
	}
}
