package flag

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
)

const (
	base = `{"metadata": {"flagSetId": "shop", "team": "web"}, "$evaluators": {"staff": {"ends_with": [{"var": "email"}, "@a.example"]}}, "flags": {
	  "both": {"state": "ENABLED", "variants": {"a": "base", "b": "staff"}, "defaultVariant": "a", "targeting": {"if": [{"$ref": "staff"}, "b"]}},
	  "first": {"state": "ENABLED", "variants": {"a": "base", "b": "staff"}, "defaultVariant": "a", "targeting": {"if": [{"$ref": "staff"}, "b"]}}}}`
	above = `{"$evaluators": {"staff": {"ends_with": [{"var": "email"}, "@b.example"]}}, "flags": [
	  {"key": "both", "state": "ENABLED", "variants": {"a": "above"}, "defaultVariant": "a", "metadata": {"risk": 2}},
	  {"key": "second", "state": "ENABLED", "variants": {"a": "above", "b": "staff"}, "defaultVariant": "a", "targeting": {"if": [{"$ref": "staff"}, "b"]}},
	  {"key": "moved", "state": "ENABLED", "variants": {"a": 9007199254740991}, "defaultVariant": "a", "metadata": {"flagSetId": "shop"}}]}`
)

func snapshot(t testing.TB, raw ...string) *Snapshot {
	t.Helper()
	var sources []Source
	for i, r := range raw {
		sources = append(sources, Source{Name: fmt.Sprintf("%d.json", i), Raw: []byte(r)})
	}
	s, faults := NewSnapshot(sources...)
	if s == nil {
		t.Fatal(faults)
	}
	return s
}

func TestSelect(t *testing.T) {
	s := snapshot(t, base, above)
	for _, c := range []struct {
		selector string
		keys     []string
		both     any // the value of the flag that stands in two sets
	}{
		{"", []string{"both", "first", "moved", "second"}, "above"},
		{"flagSetId=shop", []string{"both", "first", "moved"}, "base"},
		{"flagSetId=", []string{"both", "second"}, "above"},
		{"source=0.json", []string{"both", "first"}, "base"},
		{"1.json", []string{"both", "moved", "second"}, "above"},
		{"flagSetId=none", nil, nil},
	} {
		v, err := s.Select(c.selector)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Keys(); !reflect.DeepEqual(got, c.keys) {
			t.Errorf("%q: keys %v, want %v", c.selector, got, c.keys)
		}
		if r := v.Evaluate("both", &exposure.Context{}); r.Value != c.both {
			t.Errorf("%q: %+v, want %v", c.selector, r, c.both)
		}
		checkRaw(t, v)
	}
	if _, err := s.Select("team=web"); errs.KindOf(err) != errs.Invalid {
		t.Errorf("a selector that means nothing: %v", err)
	}
	if id := must(s.Select("flagSetId=shop")).ID; id != "shop" {
		t.Errorf("id %q", id)
	}
}

func must(v *View, err error) *View {
	if err != nil {
		panic(err)
	}
	return v
}

// checkRaw: who reads a view's document alone gets the view's answers.
func checkRaw(t testing.TB, v *View) {
	t.Helper()
	again, problems := Parse(v.Raw)
	if again == nil || len(problems) > 0 {
		t.Fatalf("%s: %v", v.Raw, problems)
	}
	if !json.Valid(v.Raw) || again.Len() != v.Len() {
		t.Fatalf("%d flags of %d in %s", again.Len(), v.Len(), v.Raw)
	}
	for _, email := range []string{"", "x@a.example", "x@b.example"} {
		ctx := &exposure.Context{Attributes: map[string]any{"email": email}}
		for _, key := range v.Keys() {
			if got, want := again.Evaluate(key, ctx), v.Evaluate(key, ctx); !reflect.DeepEqual(got, want) {
				t.Errorf("%s for %q: %+v from the document, %+v from the view", key, email, got, want)
			}
		}
	}
}

func TestOneSourceIsHandedOnAsItIs(t *testing.T) {
	if got := string(snapshot(t, base).All().Raw); got != base {
		t.Errorf("got %s", got)
	}
}

func TestVersion(t *testing.T) {
	one := snapshot(t, base, above)
	if same := snapshot(t, base, above); same.Version != one.Version || same.All().Hash != one.All().Hash {
		t.Error("equal content, other versions")
	}
	if turned := snapshot(t, above, base); turned.Version == one.Version || turned.All().Hash == one.All().Hash {
		t.Error("another order, the same version")
	}
	if s, faults := NewSnapshot(Source{Name: "x", Raw: []byte(base)}, Source{Name: "y", Raw: []byte("[]")}); s != nil || len(faults) != 1 || faults[0].Source != "y" {
		t.Errorf("%v %v", s, faults)
	}
	if empty := snapshot(t); empty.All().Len() != 0 || string(empty.All().Raw) != `{"flags":{}}` {
		t.Errorf("%s", empty.All().Raw)
	}
}

func TestChanges(t *testing.T) {
	before := snapshot(t, `{"flags": {"same": {"state": "ENABLED", "variants": {"a": 1}}, "gone": {"state": "ENABLED", "variants": {"a": 1}},
	  "state": {"state": "ENABLED", "variants": {"a": 1}}, "by-rule": {"state": "ENABLED", "variants": {"a": 1}, "targeting": {"$ref": "r"}}}, "$evaluators": {"r": {"if": [true, "a"]}}}`)
	after := snapshot(t, `{"flags": {"same": {"variants": {"a": 1},   "state": "ENABLED"}, "new": {"state": "ENABLED", "variants": {"a": 1}},
	  "state": {"state": "DISABLED", "variants": {"a": 1}}, "by-rule": {"state": "ENABLED", "variants": {"a": 1}, "targeting": {"$ref": "r"}}}, "$evaluators": {"r": {"if": [false, "a"]}}}`)
	want := map[string]Change{"gone": Deleted, "new": Written, "state": Updated, "by-rule": Updated}
	if got := Changes(before.All(), after.All()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if got := Changes(before.All(), before.All()); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// Whatever is merged, each flag answers in the merged document as it does in the last set that has it.
func TestMergedAnswersAreThoseOfTheLast(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var raw []string
		for i := range rapid.IntRange(1, 4).Draw(rt, "sets") {
			flags := map[string]any{}
			for _, key := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), rapid.ID).Draw(rt, "keys") {
				flags[key] = map[string]any{"state": "ENABLED", "variants": map[string]any{"x": i, "y": -1}, "defaultVariant": "x",
					"targeting": map[string]any{"if": []any{map[string]any{"$ref": "e"}, "y"}}}
			}
			domain := rapid.SampledFrom([]string{"@a.example", "@b.example"}).Draw(rt, "domain")
			raw = append(raw, string(encoded(map[string]any{"flags": flags, "$evaluators": map[string]any{"e": map[string]any{"ends_with": []any{map[string]any{"var": "email"}, domain}}}})))
		}
		s := snapshot(t, raw...)
		checkRaw(t, s.All())
		ctx := &exposure.Context{Attributes: map[string]any{"email": "x@a.example"}}
		for _, key := range s.All().Keys() {
			var want Result
			for _, set := range s.Sets {
				if set.Flag(key) != nil {
					want = set.Evaluate(key, ctx)
				}
			}
			if got := s.All().Evaluate(key, ctx); !reflect.DeepEqual(got, want) {
				rt.Fatalf("%s: %+v, want %+v", key, got, want)
			}
		}
	})
}
