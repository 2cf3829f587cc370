package ddl

import (
	"fmt"

	"github.com/ringfence/ringfence/internal/errs"
)

// rawSQL runs statements of the author's: at the start, and then alone in its migration since what they do is not known, or at
// the contract. What they may do to those who use the database is for the lint to say.
type rawSQL struct {
	Up         string `json:"up"`
	Down       string `json:"down"`
	OnComplete bool   `json:"onComplete"`

	plain bool // not to be run in a transaction
}

func (o *rawSQL) kind() string { return "sql" }

func (o *rawSQL) validate(b *build) error {
	up, closed := split(o.Up)
	down, ended := split(o.Down)
	switch {
	case len(o.Up) > MaxFile || len(o.Down) > MaxFile:
		return errs.E(errs.Invalid, "the SQL is longer than %d bytes", MaxFile)
	case len(up) == 0:
		return errs.E(errs.Invalid, "up is empty, expected SQL")
	case !closed || !ended:
		return errs.E(errs.Invalid, "a quote, a comment or a parenthesis in the SQL is not closed")
	case o.OnComplete && o.Down != "":
		return errs.E(errs.Invalid, "down cannot be given with onComplete: what is completed is not taken back")
	case !o.OnComplete && len(b.m.Operations) > 1:
		return errs.E(errs.Invalid, "an sql operation stands alone in its migration, as what it does to the tables is not known").Next("Split the migration, or set onComplete.")
	}
	for _, s := range down {
		if transactionless(s) {
			return errs.E(errs.Invalid, "line %d of down: what cannot run in a transaction cannot be part of a rollback, which is one", s.line)
		}
	}
	for _, s := range append(up, down...) {
		if first := s.tokens[0]; first.is("begin", "commit", "rollback", "end", "abort", "savepoint", "release", "start", "prepare", "copy") {
			return errs.E(errs.Invalid, "line %d: %s is not for a migration, which has transactions of its own", s.line, first.s)
		}
		if transactionless(s) {
			if o.OnComplete {
				return errs.E(errs.Invalid, "line %d: what cannot run in a transaction cannot be part of the contract, which is one", s.line)
			}
			o.plain = true
		}
	}
	return nil
}

func (o *rawSQL) start(b *build) error {
	if o.OnComplete {
		return nil
	}
	b.fromCatalog = true
	statements, _ := split(o.Up)
	if !o.plain {
		b.raws = append(b.raws, Step{Kind: StepQuick, Title: "run the SQL of the migration", SQL: texts(statements), Takes: quick})
		return nil
	}
	for i, s := range statements {
		b.raws = append(b.raws, Step{Kind: StepPlain, Title: fmt.Sprintf("run statement %d of the migration's SQL, outside of a transaction", i+1), SQL: []string{s.src}, Takes: quick})
	}
	return nil
}

func (o *rawSQL) complete(b *build) {
	if o.OnComplete {
		statements, _ := split(o.Up)
		b.contract = append(b.contract, texts(statements)...)
	}
}

func (o *rawSQL) rollback(b *build) {
	statements, _ := split(o.Down)
	b.undo = append(b.undo, texts(statements)...)
}

func texts(statements []statement) []string {
	all := make([]string, len(statements))
	for i, s := range statements {
		all[i] = s.src
	}
	return all
}

// transactionless reports whether PostgreSQL refuses a statement within a transaction.
func transactionless(s statement) bool {
	t := s.tokens
	switch {
	case t[0].is("vacuum"), t[0].is("create", "drop") && len(t) > 1 && t[1].is("database", "tablespace", "subscription"), t[0].is("alter") && len(t) > 1 && t[1].is("system"):
		return true
	case t[0].is("create", "drop", "reindex", "refresh"):
		for _, k := range t {
			if k.is("concurrently") {
				return t[0].s != "refresh"
			}
			if k.is("(", "as") {
				break
			}
		}
	}
	return false
}
