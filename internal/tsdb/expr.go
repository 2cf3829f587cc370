package tsdb

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

const (
	maxExpr   = 64 << 10
	maxTokens = 2000
)

// checkExpr refuses expressions that would keep the parser busy: its time grows with the square of the nesting, and
// nothing can interrupt it.
func checkExpr(expr string) error {
	if len(expr) > maxExpr {
		return fmt.Errorf("expression of %d bytes, expected at most %d", len(expr), maxExpr)
	}
	l := parser.Lex(expr)
	for range maxTokens {
		var item parser.Item
		l.NextItem(&item)
		if item.Typ == parser.EOF || item.Typ == parser.ERROR {
			return nil // the parser says what is wrong
		}
	}
	return fmt.Errorf("expression of more than %d tokens", maxTokens)
}

// checkQuery refuses expressions that would keep the parser or the engine busy.
func (db *DB) checkQuery(expr string, from, to time.Time, step time.Duration) error {
	if err := checkExpr(expr); err != nil {
		return err
	}
	return db.checkCost(expr, from, to, step)
}

func (db *DB) parse(expr string) (parser.Expr, error) {
	if err := checkExpr(expr); err != nil {
		return nil, err
	}
	return db.parser.ParseExpr(expr)
}
