package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/ringfence/ringfence/internal/lookout"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// past is a database of metrics for a drill's simulated time.
type past struct {
	*tsdb.Past
	lookout *lookout.Lookout
	at      time.Time
}

// openPast opens one in a folder of its own.
func openPast(dir string) (*past, func() error, error) {
	quiet := slog.New(slog.DiscardHandler)
	db, err := tsdb.Open(tsdb.Options{Dir: dir, Logger: quiet})
	if err != nil {
		return nil, nil, err
	}
	p := &past{Past: db.Past()}
	p.lookout = lookout.New(lookout.Options{Metrics: pastMetrics{watching{db}, p}, Scrape: 15 * time.Second, Logger: quiet})
	return p, db.Close, nil
}

// Look lets the lookout look at a time.
func (p *past) Look(ctx context.Context, at time.Time) error {
	p.at = at
	return p.lookout.Look(ctx, at)
}

// pastMetrics writes what is seen in simulated time, which is long ago, as a scrape.
type pastMetrics struct {
	watching
	past *past
}

func (m pastMetrics) Write(_ context.Context, samples []metric.Sample) ([]metric.Refusal, error) {
	var b bytes.Buffer
	for _, s := range samples {
		fmt.Fprintf(&b, "%s{service=%q} %v\n", s.Labels[metric.Name], s.Labels["service"], s.Value)
	}
	return nil, m.past.Scrape(map[string]string{"job": "ringfence", "instance": "server"}, m.past.at, "text/plain", b.Bytes())
}
