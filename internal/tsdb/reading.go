package tsdb

import (
	"context"
	"math"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Value evaluates an expression that gives one number: a scalar or a single series. It is nil when there is none, or
// none that is a finite number.
func (db *DB) Value(ctx context.Context, expr string, at time.Time) (*float64, error) {
	all, err := db.Query(ctx, expr, at)
	switch {
	case err != nil || len(all) == 0:
		return nil, err
	case len(all) > 1:
		return nil, several(expr, len(all))
	case math.IsNaN(all[0].Value) || math.IsInf(all[0].Value, 0):
		return nil, nil
	}
	return &all[0].Value, nil
}

// Values evaluates such an expression at from, from+step and so on up to to. Where there is no finite number it gives NaN.
func (db *DB) Values(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]float64, error) {
	lines, err := db.QueryRange(ctx, expr, from, to, step)
	if err != nil {
		return nil, err
	}
	if len(lines) > 1 {
		return nil, several(expr, len(lines))
	}
	values := make([]float64, 1+to.Sub(from)/step)
	for i := range values {
		values[i] = math.NaN()
	}
	start := float64(from.UnixMilli()) / 1000
	for _, l := range lines {
		for _, p := range l.Points {
			if i := int(math.Round((p[0] - start) / step.Seconds())); i < len(values) {
				values[i] = p[1]
			}
		}
	}
	return values, nil
}

func several(expr string, n int) error {
	return errs.E(errs.Invalid, "query %q gives %d series, expected one", expr, n).Next("aggregate them, with sum(…) for one, or choose one by its labels")
}
