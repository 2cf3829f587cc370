package exposure

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// A rule compiled for a flag gives what the rule gives in the context of that flag.
func TestRuleOfAFlag(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(drawRule(t, 4))
		if err != nil {
			t.Fatal(err)
		}
		free, err := CompileRule(raw, Options{})
		if err != nil {
			t.Fatal(err)
		}
		bound, err := CompileRule(raw, Options{FlagKey: "flag"})
		if err != nil {
			t.Fatal(err)
		}
		ctx := drawContext(t)
		other := *ctx
		ctx.FlagKey = "flag"
		if got, want := bound.Eval(&other).Any(), free.Eval(ctx).Any(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s of %+v: got %#v, want %#v", raw, other, got, want)
		}
		if bound.Match(&other) != free.Match(ctx) {
			t.Fatalf("%s of %+v: Match differs", raw, other)
		}
	})
}
