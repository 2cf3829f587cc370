package tsdb

import (
	"context"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// leftOut are the files of Prometheus' own tests that need what it has off unless it is asked for, as we do: names of metrics (also in warnings)
// that are dropped late, start times in the storage, labels of types and units, ranges that are anchored, expressions as durations.
var leftOut = map[string]bool{"name_label_dropping.test": true, "start_timestamps.test": true, "type_and_unit.test": true, "extended_vectors.test": true,
	"duration_expression.test": true, "fill-modifier.test": true, "info.test": true, "limit.test": true, "histograms.test": true}

// lengthy are run when COMPLIANCE=all asks for them.
var lengthy = map[string]bool{"functions.test": true, "native_histograms.test": true, "aggregators.test": true}

// stable runs the files of a suite that are not left out.
type stable struct {
	*testing.T
	ran int
}

func (s *stable) Run(name string, f func(*testing.T)) bool {
	name = path.Base(name)
	if leftOut[name] || lengthy[name] && os.Getenv("COMPLIANCE") != "all" {
		return true
	}
	s.ran++
	return s.T.Run(name, f)
}

// ours evaluates by our engine. Experimental functions, which it refuses as Prometheus does, are left to theirs.
type ours struct {
	promql.QueryEngine
	theirs promql.QueryEngine
	n      int
}

func experimental(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "experimental") || strings.Contains(err.Error(), "is not enabled"))
}

func (o *ours) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, expr string, at time.Time) (promql.Query, error) {
	query, err := o.QueryEngine.NewInstantQuery(ctx, q, opts, expr, at)
	if experimental(err) {
		return o.theirs.NewInstantQuery(ctx, q, opts, expr, at)
	}
	o.n++
	return query, err
}

func (o *ours) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, expr string, from, to time.Time, step time.Duration) (promql.Query, error) {
	query, err := o.QueryEngine.NewRangeQuery(ctx, q, opts, expr, from, to, step)
	if experimental(err) {
		return o.theirs.NewRangeQuery(ctx, q, opts, expr, from, to, step)
	}
	o.n++
	return query, err
}

// The engine, as it is set up here, passes Prometheus' own tests of the language.
func TestPromQLCompliance(t *testing.T) {
	db := openTest(t, Options{})
	o := &ours{QueryEngine: db.engine, theirs: promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)}
	s := &stable{T: t}
	promqltest.RunBuiltinTests(s, o)
	if s.ran < 8 || o.n < 500 {
		t.Errorf("only %d files, %d evaluations", s.ran, o.n)
	}
	t.Logf("%d files, %d evaluations", s.ran, o.n)
}
