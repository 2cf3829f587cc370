package tsdb

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

func openTest(t testing.TB, o Options) *DB {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// pages answers scrapes from memory, by host name.
type pages struct {
	mu   sync.Mutex
	body map[string]func(*http.Request) (string, error)
	hits map[string]int
}

func (p *pages) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	f := p.body[r.URL.Host]
	if p.hits == nil {
		p.hits = map[string]int{}
	}
	p.hits[r.URL.Host]++
	p.mu.Unlock()
	if f == nil {
		return nil, fmt.Errorf("dial %s: refused", r.URL.Host)
	}
	s, err := f(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Content-Type": {"text/plain; version=0.0.4"}},
		Body: io.NopCloser(strings.NewReader(s)), Request: r}, nil
}

func (p *pages) set(host string, f func(*http.Request) (string, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.body == nil {
		p.body = map[string]func(*http.Request) (string, error){}
	}
	p.body[host] = f
}

// count says how often host was asked.
func (p *pages) count(host string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[host]
}

// text serves fixed text.
func (p *pages) text(host, format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	p.set(host, func(*http.Request) (string, error) { return s, nil })
}

// one returns the only value that an instant query gives.
func one(t *testing.T, db *DB, expr string, at time.Time) float64 {
	t.Helper()
	vs, err := db.Query(context.Background(), expr, at)
	if err != nil {
		t.Fatal(err)
	}
	if len(vs) != 1 {
		t.Fatalf("%s at %s: %d values, expected one: %v", expr, at.UTC(), len(vs), vs)
	}
	return vs[0].Value
}

func none(t *testing.T, db *DB, expr string, at time.Time) {
	t.Helper()
	vs, err := db.Query(context.Background(), expr, at)
	if err != nil {
		t.Fatal(err)
	}
	if len(vs) != 0 {
		t.Fatalf("%s at %s: %v, expected nothing", expr, at.UTC(), vs)
	}
}

// histogram returns the only native histogram that an instant query gives.
func histogramOf(t *testing.T, db *DB, expr string, at time.Time) promql.Sample {
	t.Helper()
	q, err := db.engine.NewInstantQuery(context.Background(), db.tsdb, nil, expr, at)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	v, err := q.Exec(context.Background()).Vector()
	if err != nil || len(v) != 1 || v[0].H == nil {
		t.Fatalf("%s: %v, %v, expected one native histogram", expr, v, err)
	}
	s := v[0]
	s.H = s.H.Copy()
	return s
}

// put stores values at a time as a scrape of job j, instance i would.
func putScrape(t testing.TB, db *DB, instance string, at time.Time, values map[string]float64) {
	t.Helper()
	app := db.tsdb.Appender(context.Background())
	add := func(l labels.Labels, v float64) {
		if _, err := app.Append(0, l, at.UnixMilli(), v); err != nil {
			t.Fatal(err)
		}
	}
	add(labels.FromStrings("__name__", "up", "job", "gateway", "instance", instance), 1)
	for name, v := range values {
		ms, err := db.parser.ParseMetric(name)
		if err != nil {
			t.Fatal(err)
		}
		b := labels.NewBuilder(ms)
		add(b.Set("job", "gateway").Set("instance", instance).Labels(), v)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

func request(t *testing.T, h http.Handler, method, path string, form url.Values) (int, string) {
	t.Helper()
	var r *http.Request
	if method == http.MethodPost {
		r = httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r = httptest.NewRequest(method, path+"?"+form.Encode(), nil)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); got != "application/json" && w.Code != 404 && w.Code != 405 {
		t.Errorf("%s %s: Content-Type %q", method, path, got)
	}
	return w.Code, w.Body.String()
}
