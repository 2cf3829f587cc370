package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/discover"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/telemetry"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// MetricsConfig is how metrics are kept and taken in.
type MetricsConfig struct {
	URL       string   // of a Prometheus-compatible server that keeps them; empty: they are kept here
	Write     string   // where that takes remote write, when it is elsewhere
	TokenFile string   // what that is signed in with
	Origins   []string // of pages that may send telemetry
	Series    int      // how many series a service may have; 0 for the default
}

// openMetrics opens the metrics, and what this process tells of itself.
func (s *server) openMetrics() error {
	var err error
	if s.Metrics.URL != "" {
		token := ""
		if s.Metrics.TokenFile != "" {
			raw, err := os.ReadFile(s.Metrics.TokenFile)
			if err != nil {
				return errs.Wrap(errs.Invalid, err, "--metrics-token-file")
			}
			token = strings.TrimSpace(string(raw))
		}
		s.metrics, err = tsdb.OpenRemote(tsdb.RemoteOptions{URL: s.Metrics.URL, Write: s.Metrics.Write, Token: token, Logger: s.Logger})
	} else {
		s.metrics, err = tsdb.Open(tsdb.Options{Dir: filepath.Join(s.Data, "metrics"), Logger: s.Logger, Limited: s.limited, ServiceSeries: s.Metrics.Series})
	}
	if err != nil {
		return err
	}
	s.takes = telemetry.New(telemetry.Options{Metrics: s.metrics, Origins: s.Metrics.Origins, Logger: s.Logger})
	s.discovery = discover.New(discover.Options{Files: filepath.Join(s.Data, scrapeFolder), Secrets: filepath.Join(s.Data, secretsFolder), Logger: s.Logger})
	s.registry = prometheus.NewRegistry()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.metrics, s.takes)
	s.own = promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return nil
}

func (s *server) telemetry() api.Telemetry {
	return api.Telemetry{RemoteWrite: s.takes.RemoteWrite(), Metrics: s.takes.OTLP(), MetricsGRPC: s.takes.GRPC(), LogsGRPC: s.logsGRPC()}
}

// scrapeFolder holds, below the data folder, the files of targets that Scrapes name.
const scrapeFolder = "scrape"

// discovered are the targets of the declared Scrapes.
func (s *server) discovered(ctx context.Context) []tsdb.Target {
	var all []discover.Named
	for after := ""; ; {
		some, err := s.catalog.List(ctx, resource.KindScrape, after, 100)
		if err != nil { // they are what they were: to be away for a moment is no reason to call series stale
			return s.discovery.Again()
		}
		for _, r := range some {
			if spec, err := resource.As[resource.Scrape](r); err == nil {
				all = append(all, discover.Named{Name: r.Metadata.Name, Spec: spec})
			}
			after = r.Metadata.Name
		}
		if len(some) < 100 {
			return s.discovery.Targets(all)
		}
	}
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
