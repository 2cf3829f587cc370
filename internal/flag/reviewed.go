package flag

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Reviewed are the environments in which a change of a set alters what is answered, and which have reviewers.
func Reviewed(old, now *Document) []string {
	var envs []string
	for env := range old.Reviewers {
		a, b := answers(old, env), answers(now, env)
		_, still := now.Reviewers[env]
		if !bytes.Equal(a, b) || !still || exposures(old, env) != exposures(now, env) {
			envs = append(envs, env)
		}
	}
	slices.Sort(envs)
	return envs
}

// exposures tells apart how the flags of a set are to be shown in an environment.
func exposures(doc *Document, env string) string {
	var b strings.Builder
	for _, key := range doc.Keys() {
		raw, err := json.Marshal(doc.Flags[key].Plan(env))
		if err == nil {
			b.WriteString(key + string(raw))
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
