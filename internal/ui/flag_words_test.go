package ui

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/rollout"
)

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRulesInWords(t *testing.T) {
	for rule, want := range map[string][]ruleLine{
		`{"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}`:        {{If: "plan is “pro”", Gets: "on"}, {Otherwise: true, Gets: "off"}},
		`{"if": [{"$ref": "staff"}, "on"]}`:                              {{If: "whoever is staff", Gets: "on"}, {Otherwise: true, Gets: "the default variant"}},
		`{"fractional": [["on", 1], ["off", 3]]}`:                        {{Shares: []string{"25 % on", "75 % off"}}},
		`{"fractional": [{"var": "email"}, ["on"], ["off"]]}`:            {{Shares: []string{"by email", "50 % on", "50 % off"}}},
		`{"if": [{"var": "a"}, {"if": [{"var": "b"}, "x", "y"]}, null]}`: {{If: "a"}, {Depth: 1, If: "b", Gets: "x"}, {Depth: 1, Otherwise: true, Gets: "y"}, {Otherwise: true, Gets: "the default variant"}},
		`{"if": [{"and": [{"in": [{"var": "c"}, ["de", "fr"]]}, {"or": [{"!": [{"var": "d"}]}, {">=": [{"var": "n"}, 3]}]}]}, "on"]}`: {
			{If: "c is in “de”, “fr” and (not (d) or n is at least 3)", Gets: "on"}, {Otherwise: true, Gets: "the default variant"}},
		`{"if": [{"sem_ver": [{"var": "v"}, ">=", "2.0.0"]}, true]}`: {{If: "version v >= “2.0.0”", Gets: "true"}, {Otherwise: true, Gets: "the default variant"}},
		`{"cat": ["a", {"var": "x"}]}`:                               {{Gets: `{"cat":["a",{"var":"x"}]}`}},
	} {
		if d := cmp.Diff(want, ruleLines(decoded(t, rule))); d != "" {
			t.Errorf("%s: %s", rule, d)
		}
	}
	deep := strings.Repeat(`{"if":[true,`, 40) + `"on"` + strings.Repeat("]}", 40)
	if n := len(ruleLines(decoded(t, deep))); n == 0 || n > maxRuleLines+1 {
		t.Errorf("a deep rule has %d lines", n)
	}
}

// objects are trees of objects without nulls below, as flags are.
func objects(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		out := map[string]any{}
		for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "on"}), 0, 4, rapid.ID[string]).Draw(t, "keys") {
			switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
			case kind == 0 && depth > 0:
				out[key] = objects(depth-1).Draw(t, "below")
			case kind == 1:
				out[key] = []any{json.Number("1"), map[string]any{"x": nil}}
			case kind == 2:
				out[key] = rapid.Bool().Draw(t, "bool")
			default:
				out[key] = rapid.StringMatching(`[a-z" :#-]{0,8}`).Draw(t, "text")
			}
		}
		return out
	})
}

// mergedInto is RFC 7396.
func mergedInto(target, patch map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range target {
		out[k] = v
	}
	for k, v := range patch {
		below, isObject := v.(map[string]any)
		switch {
		case v == nil:
			delete(out, k)
		case isObject:
			was, _ := out[k].(map[string]any)
			out[k] = mergedInto(was, below)
		default:
			out[k] = v
		}
	}
	return out
}

func TestAnEditIsThePatchThatMakesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := objects(2).Draw(t, "from"), objects(2).Draw(t, "to")
		patch := difference(from, to)
		if got := mergedInto(from, patch); !equalJSON(got, to) {
			t.Fatalf("got %v", got)
		}
		if patch != nil && equalJSON(from, to) {
			t.Fatalf("equal ones differ by %v", patch)
		}
	})
}

func TestAFlagAsTextIsTheSameFlag(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := objects(2).Draw(t, "flag")
		text, err := yamlOf(want)
		if err != nil {
			t.Fatal(err)
		}
		doc, problems := documentOf("# so that it is no empty text and no JSON\n" + text)
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, text)
		}
		got, err := treeOf(doc.Raw)
		if err != nil || !equalJSON(got, want) {
			t.Fatalf("%v, got %v of\n%s", err, got, text)
		}
	})
}

func TestPlanting(t *testing.T) {
	d := draft{"state": "ENABLED"}
	plant(d, "x", "preview", "title")
	plant(d, "y", "preview", "variant")
	plant(d, nil, "exposure", "plan")
	if got := compact(d); got != `{"preview":{"title":"x","variant":"y"},"state":"ENABLED"}` {
		t.Error(got)
	}
	plant(d, nil, "preview", "title")
	plant(d, nil, "preview", "variant")
	if got := compact(d); got != `{"state":"ENABLED"}` {
		t.Error(got)
	}
}

func TestWhatRolloutsAreOf(t *testing.T) {
	for service, want := range map[string][2]string{
		"shop":              {"shop", "/services/shop"},
		"flag:shop:new":     {"shop/new", "/flags/shop/new"},
		"flag:shop:new:eu":  {"shop/new in eu", "/flags/shop/new?environment=eu"},
		"flag:shop:a b:eu1": {"shop/a b in eu1", "/flags/shop/a%20b?environment=eu1"},
	} {
		if got := [2]string{labelOf(service), pageOf(service)}; got != want {
			t.Errorf("%s: %q", service, got)
		}
	}
	s := rollout.State{Service: "flag:shop:new", From: codeDefault, To: "on"}
	if toFirst(s) != "Variant on" || toOf(s) != "variant on" || fromOf(s) != "the caller’s own default" {
		t.Errorf("%q %q %q", toFirst(s), toOf(s), fromOf(s))
	}
	if s = (rollout.State{Service: "shop", To: "nightly"}); toFirst(s) != "nightly" || fromOf(s) != "nothing" {
		t.Errorf("%q %q", toFirst(s), fromOf(s))
	}
}
