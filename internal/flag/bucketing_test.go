package flag

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/exposure"
)

// Which variant each context has by version 3, as the flagd project expects it of every implementation (the examples tagged
// fractional-v3 in the features of open-feature/flagd-testbed 3.9.0).
func TestBucketingV3(t *testing.T) {
	raw, err := os.ReadFile("testdata/fractional-v3.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors [][3]json.RawMessage
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	suits := `["clubs", 25], ["diamonds", 25], ["hearts", 25], ["spades", 25]`
	shared := `{"cat": ["shared-seed", {"var": "user.name"}]}, ` + suits
	var buckets []string
	for i := range 25 {
		buckets = append(buckets, fmt.Sprintf(`["bucket%d", 4]`, i+1))
	}
	set := v3Set(t, map[string]string{
		"fractional-flag":               `{"cat": [{"var": "$flagd.flagKey"}, {"var": "user.name"}]}, ` + suits,
		"fractional-flag-A-shared-seed": shared,
		"fractional-flag-B-shared-seed": shared,
		"fractional-flag-shorthand":     `["heads"], ["tails", 1]`,
		"fractional-basic-flag":         `{"var": "hashing_input"}, ` + strings.Join(buckets, ", "),
	})
	if set.Bucketing != exposure.V3 || len(vectors) != 132 {
		t.Fatalf("bucketing %s, %d vectors", set.Bucketing, len(vectors))
	}
	for _, v := range vectors {
		var key, want string
		ctx := &exposure.Context{}
		for i, to := range []any{&key, &ctx.Attributes, &want} {
			if err := json.Unmarshal(v[i], to); err != nil {
				t.Fatal(err)
			}
		}
		ctx.TargetingKey, _ = ctx.Attributes["targetingKey"].(string)
		r := set.Evaluate(key, ctx)
		if got := strings.TrimPrefix(r.Variant, "ace-of-"); got != strings.TrimPrefix(want, "ace-of-") {
			t.Errorf("%s of %s is %s, want %s", key, v[1], r.Variant, want)
		}
	}
}

// v3Set has flags with a fractional each, whose variants are those of the shares.
func v3Set(t *testing.T, fractionals map[string]string) *Set {
	t.Helper()
	flags := map[string]any{}
	for key, arguments := range fractionals {
		var rule map[string][]any
		if err := json.Unmarshal([]byte(`{"fractional": [`+arguments+`]}`), &rule); err != nil {
			t.Fatal(err)
		}
		variants := map[string]any{"draw": "draw"}
		for _, share := range rule["fractional"] {
			if list, ok := share.([]any); ok {
				variants[list[0].(string)] = list[0]
			}
		}
		flags[key] = map[string]any{"state": "ENABLED", "variants": variants, "defaultVariant": "draw", "targeting": rule}
	}
	raw, err := json.Marshal(map[string]any{"flags": flags, "metadata": map[string]any{bucketingKey: "v3"}})
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, string(raw))
}

func TestCheckChange(t *testing.T) {
	doc := func(fields string) *Document {
		return documented(t, `{`+fields+`"flags": {}}`)
	}
	for _, c := range []struct {
		old, new string
		problems int
	}{
		{``, `"bucketing": "v2", `, 0},
		{``, `"bucketing": "v3", `, 1},
		{``, `"bucketing": "v3", "rebucket": "as all our SDKs now do", `, 0},
		{`"bucketing": "v3", "rebucket": "as all our SDKs now do", `, `"rebucket": "as all our SDKs now do", `, 1},
		{`"bucketing": "v3", "rebucket": "as all our SDKs now do", `, `"rebucket": "back: Java lags", `, 0},
	} {
		if got := CheckChange(doc(c.old), doc(c.new)); len(got) != c.problems {
			t.Errorf("from %q to %q: %v", c.old, c.new, got)
		}
	}
}

// A plain set says by which version it is meant, and keeps saying it when it comes out of a document.
func TestBucketingIsTold(t *testing.T) {
	d := documented(t, `{"bucketing": "v3", "metadata": {"flagSetId": "shop"}, "flags": {}}`)
	if s := lowered(t, d, "", Live{}); s.Bucketing != exposure.V3 || s.ID != "shop" {
		t.Errorf("bucketing %q of set %q", s.Bucketing, s.ID)
	}
	if d.Metadata[bucketingKey] != nil {
		t.Error("the document's own metadata was written to")
	}
}

// Sets of both versions that are put together to one go on placing their users as they did.
func TestBucketingOfMergedSets(t *testing.T) {
	const old = `{"flags": {"old": {"state": "ENABLED", "variants": {"a": "a", "b": "b"}, "targeting": {"fractional": [["a", 50], ["b", 50]]}}}}`
	const new = `{"metadata": {"ringfence.bucketing": "v3"}, "flags": {"new": {"state": "ENABLED", "variants": {"a": "a", "b": "b"}, "targeting": {"fractional": [["a", 50], ["b", 50]]}}}}`
	s, faults := NewSnapshot(Source{"old", []byte(old)}, Source{"new", []byte(new)})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	view, err := s.Select("")
	if err != nil {
		t.Fatal(err)
	}
	merged := parsed(t, string(view.Raw))
	differ := 0
	for i := range 200 {
		ctx := &exposure.Context{TargetingKey: fmt.Sprint("user-", i)}
		for key, set := range map[string]*Set{"old": parsed(t, old), "new": parsed(t, new)} {
			if got, want := merged.Evaluate(key, ctx).Variant, set.Evaluate(key, ctx).Variant; got != want {
				t.Fatalf("%s of %s is %s, was %s", key, ctx.TargetingKey, got, want)
			}
		}
		if merged.Evaluate("old", ctx).Variant != merged.Evaluate("new", ctx).Variant {
			differ++
		}
	}
	if differ < 50 {
		t.Errorf("only %d differ", differ)
	}
}
