package tsdb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// inBubble runs f with a database and a scraper in simulated time. Run gets what targets returns at each moment.
func inBubble(t *testing.T, p *pages, targets func() []Target, f func(t *testing.T, db *DB)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		db := openTest(t, Options{Dir: dir, Transport: p})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- db.Run(ctx, targets) }()
		f(t, db)
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

func fixedTargets(ts ...Target) func() []Target { return func() []Target { return ts } }

func TestScrapesOfARealRegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	hits := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringfence_requests_total", Help: "Requests."}, []string{"service", "version", "ring", "unit", "code"})
	took := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took_seconds", NativeHistogramBucketFactor: 1.1, Buckets: []float64{.1, 1}})
	reg.MustRegister(hits, took)
	hits.WithLabelValues("shop", "v1", "all", "local", "200").Add(41)
	for _, v := range []float64{.01, .02, .3, 2} {
		took.Observe(v)
	}
	var auth, accepts string
	metrics := promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth, accepts = r.Header.Get("Authorization"), r.Header.Get("Accept")
		metrics.ServeHTTP(w, r)
	}))
	defer srv.Close()

	db := openTest(t, Options{})
	target, _, err := Target{URL: srv.URL + "/metrics", Labels: map[string]string{"job": "gateway", "unit": "local"}, BearerToken: "s3cret", Gateway: true, Interval: time.Minute}.normal()
	if err != nil {
		t.Fatal(err)
	}
	l := newLoop(db, "k", target)
	at := time.Now().Truncate(time.Second)
	l.scrape(t.Context(), at.UnixMilli())
	if auth != "Bearer s3cret" || !strings.HasPrefix(accepts, "application/vnd.google.protobuf") {
		t.Errorf("asked with Authorization %q and Accept %q", auth, accepts)
	}
	if got := one(t, db, `ringfence_requests_total{service="shop",job="gateway",unit="local",exported_unit=""}`, at); got != 41 {
		t.Errorf("requests: %v", got)
	}
	if got := one(t, db, `up{job="gateway",instance="`+strings.TrimPrefix(srv.URL, "http://")+`"}`, at); got != 1 {
		t.Errorf("up: %v", got)
	}
	if got := one(t, db, `scrape_samples_scraped`, at); got != 2 {
		t.Errorf("samples scraped: %v, expected the counter and the native histogram", got)
	}
	if h := histogramOf(t, db, "took_seconds", at); h.H.Count != 4 || h.H.Sum != 2.33 || len(h.H.PositiveBuckets) != 4 {
		t.Errorf("native histogram: %v", h.H)
	}
	if got := db.meta.all("took_seconds")["took_seconds"]; len(got) != 1 || got[0].Type != "histogram" {
		t.Errorf("metadata: %v", got)
	}
	srv.Close()
	later := at.Add(15 * time.Second)
	l.scrape(t.Context(), later.UnixMilli())
	if got := one(t, db, "up", later); got != 0 {
		t.Errorf("up with the server gone: %v", got)
	}
	none(t, db, "took_seconds", later)
	none(t, db, "ringfence_requests_total", later)
}

func TestScrapesAreAlignedAndIndependent(t *testing.T) {
	p := &pages{}
	p.text("good", "a 1\nb 2\n")
	p.set("stuck", func(r *http.Request) (string, error) { <-r.Context().Done(); return "", r.Context().Err() })
	inBubble(t, p, fixedTargets(Target{URL: "http://good/m"}, Target{URL: "http://stuck/m", Timeout: 4 * time.Second}), func(t *testing.T, db *DB) {
		begin := time.Now()
		time.Sleep(61 * time.Second)
		q, err := db.QueryRange(t.Context(), `timestamp(a{instance="good:80"}) - timestamp(b{instance="good:80"})`, begin.Add(5*time.Second), begin.Add(60*time.Second), 5*time.Second)
		if err != nil || len(q) != 1 || len(q[0].Points) != 12 {
			t.Fatalf("%v, %v", q, err)
		}
		for _, pt := range q[0].Points {
			if pt[1] != 0 {
				t.Errorf("series of one scrape are %v s apart", pt[1])
			}
		}
		times, err := db.QueryRange(t.Context(), `timestamp(a)`, begin.Add(5*time.Second), begin.Add(60*time.Second), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, pt := range times[0].Points {
			if pt[0] != pt[1] {
				t.Errorf("the scrape of %v is stored at %v", pt[0], pt[1])
			}
		}
		if got := one(t, db, `max_over_time(up{instance="stuck:80"}[1m])`, time.Now()); got != 0 {
			t.Errorf("up of the target that never answers: %v", got)
		}
		if n := p.count("good"); n != 13 {
			t.Errorf("%d scrapes in 61 s, expected the first and twelve", n)
		}
	})
}

func TestStaleness(t *testing.T) {
	p := &pages{}
	p.text("a", "kept 1\nleaves{x=\"1\"} 1\n")
	var left atomic.Bool
	current := func() []Target {
		if left.Load() {
			return nil
		}
		return []Target{{URL: "http://a/m", Interval: time.Second}}
	}
	inBubble(t, p, current, func(t *testing.T, db *DB) {
		time.Sleep(2500 * time.Millisecond)
		one(t, db, "leaves", time.Now())
		p.text("a", "kept 2\n")
		time.Sleep(time.Second)
		none(t, db, "leaves", time.Now())
		one(t, db, "kept", time.Now())

		p.set("a", func(*http.Request) (string, error) { return "", errors.New("refused") })
		time.Sleep(time.Second)
		none(t, db, "kept", time.Now())
		if got := one(t, db, "up", time.Now()); got != 0 {
			t.Errorf("up: %v", got)
		}
		p.text("a", "kept 3\n")
		time.Sleep(time.Second)
		if got := one(t, db, "kept", time.Now()); got != 3 {
			t.Errorf("kept: %v", got)
		}
		left.Store(true)
		time.Sleep(2 * time.Second)
		none(t, db, "kept", time.Now())
		none(t, db, "up", time.Now())
	})
}

func TestASettingsChangeKeepsScraping(t *testing.T) {
	p := &pages{}
	p.text("a", "x 1\n")
	var seconds atomic.Int64
	seconds.Store(1)
	inBubble(t, p, func() []Target {
		return []Target{{URL: "http://a/m", Interval: time.Duration(seconds.Load()) * time.Second, Gateway: true}}
	}, func(t *testing.T, db *DB) {
		for range 5 {
			time.Sleep(3 * time.Second)
			seconds.Add(1)
		}
		time.Sleep(7 * time.Second)
		if got := one(t, db, "min_over_time(up[20s])", time.Now()); got != 1 {
			t.Errorf("up was %v after a change of settings", got)
		}
		one(t, db, "x", time.Now())
	})
}

func TestARefusedScrapeStoresNothing(t *testing.T) {
	many := &strings.Builder{}
	for i := range maxSamples + 1 {
		fmt.Fprintf(many, "m{i=\"%d\"} 1\n", i)
	}
	wide := &strings.Builder{}
	wide.WriteString("m{")
	for i := range maxLabels + 1 {
		fmt.Fprintf(wide, "l%d=\"x\",", i)
	}
	wide.WriteString("} 1\n")
	for name, body := range map[string]string{
		"broken line":    "m 1\nm{ 2\n",
		"not a number":   "m 1\nn x\n",
		"many samples":   many.String(),
		"large answer":   "m 1\n#" + strings.Repeat("x", maxBody) + "\n",
		"many labels":    wide.String(),
		"long value":     `m{l="` + strings.Repeat("x", maxLabelValue+1) + "\"} 1\n",
		"html":           "<html></html>",
		"nothing parsed": "\x00\x01",
	} {
		t.Run(name, func(t *testing.T) {
			p := &pages{}
			p.text("a", "m 1\n")
			db := openTest(t, Options{Transport: p})
			target, _, _ := Target{URL: "http://a/m"}.normal()
			l := newLoop(db, "k", target)
			at := time.Now().Truncate(time.Second)
			l.scrape(t.Context(), at.UnixMilli())
			one(t, db, "m", at)
			p.set("a", func(*http.Request) (string, error) { return body, nil })
			at = at.Add(time.Second)
			l.scrape(t.Context(), at.UnixMilli())
			if got := one(t, db, "up", at); got != 0 {
				t.Errorf("up: %v", got)
			}
			none(t, db, "m", at)
			if n := len(l.ingest.series); n > 1 {
				t.Errorf("%d series are remembered of an exposition that was refused", n)
			}
		})
	}
}

func TestAServiceCannotTestify(t *testing.T) {
	const lies = "ringfence_requests_total{service=\"shop\",version=\"v2\",code=\"200\"} 1000000\nup 1\nscrape_samples_scraped 7\nhonest{job=\"gateway\",instance=\"gw\"} 3\n"
	p := &pages{}
	p.text("svc", lies)
	db := openTest(t, Options{Transport: p})
	target, _, _ := Target{URL: "http://svc/m", Labels: map[string]string{"job": "services"}}.normal()
	at := time.Now().Truncate(time.Second)
	l := newLoop(db, "k", target)
	l.scrape(t.Context(), at.UnixMilli())
	none(t, db, "ringfence_requests_total", at)
	if got := one(t, db, "scrape_samples_scraped", at); got != 1 {
		t.Errorf("samples scraped: %v", got)
	}
	if got := one(t, db, `honest{job="services",instance="svc:80",exported_job="gateway",exported_instance="gw"}`, at); got != 3 {
		t.Errorf("honest: %v", got)
	}
}

func TestNextTick(t *testing.T) {
	for _, c := range []struct {
		name                      string
		last, now, interval, want int64
	}{
		{"on time", 10_000, 10_020, 5_000, 15_000},
		{"after a first scrape between ticks", 12_345, 12_400, 5_000, 15_000},
		{"slow scrape", 10_000, 14_990, 5_000, 15_000},
		{"just missed", 10_000, 15_001, 5_000, 15_000},
		{"slept through", 10_000, 61_000, 5_000, 60_000},
		{"clock set back", 100_000, 31_000, 5_000, 35_000},
	} {
		if got := nextTick(c.last, c.now, c.interval); got != c.want {
			t.Errorf("%s: %d, expected %d", c.name, got, c.want)
		}
	}
}

func TestTargetsThatCannotBe(t *testing.T) {
	for _, u := range []string{"", "shop", "ftp://a/m", "http://", "http://[::1", "/metrics"} {
		if _, _, err := (Target{URL: u}).normal(); err == nil {
			t.Errorf("%q: accepted", u)
		}
	}
	a, key, err := Target{URL: "https://h/m", Interval: 3 * time.Second, Timeout: time.Minute}.normal()
	if err != nil || key != targetKey("ringfence", "h:443") || a.Timeout != 3*time.Second {
		t.Errorf("%+v, %q, %v", a, key, err)
	}
}
