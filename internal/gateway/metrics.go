package gateway

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ringfence/ringfence/internal/fleet"
)

// metrics are the golden signals per service, version, ring and unit.
type metrics struct {
	unit      string
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	slow      *prometheus.CounterVec
	failures  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	shed      *prometheus.CounterVec
	ejections *prometheus.CounterVec
	calls     *prometheus.CounterVec
	lastCalls *prometheus.GaugeVec
	notes     notes
}

type seriesKey struct{ service, version, ring string }

func newMetrics(reg *prometheus.Registry, unit string, g *Gateway) *metrics {
	base := []string{"service", "version", "ring", "unit"}
	with := func(l string) []string { return append(append([]string{}, base...), l) }
	m := &metrics{
		unit: unit, registry: reg,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringfence_requests_total", Help: "Requests answered, by status code; 499 when the client left before the answer, 502 also when the answer was cut.",
		}, with("code")),
		slow: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringfence_slow_requests_total", Help: "Requests that took longer than a threshold, in seconds.",
		}, with("over")),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringfence_gateway_failures_total", Help: "Requests that the gateway lost, cut or answered itself with an error.",
		}, with("reason")),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ringfence_request_duration_seconds", Help: "From the request's header to the end of the answer; for streams, to its header.",
			Buckets: []float64{.01, .05, .1, .3, 1, 3, 10}, NativeHistogramBucketFactor: 1.1,
			NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, base),
	}
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringfence_gateway_refused_total", Help: "Requests and connections refused before any service: what could be read in two ways, floods, failed handshakes.",
	}, []string{"reason"})
	m.shed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringfence_gateway_shed_total", Help: "Requests refused because a limit of their service was reached, by class of priority.",
	}, []string{"service", "priority", "limit"})
	m.ejections = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringfence_gateway_ejections_total", Help: "How often an instance was left out for a while because it failed requests and others did not.",
	}, []string{"service", "version"})
	pair := []string{"service", "version", "operation", "caller", "caller_version", "unit"}
	m.calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringfence_calls_total", Help: "Requests by who asked for what: the caller's service and version, and the operation of the called version's interface.",
	}, pair)
	m.lastCalls = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ringfence_call_last_seconds", Help: "When a caller last asked for an operation, in seconds since 1970.",
	}, pair)
	reg.MustRegister(m.lastCalls, m.calls, m.shed, m.ejections, m.refusals, m.requests, m.slow, m.failures, m.seconds, &gauges{g})
	return m
}

// MetricsHandler serves the metrics for a scrape, native histograms included when the scraper asks for them.
func (g *Gateway) MetricsHandler() http.Handler {
	all := promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.sweepRamps(time.Now())
		g.mu.Unlock()
		all.ServeHTTP(w, r)
	})
}

// series is one (service, version, ring) with its counters looked up, so that a request touches no map of labels.
type series struct {
	key     seriesKey
	m       *metrics
	seconds prometheus.Observer
	codes   [600]atomic.Pointer[prometheus.Counter]
	reasons sync.Map // string → prometheus.Counter
	slow    []slowCounter
	users   *userSet
	noted   *noted
}

type slowCounter struct {
	over time.Duration
	n    prometheus.Counter
}

func (m *metrics) series(k seriesKey, slowOver []fleet.Dur, users *userSet) *series {
	s := &series{key: k, m: m, users: users, noted: m.notes.of(k), seconds: m.seconds.WithLabelValues(k.service, k.version, k.ring, m.unit)}
	for _, d := range slowOver {
		over := strconv.FormatFloat(time.Duration(d).Seconds(), 'g', -1, 64)
		s.slow = append(s.slow, slowCounter{time.Duration(d), m.slow.WithLabelValues(k.service, k.version, k.ring, m.unit, over)})
	}
	return s
}

// done counts one answered request.
func (s *series) done(code int, took time.Duration) {
	if code < 100 || code > 599 {
		code = 599 // a code of the service's own invention counts as a failure, not as a label per number
	}
	p := s.codes[code].Load()
	if p == nil {
		c := s.m.requests.WithLabelValues(s.key.service, s.key.version, s.key.ring, s.m.unit, strconv.Itoa(code))
		p = &c
		s.codes[code].Store(p)
	}
	(*p).Inc()
	s.seconds.Observe(took.Seconds())
	for i := range s.slow {
		if took > s.slow[i].over {
			s.slow[i].n.Inc()
		}
	}
}

// failed counts one request that the gateway lost, cut or answered itself with an error.
func (s *series) failed(reason string) {
	c, ok := s.reasons.Load(reason)
	if !ok {
		c, _ = s.reasons.LoadOrStore(reason, s.m.failures.WithLabelValues(s.key.service, s.key.version, s.key.ring, s.m.unit, reason))
	}
	c.(prometheus.Counter).Inc()
}

// refused counts what clients sent that no service gets to see.
func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }

// drop removes what was counted for a service that is gone.
func (m *metrics) drop(k seriesKey) {
	m.notes.by.Delete(k)
	l := prometheus.Labels{"service": k.service, "version": k.version, "ring": k.ring}
	m.requests.DeletePartialMatch(l)
	m.slow.DeletePartialMatch(l)
	m.failures.DeletePartialMatch(l)
	m.seconds.DeletePartialMatch(l)
}

// gauges reads what is in flight and the distinct users at the time of a scrape.
type gauges struct{ g *Gateway }

var (
	inFlightDesc = prometheus.NewDesc("ringfence_requests_in_flight", "Requests and streams not yet answered to the end.", []string{"service", "version"}, nil)
	usersDesc    = prometheus.NewDesc("ringfence_ring_users", "Distinct targeting keys that a version has answered in a ring.", []string{"service", "version", "ring"}, nil)
	limitDesc    = prometheus.NewDesc("ringfence_gateway_limit_requests", "Plain requests that a service may have in flight, where there is a limit.", []string{"service"}, nil)
	outDesc      = prometheus.NewDesc("ringfence_gateway_instances_out", "Instances that are left out because they fail requests.", []string{"service", "version"}, nil)
	heldDesc     = prometheus.NewDesc("ringfence_gateway_held_requests", "Requests waiting for an instance.", nil, nil)
)

func (c *gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- inFlightDesc
	ch <- usersDesc
	ch <- heldDesc
	ch <- limitDesc
	ch <- outDesc
}

func (c *gauges) Collect(ch chan<- prometheus.Metric) {
	g := c.g
	ch <- prometheus.MustNewConstMetric(heldDesc, prometheus.GaugeValue, float64(g.held.Load()))
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, v := range g.versions {
		n := v.inFlight.Load() + int64(v.streams.len())
		ch <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue, float64(n), k.service, k.version)
		out := 0
		for _, e := range *v.endpoints.Load() {
			if e.out(time.Now()) {
				out++
			}
		}
		ch <- prometheus.MustNewConstMetric(outDesc, prometheus.GaugeValue, float64(out), k.service, k.version)
	}
	for service, v := range g.valves {
		if l := v.limit.Load(); l > 0 {
			ch <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(l), service)
		}
	}
	for k, u := range g.users {
		all, _ := u.counts()
		ch <- prometheus.MustNewConstMetric(usersDesc, prometheus.GaugeValue, float64(all), k.service, k.version, k.ring)
	}
}
