package exposure

import "testing"

// The variants that flagd's own evaluator (core 0.16.1) gives for these flags and keys.
func TestFractionalBucketsAsFlagd(t *testing.T) {
	four := mustRule(t, `{"fractional": [["a", 10], ["b", 20], ["c", 30], ["d", 40]]}`)
	seeded := mustRule(t, `{"fractional": [{"cat": ["seed", {"var": "targetingKey"}]}, ["a", 1], ["b", 1]]}`)
	for _, c := range []struct{ flag, key, four, seeded string }{
		{"checkout", "alice", "c", "a"},
		{"checkout", "bob", "b", "a"},
		{"checkout", "carol", "d", "a"},
		{"new-cart", "alice", "d", "a"},
		{"", "dave", "b", "a"},
		{"checkout", "äöü", "c", "a"},
		{"checkout", "5c3d8535-f81a-4478-a6d3-afaa4d51199e", "d", "b"},
	} {
		ctx := &Context{FlagKey: c.flag, TargetingKey: c.key}
		if got, _ := four.Eval(ctx).Text(); got != c.four {
			t.Errorf("%+v: got %q for four shares", c, got)
		}
		if got, _ := seeded.Eval(ctx).Text(); got != c.seeded {
			t.Errorf("%+v: got %q with a seed", c, got)
		}
	}
}

func TestFractional(t *testing.T) {
	ctx := &Context{TargetingKey: "alice", FlagKey: "f", Attributes: map[string]any{"tier": "gold", "n": 7.0}}
	for _, c := range []struct{ rule, want string }{
		{`{"fractional": [["only"]]}`, `"only"`},
		{`{"fractional": [["a", 0], ["b", 1]]}`, `"b"`},
		{`{"fractional": [["a", -5], ["b", 1]]}`, `"b"`},
		{`{"fractional": [[true, 100], [false, 0]]}`, `true`},
		{`{"fractional": [[null, 1]]}`, `null`},
		{`{"fractional": [["a", 0], ["b", 0]]}`, `null`},
		{`{"fractional": [["a", 0.5], ["b", 1]]}`, `null`},
		{`{"fractional": [["a", "1"]]}`, `null`},
		{`{"fractional": [["a", 2147483647]]}`, `"a"`},
		{`{"fractional": [["a", 2147483647], ["b", 1]]}`, `null`},
		{`{"fractional": [["a", 2147483648]]}`, `null`},
		{`{"fractional": [[["a"], 1]]}`, `null`},
		{`{"fractional": [[]]}`, `null`},
		{`{"fractional": ["key", "a"]}`, `null`},
		{`{"fractional": []}`, `null`},
		{`{"fractional": [{"var": "gone"}, ["a", 1]]}`, `"a"`}, // falls back to flag and targeting key
		{`{"fractional": [{"var": "n"}, ["a", 1]]}`, `null`},   // a number is no key
		{`{"fractional": [{"var": "tier"}, [{"var": "tier"}, 1]]}`, `"gold"`},
		{`{"fractional": [["a", {"if": [{"==": [{"var": "tier"}, "gold"]}, 0, 1]}], ["b", 1]]}`, `"b"`},
		{`{"fractional": [["a", {"var": "tier"}], ["b", 1]]}`, `null`},
	} {
		if got := try(t, c.rule, ctx); got != c.want {
			t.Errorf("%s: got %s, want %s", c.rule, got, c.want)
		}
	}
	if got := try(t, `{"fractional": [["a", 1]]}`, &Context{FlagKey: "f"}); got != "null" {
		t.Errorf("without a targeting key: got %s, want null", got)
	}
}
