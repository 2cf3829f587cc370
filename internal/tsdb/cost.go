package tsdb

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// A subquery is evaluated at each of its own steps, also where there is no sample, and each outer step reads a window
// of what came out. The engine bounds samples alone, so that [15d:1ms] would keep it busy until its timeout.
const (
	maxSubSteps = 50_000    // of all subqueries of an expression: 15 days by half minutes
	maxSubReads = 5_000_000 // of their results, by all windows
	defaultStep = time.Minute
)

// checkCost refuses expressions whose subqueries are evaluated too often, which is known before anything is. What
// cannot be parsed is left to the engine, which says why.
func (db *DB) checkCost(expr string, from, to time.Time, step time.Duration) error {
	e, err := db.parser.ParseExpr(expr)
	if err != nil {
		return nil
	}
	if e, err = promql.PreprocessExpr(e, from, to, step); err != nil { // marks what is evaluated only once
		return nil
	}
	span, steps := to.UnixMilli()-from.UnixMilli(), int64(1)
	if step >= time.Millisecond {
		steps += span / step.Milliseconds()
	}
	return new(cost).add(e, span, steps)
}

// cost is what the subqueries looked at so far need.
type cost struct{ steps, reads int64 }

// add takes in a node that is evaluated at so many steps, the first and the last span milliseconds apart.
func (c *cost) add(n parser.Node, span, steps int64) error {
	switch s := n.(type) {
	case *parser.StepInvariantExpr:
		span, steps = 0, 1
	case *parser.SubqueryExpr:
		step := s.Step
		if step == 0 {
			step = defaultStep
		}
		window := s.Range.Milliseconds() / step.Milliseconds()
		span += s.Range.Milliseconds()
		outer := steps
		steps = span/step.Milliseconds() + 1
		is := fmt.Sprintf("[%s:%s]", model.Duration(s.Range), model.Duration(step))
		if c.steps += steps; c.steps > maxSubSteps {
			return fmt.Errorf("subqueries, up to %s, need %d steps for each series, expected at most %d: use longer steps or shorter ranges", is, c.steps, maxSubSteps)
		}
		if c.reads += outer * window; c.reads > maxSubReads {
			return fmt.Errorf("subqueries, up to %s read %d times, need %d results for each series, expected at most %d: use longer steps or shorter ranges",
				is, outer, c.reads, maxSubReads)
		}
	}
	for child := range parser.ChildrenIter(n) {
		if err := c.add(child, span, steps); err != nil {
			return err
		}
	}
	return nil
}
