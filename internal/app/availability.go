package app

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/availability"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// minutes are what services' availability is read from.
func (s *server) minutes() *availability.Reader {
	return &availability.Reader{Catalog: s.catalog, Record: s.store, Metrics: counted{s.metrics}}
}

// counted fits the metrics to it.
type counted struct{ *tsdb.DB }

func (c counted) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]availability.Line, error) {
	lines, err := c.DB.QueryRange(ctx, expr, from, to, step)
	out := make([]availability.Line, len(lines))
	for i, l := range lines {
		out[i] = availability.Line(l)
	}
	return out, err
}
