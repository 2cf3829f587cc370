package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/telemetry"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// MetricsConfig is how metrics are kept and taken in.
type MetricsConfig struct {
	Origins []string // of pages that may send telemetry
	Series  int      // how many series a service may have; 0 for the default
}

// openMetrics opens the metrics, and what this process tells of itself.
func (s *server) openMetrics() error {
	var err error
	s.metrics, err = tsdb.Open(tsdb.Options{Dir: filepath.Join(s.Data, "metrics"), Logger: s.Logger, Limited: s.limited, ServiceSeries: s.Metrics.Series})
	if err != nil {
		return err
	}
	s.takes = telemetry.New(telemetry.Options{Metrics: s.metrics, Origins: s.Metrics.Origins, Logger: s.Logger})
	s.registry = prometheus.NewRegistry()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.metrics, s.takes)
	s.own = promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return nil
}

func (s *server) telemetry() api.Telemetry {
	return api.Telemetry{RemoteWrite: s.takes.RemoteWrite(), Metrics: s.takes.OTLP(), MetricsGRPC: s.takes.GRPC()}
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
