package flag

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is read as a document without a problem is lowered without one, to a set that is read without one.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(checkout))
	f.Add([]byte(flagWith(`"prerequisites": [{"flag": "b", "variants": ["on"]}], "archived": true`)))
	f.Add([]byte(`{"bucketing": "v3", "rebucket": "why", "flags": [{"key": "a", "state": "DISABLED", "variants": {"true": 1}, "targeting": {"$ref": "x"}}], "$evaluators": {"x": {"var": "$flagd.flagKey"}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) { checkDocument(t, raw) })
}

func checkDocument(t interface{ Fatalf(string, ...any) }, raw []byte) {
	d, problems := ParseDocument(raw)
	if d != nil {
		Lower(d, "production", Live{}) // nobody should with problems, but it ends
	}
	if len(problems) > 0 {
		return
	}
	for _, env := range []string{"", "staging", "production"} {
		if !d.HasEnvironment(env) {
			continue
		}
		plain, wrong := Lower(d, env, Live{Choices: map[string]Choices{"checkout": {In: []string{"carol"}}}})
		set, more := Parse(plain)
		if len(wrong)+len(more) > 0 || set.Len() != len(d.Flags) {
			t.Fatalf("%v %v\n%s\n%s", wrong, more, raw, plain)
		}
	}
	if _, err := d.Matrix(MatrixOptions{}); err != nil && len(d.Flags) <= maxMatrix {
		t.Fatalf("%v", err)
	}
	d.Stale(Watch{})
}

// The same of documents in which something stands where something else should.
func TestMistakenDocuments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(mistaken(t, decodedTree(t, rapid.SampledFrom([]string{checkout, flagWith(`"schedule": []`)}).Draw(t, "document"))))
		if err != nil {
			t.Fatal(err)
		}
		checkDocument(t, raw)
	})
}

func decodedTree(t *rapid.T, raw string) (v any) {
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

var oddities = []any{nil, "", 0.0, -1.5, 1e300, true, []any{}, []any{nil}, map[string]any{}, map[string]any{"": nil}, "on", "off", "a", "base", "production", "2026-01-01T00:00:00Z", "v3",
	[]any{"on"}, map[string]any{"var": "$flagd"}, map[string]any{"fractional": []any{[]any{"on", 1.0}}}, map[string]any{"flag": "base", "variant": "off"}, map[string]any{"variant": "on"}}

// mistaken puts an oddity in one place of a tree.
func mistaken(t *rapid.T, tree any) any {
	if rapid.IntRange(0, 4).Draw(t, "here") == 0 {
		return rapid.SampledFrom(oddities).Draw(t, "oddity")
	}
	switch v := tree.(type) {
	case map[string]any:
		keys := append(slices.Sorted(maps.Keys(v)), "schedule", "prerequisites", "exposure", "environments", "archived")
		key := rapid.SampledFrom(keys).Draw(t, "key")
		v[key] = mistaken(t, v[key])
	case []any:
		if len(v) == 0 {
			return []any{rapid.SampledFrom(oddities).Draw(t, "oddity")}
		}
		i := rapid.IntRange(0, len(v)-1).Draw(t, "item")
		v[i] = mistaken(t, v[i])
	default:
		return rapid.SampledFrom(oddities).Draw(t, "oddity")
	}
	return tree
}
