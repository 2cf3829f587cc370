package ddl

import (
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// maxExpr is how long an expression may be.
const maxExpr = 64 << 10

// checkExpr refuses what cannot be one expression: what would end the statement that it is put into.
func checkExpr(what, expr string) error {
	if len(expr) > maxExpr {
		return errs.E(errs.Invalid, "%s has %d bytes, at most %d are taken", what, len(expr), maxExpr)
	}
	all, closed := tokens(expr)
	if len(all) == 0 {
		return errs.E(errs.Invalid, "%s is empty, expected an SQL expression", what)
	}
	depth := 0
	for _, t := range all {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case t.is(";"):
			return errs.E(errs.Invalid, "%s holds a semicolon, expected one SQL expression", what)
		}
		if depth < 0 {
			break
		}
	}
	if !closed || depth != 0 {
		return errs.E(errs.Invalid, "%s: a quote, a comment or a parenthesis is not closed, or closed twice", what)
	}
	return nil
}

// scalar writes an expression so that it can stand anywhere. A query that gives one value may stand for an expression.
// The line break ends a comment that may be its last line.
func scalar(expr string) string {
	if all, _ := tokens(expr); len(all) > 0 && all[0].is("select", "with") {
		return "((" + expr + "\n))"
	}
	return "(" + expr + "\n)"
}

// mentions returns which of the columns an expression may read. It errs on the side of too many.
func mentions(expr, table string, columns []string) []string {
	all, _ := tokens(expr)
	names := map[string]bool{}
	for i, t := range all {
		if !t.name() {
			continue
		}
		follows := i+1 < len(all) && all[i+1].is(".")
		if t.s == table && (!follows || i+2 < len(all) && all[i+2].is("*")) {
			return slices.Clone(columns) // the row as a whole
		}
		names[t.s] = true
	}
	var used []string
	for _, c := range columns {
		if names[c] {
			used = append(used, c)
		}
	}
	return used
}

// isColumn reports whether an expression is nothing but the column.
func isColumn(expr, table, column string) bool {
	all, _ := tokens(expr)
	if len(all) == 3 && all[0].s == table && all[1].is(".") {
		all = all[2:]
	}
	return len(all) == 1 && all[0].name() && all[0].s == column
}

// constant reports whether a default is surely the same for all rows, so that PostgreSQL adds it without a rewrite: literals,
// signs, casts, and the clock, which is read once.
func constant(expr string) bool {
	all, _ := tokens(expr)
	for i, t := range all {
		switch {
		case t.kind == text, t.kind == number, t.is("true", "false", "null", "current_timestamp", "current_date", "+", "-", "(", ")", "[", "]", ",", ":", ".", "array"):
		case t.is("now") && i+2 < len(all) && all[i+1].is("(") && all[i+2].is(")"):
		case t.name() && afterCast(all[:i]):
		default:
			return false
		}
	}
	return len(all) > 0
}

// typeWords is how many words the name of a type has at most: schema.timestamp without time zone.
const typeWords = 6

// afterCast reports whether what follows before is the name of a type: all words since the last ::.
func afterCast(before []token) bool {
	for i := len(before) - 1; i >= max(0, len(before)-typeWords); i-- {
		if before[i].is(":") {
			return i > 0 && before[i-1].is(":")
		}
		if !before[i].name() && !before[i].is(".") {
			return false
		}
	}
	return false
}

// rewrite replaces columns in an expression that PostgreSQL printed, where names are what they seem to be.
func rewrite(expr string, columns map[string]string) string {
	all, _ := scan(expr)
	var b strings.Builder
	at := 0
	for i, t := range all {
		to, ok := columns[t.s]
		if !ok || !t.name() || i > 0 && all[i-1].is(":", ".") || t.kind == word && i+1 < len(all) && all[i+1].is("(") {
			continue
		}
		b.WriteString(expr[at:t.from])
		b.WriteString(Quote(to))
		at = t.to
	}
	return b.String() + expr[at:]
}
