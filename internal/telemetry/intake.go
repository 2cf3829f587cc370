package telemetry

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/internal/otlp"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// Options of an intake. Only Metrics is needed.
type Options struct {
	Metrics *tsdb.DB
	Origins []string // of browsers that may send
	AtOnce  int      // requests in work at once, of each protocol; default 32
	MaxBody int64    // bytes of a request, before and after unpacking; default 64 MiB
	Logger  *slog.Logger
}

// Intake takes metrics in.
type Intake struct {
	Options
	busy    chan struct{}
	service *otlp.Service
	samples *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// New makes an intake.
func New(o Options) *Intake {
	if o.AtOnce <= 0 {
		o.AtOnce = 32
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Intake{Options: o, busy: make(chan struct{}, o.AtOnce)}
	t.service = otlp.New(otlp.Service{Rejected: "rejectedDataPoints", Take: t.metrics, MaxBody: o.MaxBody, AtOnce: o.AtOnce, Origins: o.Origins, Logger: o.Logger})
	t.samples = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringfence_telemetry_received_samples_total", Help: "Samples that were sent here and stored, by protocol."}, []string{"protocol"})
	t.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ringfence_telemetry_request_seconds", Help: "How long requests with metrics took, by protocol and answer.",
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour}, []string{"protocol", "code"})
	return t
}

// Describe is of prometheus.Collector: the intake tells of itself.
func (t *Intake) Describe(ch chan<- *prometheus.Desc) {
	t.samples.Describe(ch)
	t.seconds.Describe(ch)
}

// Collect is of prometheus.Collector.
func (t *Intake) Collect(ch chan<- prometheus.Metric) {
	t.samples.Collect(ch)
	t.seconds.Collect(ch)
}

// OTLP serves OpenTelemetry's metrics over HTTP.
func (t *Intake) OTLP() http.Handler { return t.service }

// GRPC serves them over gRPC.
func (t *Intake) GRPC() http.Handler { return t.service.GRPC() }
