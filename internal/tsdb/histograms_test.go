package tsdb

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/model/histogram"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
)

// proxy is a gateway's counters as the gateway makes them.
type proxy struct {
	db       *DB
	loop     *loop
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	handler  http.Handler
	down     bool
}

func newProxy(t *testing.T, db *DB) *proxy {
	p := &proxy{db: db}
	p.restart(0)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.down {
			http.Error(w, "down", 500)
			return
		}
		p.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	target, _, err := Target{URL: srv.URL + "/metrics", Labels: map[string]string{"job": "gateway"}, Gateway: true, Interval: time.Minute}.normal()
	if err != nil {
		t.Fatal(err)
	}
	p.loop = newLoop(db, srv.URL, target)
	return p
}

// restart begins again from zero, with at most so many buckets.
func (p *proxy) restart(buckets uint32) {
	labels := []string{"service", "version", "ring", "unit"}
	p.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: requestsMetric, Help: "-"}, append([]string{"code"}, labels...))
	p.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: secondsMetric, Help: "-", Buckets: []float64{.1, 1},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: buckets}, labels)
	reg := prometheus.NewRegistry()
	reg.MustRegister(p.requests, p.seconds)
	p.handler = promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

func (p *proxy) serve(version, ring, unit string, seconds ...float64) {
	for _, s := range seconds {
		p.requests.WithLabelValues("200", "shop", version, ring, unit).Inc()
		p.seconds.WithLabelValues("shop", version, ring, unit).Observe(s)
	}
}

// over is how many requests of a side took longer than v for sure, and how many may have.
func over(s health.HistogramSample, h *health.Histogram, v float64) (sure, may int64) {
	for i, n := range h.Counts {
		if i > 0 && s.Bounds[i-1] >= v {
			sure += n
		}
		if i == len(s.Bounds) || s.Bounds[i] > v {
			may += n
		}
	}
	return sure, may
}

func TestHistograms(t *testing.T) {
	db := openTest(t, Options{})
	a, b := newProxy(t, db), newProxy(t, db)
	t0 := time.Now().Add(-time.Hour).Truncate(time.Second)
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	scrape := func(s int, all ...*proxy) {
		for _, p := range all {
			p.loop.scrape(t.Context(), at(s).UnixMilli())
		}
	}
	a.serve("v1", "all", "eu", 0.2, 0.2, 7)
	b.serve("v1", "all", "us", 0.2, 0.2)
	scrape(0, a, b)
	a.serve("v1", "all", "eu", 0.05, 0.5) // v2 appears, in two rings and two units
	a.serve("v2", "canary", "eu", 0.5, 0.5)
	b.serve("v2", "early", "us", 0.2, 3, 0)
	scrape(5, a, b)
	a.serve("v2", "canary", "eu", 0.5) // a is down, b begins again
	a.down = true
	b.restart(0)
	b.serve("v1", "all", "us", 0.3)
	scrape(10, a, b)
	a.down = false
	a.serve("v1", "all", "eu", 0.1)
	scrape(15, a)
	scrape(20, a, b) // nobody came

	type sums struct{ all, slow int64 } // requests, and those that took longer than 0.4
	none := sums{-1, -1}
	check := func(name string, canary, stable string, from, to int, want [][2]sums, times ...int) {
		t.Helper()
		got, ends, err := db.Histograms(t.Context(), "shop", canary, stable, at(from), at(to))
		if err != nil || len(got) != len(want) || len(ends) != len(want) {
			t.Fatalf("%s: %d samples at %v, %v; expected %d", name, len(got), ends, err, len(want))
		}
		for i, s := range got {
			for k, h := range []*health.Histogram{s.Canary, s.Stable} {
				is := none
				if h != nil {
					sure, may := over(s, h, 0.4)
					if is = (sums{0, sure}); sure != may {
						t.Errorf("%s: sample %d has a bucket around 0.4: %v", name, i, s.Bounds)
					}
					for _, n := range h.Counts {
						is.all += n
					}
				}
				if is != want[i][k] {
					t.Errorf("%s: sample %d, side %d: got %v, expected %v", name, i, k, is, want[i][k])
				}
			}
			if !ends[i].Equal(at(times[i])) {
				t.Errorf("%s: sample %d is of %s, expected %s", name, i, ends[i], at(times[i]))
			}
		}
	}
	all := [][2]sums{{{5, 3}, {2, 1}}, {none, {1, 0}}, {{1, 1}, {1, 0}}, {{0, 0}, {0, 0}}}
	check("everything", "v2", "v1", 0, 20, all, 5, 10, 15, 20)
	check("in parts, 1", "v2", "v1", 0, 7, all[:1], 5)
	check("in parts, 2", "v2", "v1", 7, 20, all[1:], 10, 15, 20)
	check("no stable", "v2", "", 0, 5, [][2]sums{{{5, 3}, none}}, 5)
	check("nothing before the first scrape", "v2", "v1", -60, 4, nil)
	if got, _, err := db.Histograms(t.Context(), "other", "v2", "v1", at(0), at(20)); err != nil || len(got) != 0 {
		t.Errorf("another service: %v, %v", got, err)
	}
	if _, _, err := db.Histograms(t.Context(), "shop", "v1", "v1", at(0), at(20)); !errs.Is(err, errs.Invalid) {
		t.Errorf("a version beside itself: %v", err)
	}
	counted, _, err := db.Counts(t.Context(), CountsQuery{Service: "shop", Canary: "v2", Stable: "v1", From: at(0), To: at(20)})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range counted {
		for k, c := range []*health.Counts{s.Canary, s.Stable} {
			if (c == nil) != (all[i][k] == none) || c != nil && c.Requests != all[i][k].all {
				t.Errorf("sample %d, side %d: %v is not what the counters say, %v", i, k, all[i][k], c)
			}
		}
	}
}

// Latencies drawn at random, with gateways that restart and lower their resolution: what is told of any latency is what was.
func TestHistogramsAsServed(t *testing.T) {
	db := openTest(t, Options{})
	r := rand.New(rand.NewPCG(1, 1))
	gateways := []*proxy{newProxy(t, db), newProxy(t, db)}
	gateways[1].restart(10)
	t0 := time.Now().Add(-time.Hour).Truncate(time.Second)
	served := map[string][][]float64{} // by version and interval
	const n = 30
	for i := range n + 1 {
		for g, p := range gateways {
			if i > 0 && r.IntN(8) == 0 {
				p.loop.scrape(t.Context(), t0.Add(time.Duration(i)*time.Second-500*time.Millisecond).UnixMilli())
				p.restart(uint32(10 * g)) // what came since its last scrape would be lost, here nothing
			}
			for _, v := range []string{"v1", "v2"} {
				for len(served[v]) <= 2*i {
					served[v] = append(served[v], nil)
				}
				for range r.IntN(20) {
					s := math.Exp(2 * r.NormFloat64())
					p.serve(v, "all", "eu", s)
					served[v][2*i] = append(served[v][2*i], s)
				}
			}
			p.loop.scrape(t.Context(), t0.Add(time.Duration(i)*time.Second).UnixMilli())
		}
	}
	got, ends, err := db.Histograms(t.Context(), "shop", "v2", "v1", t0, t0.Add(n*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	q := health.NewQuantile(health.Gate{Signal: health.SignalQuantile})
	for i, s := range got {
		if err := q.Add(s); err != nil {
			t.Fatalf("it cannot be judged: %v", err)
		}
		second := int(ends[i].Sub(t0) / time.Second)
		if !ends[i].Equal(t0.Add(time.Duration(second) * time.Second)) {
			continue // an extra scrape, right before a restart
		}
		for side, h := range map[string]*health.Histogram{"v2": s.Canary, "v1": s.Stable} {
			for _, v := range []float64{0, 0.01, 0.3, 1, 5, 100} {
				want := int64(0)
				for _, x := range served[side][2*second] {
					if x > v {
						want++
					}
				}
				if h == nil {
					t.Fatalf("nothing of %s at second %d", side, second)
				}
				if sure, may := over(s, h, v); sure > want || may < want {
					t.Errorf("second %d, %s: %d of %d took longer than %v, got %d to %d", second, side, want, len(served[side][2*second]), v, sure, may)
				}
			}
		}
	}
	if len(got) < n {
		t.Errorf("%d samples, expected at least %d", len(got), n)
	}
}

// More buckets than a sample may have are merged, not refused.
func TestSampleOfManyBuckets(t *testing.T) {
	h := &histogram.FloatHistogram{Schema: 8, PositiveSpans: []histogram.Span{{Offset: 0, Length: 3000}}, PositiveBuckets: make([]float64, 3000), Count: 3000}
	for i := range h.PositiveBuckets {
		h.PositiveBuckets[i] = 1
	}
	s := sampleOf(h, nil)
	sum := int64(0)
	for _, n := range s.Canary.Counts {
		sum += n
	}
	if len(s.Bounds) > health.MaxBounds || len(s.Bounds) < 300 || sum != 3000 || s.Stable != nil {
		t.Errorf("%d bounds, %d requests", len(s.Bounds), sum)
	}
	if d := cmp.Diff(health.HistogramSample{}, sampleOf(nil, nil)); d != "" {
		t.Error(d)
	}
}

func TestReadings(t *testing.T) {
	db := openTest(t, Options{})
	t0 := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i, v := range []float64{1, 2, math.Inf(1), 4} {
		putScrape(t, db, "a", t0.Add(time.Duration(10*i)*time.Second), map[string]float64{"depth": v, `other{k="x"}`: v, `other{k="y"}`: v})
	}
	value := func(expr string, s int) (float64, error) {
		v, err := db.Value(t.Context(), expr, t0.Add(time.Duration(s)*time.Second))
		if v == nil {
			return math.NaN(), err
		}
		return *v, err
	}
	for _, tc := range []struct {
		expr string
		at   int
		want float64 // NaN: none
	}{{"depth", 10, 2}, {"depth * 2", 15, 4}, {"3", 0, 3}, {"scalar(depth)", 0, 1}, {"sum(other)", 0, 2}, {"missing", 0, math.NaN()}, {"depth", 20, math.NaN()}, {"depth / 0", 0, math.NaN()}, {"0 / 0", 0, math.NaN()}} {
		got, err := value(tc.expr, tc.at)
		if err != nil || got != tc.want && !(math.IsNaN(got) && math.IsNaN(tc.want)) {
			t.Errorf("%s at %d: %v, %v", tc.expr, tc.at, got, err)
		}
	}
	_, err := value("other", 0)
	var many *errs.Error
	if !errs.Is(err, errs.Invalid) || !errors.As(err, &many) || err.Error() != `query "other" gives 2 series, expected one` {
		t.Errorf("several series: %v", err)
	}
	if _, err := value("other +", 0); !errs.Is(err, errs.Invalid) {
		t.Errorf("no expression: %v", err)
	}

	got, err := db.Values(t.Context(), "depth", t0.Add(-600*time.Second), t0.Add(30*time.Second), 10*time.Second)
	if err != nil || len(got) != 64 || !math.IsNaN(got[0]) || !math.IsNaN(got[59]) || got[60] != 1 || got[61] != 2 || !math.IsNaN(got[62]) || got[63] != 4 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := db.Values(t.Context(), "missing", t0, t0.Add(25*time.Second), 10*time.Second); err != nil || len(got) != 3 || !math.IsNaN(got[2]) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := db.Values(t.Context(), "other", t0, t0.Add(time.Second), time.Second); !errs.Is(err, errs.Invalid) {
		t.Errorf("several series: %v", err)
	}
	if _, err := db.Values(t.Context(), "depth", t0, t0.Add(-time.Second), time.Second); !errs.Is(err, errs.Invalid) {
		t.Errorf("backwards: %v", err)
	}
}
