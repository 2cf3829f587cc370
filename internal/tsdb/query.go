package tsdb

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/ringfence/ringfence/internal/errs"
)

const maxPoints = 11_000 // of one series of a range query

// Value is one element of an instant query's result. A scalar has no labels.
type Value struct {
	Labels map[string]string `json:"labels,omitempty"`
	Value  float64           `json:"value"`
}

// Line is one series of a range query's result, for charts: points are Unix seconds and value. Values that no
// chart can draw (NaN, infinities) are left out.
type Line struct {
	Labels map[string]string `json:"labels,omitempty"`
	Points [][2]float64      `json:"points"`
}

// Query evaluates a PromQL expression at one time.
func (db *DB) Query(ctx context.Context, expr string, at time.Time) ([]Value, error) {
	if db.remote != nil {
		return db.remote.instant(ctx, expr, at)
	}
	if err := db.checkQuery(expr, at, at, 0); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "query")
	}
	q, err := db.engine.NewInstantQuery(ctx, db.kept, nil, expr, at)
	if err != nil {
		return nil, queryError(expr, err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, queryError(expr, res.Err)
	}
	switch v := res.Value.(type) {
	case promql.Scalar:
		return []Value{{Value: v.V}}, nil
	case promql.Vector:
		out := make([]Value, 0, len(v))
		for _, s := range v {
			if s.H != nil {
				return nil, errs.E(errs.Invalid, "query %q gives histograms, expected numbers", expr)
			}
			out = append(out, Value{s.Metric.Map(), s.F})
		}
		return out, nil
	default:
		return nil, errs.E(errs.Invalid, "query %q gives a %s, expected a vector or a scalar", expr, v.Type())
	}
}

// QueryRange evaluates a PromQL expression at from, from+step and so on up to to.
func (db *DB) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Line, error) {
	if step <= 0 || to.Before(from) || to.Sub(from)/step > maxPoints {
		return nil, errs.E(errs.Invalid, "query range from %s to %s by %s: expected at most %d points", from, to, step, maxPoints)
	}
	if db.remote != nil {
		return db.remote.lines(ctx, expr, from, to, step)
	}
	if err := db.checkQuery(expr, from, to, step); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "query")
	}
	q, err := db.engine.NewRangeQuery(ctx, db.kept, nil, expr, from, to, step)
	if err != nil {
		return nil, queryError(expr, err)
	}
	defer q.Close()
	m, err := q.Exec(ctx).Matrix()
	if err != nil {
		return nil, queryError(expr, err)
	}
	out := make([]Line, 0, len(m))
	for _, s := range m {
		if len(s.Histograms) > 0 {
			return nil, errs.E(errs.Invalid, "query %q gives histograms, expected numbers", expr)
		}
		l := Line{s.Metric.Map(), make([][2]float64, 0, len(s.Floats))}
		for _, p := range s.Floats {
			if !math.IsNaN(p.F) && !math.IsInf(p.F, 0) {
				l.Points = append(l.Points, [2]float64{float64(p.T) / 1000, p.F})
			}
		}
		out = append(out, l)
	}
	return out, nil
}

func queryError(expr string, err error) error {
	var parse parser.ParseErrors
	var storage promql.ErrStorage
	var many promql.ErrTooManySamples
	kind := errs.Invalid // the expression cannot be evaluated on these series
	switch {
	case errors.As(err, &parse), errors.As(err, &many):
	case isTimeout(err), isCanceled(err):
		kind = errs.Unavailable
	case errors.As(err, &storage):
		kind = errs.Internal
	}
	return errs.Wrap(kind, err, "query %q", expr)
}

func isTimeout(err error) bool {
	var t promql.ErrQueryTimeout
	return errors.As(err, &t) || errors.Is(err, context.DeadlineExceeded)
}

func isCanceled(err error) bool {
	var c promql.ErrQueryCanceled
	return errors.As(err, &c) || errors.Is(err, context.Canceled)
}
