package app

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/lookout"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// openLookout makes what watches traffic.
func (s *server) openLookout() *lookout.Lookout {
	return lookout.New(lookout.Options{Metrics: watching{s.metrics}, Scrape: s.Scrape, Logger: s.Logger})
}

// watching fits the metrics to the lookout.
type watching struct{ *tsdb.DB }

func (w watching) Lines(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]lookout.Line, error) {
	lines, err := w.DB.QueryRange(ctx, expr, from, to, step)
	out := make([]lookout.Line, len(lines))
	for i, l := range lines {
		out[i] = lookout.Line(l)
	}
	return out, err
}

func (w watching) Write(ctx context.Context, samples []metric.Sample) ([]metric.Refusal, error) {
	return w.DB.Write(ctx, samples)
}
