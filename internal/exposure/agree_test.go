package exposure

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// A compiled rule gives what the plain interpreter gives, its truth included.
func TestCompiledAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			agree(t, drawRule(t, 4))
		}
	})
}

func agree(t *rapid.T, tree any) {
	raw, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	rule, err := CompileRule(raw, Options{})
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	for range 2 {
		ctx := drawContext(t)
		got, want := rule.Eval(ctx).Any(), reference{refContext(ctx)}.eval(tree)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s of %+v: got %#v, want %#v", raw, *ctx, got, want)
		}
		if rule.Match(ctx) != refTrue(want) {
			t.Fatalf("%s of %+v: Match is not the truth of %#v", raw, *ctx, want)
		}
	}
}

// What a rule says it reads is all that it reads.
func TestAttributesAreAllThatIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, _ := json.Marshal(drawRule(t, 4))
		rule, err := CompileRule(raw, Options{})
		if err != nil {
			t.Fatal(err)
		}
		names, all := rule.Attributes()
		if all {
			return
		}
		ctx := drawContext(t)
		fewer := &Context{TargetingKey: ctx.TargetingKey, FlagKey: ctx.FlagKey, Timestamp: ctx.Timestamp, Attributes: map[string]any{}}
		for _, name := range names {
			if v, ok := ctx.Attributes[name]; ok {
				fewer.Attributes[name] = v
			}
		}
		if got, want := rule.Eval(fewer).Any(), rule.Eval(ctx).Any(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s reads %v of %+v: got %#v, want %#v", raw, names, *ctx, got, want)
		}
	})
}
