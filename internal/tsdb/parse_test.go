package tsdb

import (
	"strings"
	"testing"
	"time"
)

// Whatever a target sends is stored whole, or refused with nothing stored; never is the process hurt.
func FuzzScrape(f *testing.F) {
	for _, kind := range []string{"text/plain", "application/openmetrics-text", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "text/html", ""} {
		for _, body := range []string{"", "a 1\n", "# TYPE a counter\na_total 1\n# EOF\n", "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_count 1\na_sum 1\n", "up 0\na{b=\"c\"} NaN 5\n", "a{b=\"c\",b=\"d\"} 1\n", "\x0a\x03\x0a\x01a", "{\"quoted name\",x=\"y\"} 1\n"} {
			f.Add(kind, []byte(body))
		}
	}
	db, err := Open(Options{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	at := time.Now().Add(-time.Hour).UnixMilli()
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		at++
		in := newIngest(childTarget())
		failure := db.store(&in, at, kind, body, 0, nil)
		if got, want := one(t, db, "up", time.UnixMilli(at)), 1.0; (got == want) != (failure == nil) {
			t.Errorf("up is %v after %v", got, failure)
		}
		if failure != nil && len(in.series) > 0 {
			t.Errorf("%d series remembered of a refused exposition", len(in.series))
		}
	})
}

func TestExpositionFormats(t *testing.T) {
	db := openTest(t, Options{})
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	for i, c := range []struct {
		name, kind, body string
		ok               bool
	}{
		{"text", "text/plain; version=0.0.4", "a 1\n", true},
		{"no content type is text", "", "a 1\n", true},
		{"another content type is text", "application/octet-stream", "a 1\n", true},
		{"OpenMetrics", "application/openmetrics-text; version=1.0.0; charset=utf-8", "# TYPE a gauge\na 1\n# EOF\n", true},
		{"OpenMetrics cut off", "application/openmetrics-text; version=1.0.0; charset=utf-8", "# TYPE a gauge\na 1\n", false},
		{"times are ignored", "text/plain", "a 1 1000\n", true},
		{"a series twice", "text/plain", "a 1\na 2\n", true},
		{"one series written in two ways", "text/plain", "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n", true},
		{"protobuf cut off", accept[:strings.Index(accept, ";q=")], "\x7f\x0a", false},
	} {
		in := newIngest(childTarget())
		when := at.Add(time.Duration(i) * time.Second)
		err := db.store(&in, when.UnixMilli(), c.kind, []byte(c.body), 0, nil)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.ok && one(t, db, "timestamp(a) * (a == 1)", when) != float64(when.Unix()) {
			t.Errorf("%s: a is not 1 at the time of the scrape", c.name)
		}
		if err := db.storeGone(&in, when.UnixMilli()+1); err != nil {
			t.Fatal(err)
		}
	}
}
