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
		a, _ := Lower(old, env, Live{})
		b, _ := Lower(now, env, Live{})
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
