package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// openMetrics opens the metrics, and what this process tells of itself.
func (s *server) openMetrics() error {
	var err error
	s.metrics, err = tsdb.Open(tsdb.Options{Dir: filepath.Join(s.Data, "metrics"), Logger: s.Logger, Limited: s.limited})
	if err != nil {
		return err
	}
	s.registry = prometheus.NewRegistry()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.metrics)
	s.own = promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return nil
}

// itself is this process as a target: it is asked without a way through the network.
func (s *server) itself() tsdb.Target {
	return tsdb.Target{URL: "http://server/metrics", Labels: map[string]string{"job": "ringfence", "instance": "server"}, Interval: s.Scrape, Own: true, Local: s.own}
}

// limited records that a service has all the series that it may have.
func (s *server) limited(l metric.Limited) {
	e, err := audit.New(time.Now(), metric.LimitedEvent, "system:telemetry", "service/"+l.Service, l)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err = s.store.Commit(ctx, store.Write{Events: []audit.Event{e}})
	}
	if err != nil {
		s.Logger.Error("a limit of metrics could not be recorded", "service", l.Service, "err", err)
	}
}
