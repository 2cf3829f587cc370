package flag

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// Reviewed are the environments in which a change of a set alters what is answered, or who reviews that, and which have reviewers.
func Reviewed(old, now *Document) []string {
	var envs []string
	for env := range old.Reviewers {
		a, b := answers(old, env), answers(now, env)
		others := !reflect.DeepEqual(old.Reviewers[env], now.Reviewers[env])
		if !bytes.Equal(a, b) || others || old.Bucketing != now.Bucketing || exposures(old, env) != exposures(now, env) {
			envs = append(envs, env)
		}
	}
	slices.Sort(envs)
	return envs
}

// exposures tells apart how the flags of a set are to be shown in an environment, and to those who choose.
func exposures(doc *Document, env string) string {
	var b strings.Builder
	for _, key := range doc.Keys() {
		f, chosen := doc.Flags[key], ""
		if f.Preview != nil {
			chosen = f.Preview.Variant
		}
		raw, err := json.Marshal([]any{key, f.Plan(env), f.Preview != nil, chosen})
		if err == nil {
			b.Write(raw)
		}
	}
	return b.String()
}

// answers is what a set gives in an environment, without what only tells about it.
func answers(doc *Document, env string) []byte {
	raw, _ := Lower(doc, env, Live{}) // what is wrong with it is left out on both sides
	var plain map[string]any
	if json.Unmarshal(raw, &plain) != nil {
		return raw
	}
	delete(plain, "metadata")
	flags, _ := plain["flags"].(map[string]any)
	for _, f := range flags {
		if f, ok := f.(map[string]any); ok {
			delete(f, "metadata")
		}
	}
	raw, err := json.Marshal(plain)
	if err != nil {
		return nil
	}
	return raw
}
