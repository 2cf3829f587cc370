package ddl

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// maxIdent is how many bytes of a name PostgreSQL keeps.
const maxIdent = 63

// StateSchema is the schema of ours in the database: records, trigger functions, and what programs call.
const StateSchema = "ringfence_schema"

// TriggerName sorts behind the names of users' triggers, so that ours sees what they made of a row.
const TriggerName = "~ringfence_sync"

// Quote writes a name as SQL does.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Literal writes a string as SQL does, whatever standard_conforming_strings says.
func Literal(s string) string {
	q := strings.ReplaceAll(s, `'`, `''`)
	if strings.Contains(s, `\`) {
		return ` E'` + strings.ReplaceAll(q, `\`, `\\`) + `'`
	}
	return `'` + q + `'`
}

func qualified(schema, name string) string { return Quote(schema) + "." + Quote(name) }

func quoteAll(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = Quote(n)
	}
	return strings.Join(q, ", ")
}

// checkName refuses a name that PostgreSQL would cut off, or that is ours.
func checkName(what, name string) error {
	switch {
	case name == "":
		return errs.E(errs.Invalid, "%s has no name", what)
	case len(name) > maxIdent:
		return errs.E(errs.Invalid, "%s %q: the name has %d bytes, at most %d are kept by PostgreSQL", what, name, len(name), maxIdent)
	case strings.ContainsRune(name, 0) || strings.ToValidUTF8(name, "") != name:
		return errs.E(errs.Invalid, "%s %q: the name is not text", what, name)
	case strings.HasPrefix(name, ownPrefix):
		return errs.E(errs.Invalid, "%s %q: names that begin with %s are used during migrations", what, name, ownPrefix)
	}
	return nil
}

const ownPrefix = "_rf_"

// ownName makes a name that stands for name while a migration goes on; the same one each time.
func ownName(kind string, parts ...string) string {
	whole := ownPrefix + kind + "_" + strings.Join(parts, "_")
	if len(whole) <= maxIdent {
		return whole
	}
	sum := sha256.Sum256([]byte(whole))
	return strings.ToValidUTF8(whole[:maxIdent-9], "") + "_" + hex.EncodeToString(sum[:4])
}
