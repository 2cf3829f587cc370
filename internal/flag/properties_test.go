package flag

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/exposure"
)

func drawContext(t *rapid.T) *exposure.Context {
	c := &exposure.Context{Timestamp: rapid.Int64Range(0, 2e9).Draw(t, "time"), Attributes: map[string]any{}}
	c.TargetingKey = rapid.SampledFrom([]string{"", "alice", "bob", "äöü"}).Draw(t, "key")
	values := []any{nil, "beta", "c@example.com", "2.1.0", "", 1.0, true, []any{"a"}, map[string]any{"x": "y"}}
	for _, name := range []string{"plan", "email", "version", "n", "choice"} {
		if rapid.Bool().Draw(t, "has") {
			c.Attributes[name] = rapid.SampledFrom(values).Draw(t, name)
		}
	}
	return c
}

// An answer is always one of: an error without a value, a variant of the flag with its value, or no value and a reason for it.
func checkAnswer(t interface{ Fatalf(string, ...any) }, set *Set, key string, r Result) {
	f := set.Flag(key)
	switch {
	case r.Code != "":
		if r.Reason != Failed || r.HasValue() || r.Value != nil || r.Details == "" {
			t.Fatalf("%s: %+v", key, r)
		}
	case !r.HasValue():
		if r.Reason != Default && r.Reason != Disabled || r.Value != nil || (r.Reason == Disabled) == f.Enabled {
			t.Fatalf("%s: %+v", key, r)
		}
	default:
		v, ok := f.Value(r.Variant)
		if !ok || !reflect.DeepEqual(v, r.Value) || !f.Enabled || r.Reason == Static == f.Targeted() {
			t.Fatalf("%s: %+v", key, r)
		}
	}
}

func TestAnswersAreWhole(t *testing.T) {
	set := parsed(t, shop)
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom(set.Keys()).Draw(t, "flag")
		ctx := drawContext(t)
		r := set.Evaluate(key, ctx)
		checkAnswer(t, set, key, r)
		if again := set.Evaluate(key, ctx); !reflect.DeepEqual(r, again) {
			t.Fatalf("%s: %+v and then %+v", key, r, again)
		}
	})
}

// Whoever is in a share stays in it while it grows.
func TestSharesGrow(t *testing.T) {
	sets := make([]*Set, 101)
	for percent := range sets {
		sets[percent] = parsed(t, `{"flags": {"ramp": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting":
			{"fractional": [["on", `+strconv.Itoa(percent)+`], ["off", `+strconv.Itoa(100-percent)+`]]}}}}`)
	}
	rapid.Check(t, func(t *rapid.T) {
		ctx := &exposure.Context{TargetingKey: rapid.StringN(1, 20, 40).Draw(t, "key")}
		last := false
		for percent, set := range sets {
			on := set.Evaluate("ramp", ctx).Value == true
			if last && !on || percent == 0 && on || percent == 100 && !on {
				t.Fatalf("%q at %d %%: %v after %v", ctx.TargetingKey, percent, on, last)
			}
			last = on
		}
	})
}

// Whatever is read, what comes of it can be evaluated, and says of every problem what was expected.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/flagd-schemas/fl*/*/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(shop))
	f.Add([]byte(measured))
	for _, raw := range []string{`{"flags": [null, {"key": ""}, {"key": "a"}, {"key": "a"}]}`, `{"flags": {"": {}}, "metadata": [], "$evaluators": {"a": {"$ref": "a"}}}`,
		`{"flags": {"a": {"variants": {"x": [], "y": null, "": 1e400}, "targeting": {"fractional": [["x"], [], 1, [[], {}]]}}}}`,
		`{"flags": {"a": {"targeting": {"sem_ver": [1], "var": []}}, "a": 1}}`, `{"flags": {"a": {"targeting": {"!": {"var": {"!!": []}}}}}}`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, problems := Parse(raw)
		if set == nil && len(problems) == 0 {
			t.Fatal("nothing, and no reason")
		}
		for _, p := range problems {
			if p.Msg == "" {
				t.Fatalf("%+v", p)
			}
		}
		if set == nil {
			return
		}
		for _, key := range set.Keys() {
			r := set.Evaluate(key, &exposure.Context{TargetingKey: "alice", Attributes: map[string]any{"email": "c@example.com", "n": 1.0}})
			if len(problems) == 0 {
				checkAnswer(t, set, key, r)
			}
			if _, err := json.Marshal(r.Value); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
		}
	})
}
