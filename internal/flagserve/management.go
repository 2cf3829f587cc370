package flagserve

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// management answers whether the server lives, whether it is ready, and how it does.
func (s *Server) management() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	counter := func(name, help string, labels prometheus.Labels, read func() float64) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, read))
	}
	counter("ringfence_flag_evaluations_total", "Evaluations of single flags.", nil, func() float64 { return float64(s.evaluated.Load()) })
	const reloads = "Times that the files were read again, by what became of it."
	counter("ringfence_flag_reloads_total", reloads, prometheus.Labels{"result": "taken"}, func() float64 { return float64(s.reloads[0].Load()) })
	counter("ringfence_flag_reloads_total", reloads, prometheus.Labels{"result": "refused"}, func() float64 { return float64(s.reloads[1].Load()) })
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ringfence_flag_streams", Help: "Open streams."},
		func() float64 { return float64(s.feed.Watchers()) }))

	probe := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(probe, health.NewServer())
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() {
			w.WriteHeader(http.StatusPreconditionFailed)
		}
	})
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			probe.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
