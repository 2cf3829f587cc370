package rum

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
)

// The script stays small, and does nothing that a strict Content-Security-Policy forbids.
func TestScript(t *testing.T) {
	zipped, _ := packed()
	if len(zipped) >= 5000 {
		t.Errorf("the script has %d bytes, gzipped", len(zipped))
	}
	for _, no := range []string{"eval(", "new Function", "innerHTML", "document.write", "cookie", "localStorage", "sessionStorage", "indexedDB", ".style", "createElement"} {
		if strings.Contains(strings.ReplaceAll(string(script), "No cookies, no storage", ""), no) {
			t.Errorf("the script has %q", no)
		}
	}
}

// place is an Intake whose metrics can be read.
type place struct {
	*Intake
	reg    *prometheus.Registry
	events []Event
	seen   []Error
}

func newPlace(o Options) *place {
	p := &place{reg: prometheus.NewRegistry()}
	o.Registry, o.Unit = p.reg, "local"
	o.Events = func(all []Event) { p.events = append(p.events, all...) }
	o.Seen = func(_, _, _, _ string, e Error) { p.seen = append(p.seen, e) }
	p.Intake = New(o)
	return p
}

var visit = gateway.Visit{Service: "shop", Version: "v1", Ring: "all", Key: "ann", Settings: fleet.RUM{Pages: []string{"/product/{id}", "/help/*"}, Flags: []string{"checkout"}, Events: true},
	Known: func(version, ring string) bool {
		return (version == "v1" || version == "v2") && (ring == "" || ring == "canary" || ring == "all")
	}}

func (p *place) tell(body string, header ...string) int {
	r := httptest.NewRequest(http.MethodPost, "http://shop.test/.ringfence/rum", strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.Serve(w, r, visit)
	return w.Code
}

// value is the sum of a counter, or the number of values of a histogram, with some labels.
func (p *place) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	all, err := p.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && has(m, labels) {
				sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func has(m *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

const told = `{"p":"/product/77","v":"v2","r":"canary","f":{"checkout":"express","other":"x"},"n":1,"m":{"lcp":1200.5,"fcp":700,"ttfb":90,"inp":64,"cls":0.05,"evil":3,"lcq":-1},
 "e":[{"k":"error","m":"ann@example.com has 1234567 points","s":"/app.js:10:5","n":3},{"k":"made-up","m":"x","n":1}],"c":[{"n":"purchase","x":12.5},{"n":"no such name!"}]}`

func TestReport(t *testing.T) {
	p := newPlace(Options{})
	if code := p.tell(told, "Origin", "http://shop.test", "Sec-Fetch-Site", "same-origin"); code != http.StatusNoContent {
		t.Fatal(code)
	}
	base := []string{"service", "shop", "version", "v2", "ring", "canary"}
	for name, want := range map[string]float64{"ringfence_rum_views_total": 1, "ringfence_rum_vital_seconds": 4, "ringfence_rum_layout_shift": 1, "ringfence_rum_errors_total": 3, "ringfence_rum_events_total": 1} {
		if got := p.value(t, name, base...); got != want {
			t.Errorf("%s: %v, expected %v", name, got, want)
		}
	}
	if p.value(t, "ringfence_rum_views_total", "page", "/product/{id}") != 1 || p.value(t, "ringfence_rum_flag_total", "flag", "checkout", "variant", "express", "what", "event purchase") != 1 || p.value(t, "ringfence_rum_flag_total", "flag", "other") != 0 {
		t.Error("the page or the flag is not told apart")
	}
	if len(p.seen) != 1 || p.seen[0].Message != "(address) has (number) points" || p.seen[0].Version != "v2" {
		t.Errorf("%+v", p.seen)
	}
	if len(p.events) != 2 || p.events[0].Version != "v2" || p.events[0].Name != "" || p.events[1].Name != "purchase" || p.events[1].Value != 12.5 || p.events[1].Key != "ann" {
		t.Errorf("%+v", p.events)
	}
	p.tell(`{"p":"/","v":"v9","r":"made-up","n":1}`)
	if p.value(t, "ringfence_rum_views_total", "version", "(gone)") != 1 || p.value(t, "ringfence_rum_views_total", "version", "v9") != 0 {
		t.Error("a version that there is none of is counted by its name")
	}
	p.tell(`{"p":"/","n":1}`)
	if p.value(t, "ringfence_rum_views_total", "version", "v1", "ring", "all") != 1 {
		t.Error("a page that does not say has the version of its user")
	}
	p.tell(told)
	if len(p.seen) != 1 || p.Errors("shop")[0].Count != 6 {
		t.Errorf("an error that is seen again is told again: %+v", p.Errors("shop"))
	}
	for range 20 {
		p.tell(`{"p":"/","v":"v1","e":[{"k":"error","m":"same","n":100000}]}`)
	}
	if p.value(t, "ringfence_rum_errors_total", "version", "v1") != 20*maxCount {
		t.Error("a report counts as much as it says")
	}
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		body   string
		header []string
	}{
		"private": {told, []string{"DNT", "1"}}, "private ": {told, []string{"Sec-GPC", "1"}},
		"origin": {told, []string{"Origin", "https://evil.test"}}, "origin ": {told, []string{"Sec-Fetch-Site", "cross-site"}}, "origin  ": {told, []string{"Origin", "null"}},
		"size":    {`{"p":"/` + strings.Repeat("x", maxReport) + `"}`, nil},
		"invalid": {`{"p":`, nil}, "invalid ": {`{"p":"no path"}`, nil}, "invalid  ": {`[]`, nil},
	} {
		p := newPlace(Options{})
		if code := p.tell(tt.body, tt.header...); code != http.StatusNoContent {
			t.Errorf("%s: answered %d", name, code)
		}
		if p.value(t, "ringfence_rum_refused_total", "reason", strings.TrimSpace(name)) != 1 || p.value(t, "ringfence_rum_views_total") != 0 || len(p.events) != 0 {
			t.Errorf("%s is taken", name)
		}
	}
}

// Whatever pages say, there are few series, and few reports are read at once.
func TestBounds(t *testing.T) {
	p := newPlace(Options{Rate: 1000})
	for i := range 3000 {
		p.tell(fmt.Sprintf(`{"p":"/page-%c%c%c","v":"v1","n":1,"m":{"lcp":1},"e":[{"k":"error","m":"e %d"}],"c":[{"n":"event%d"}],"f":{"checkout":"variant %d"}}`, 'a'+i%26, 'a'+i/26%26, 'a'+i/676, i, i, i))
	}
	all, err := p.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for _, f := range all {
		series += len(f.GetMetric())
	}
	if series > 800 || len(p.Errors("shop")) > keptErrors || len(p.seen) > keptErrors {
		t.Errorf("%d series, %d errors", series, len(p.Errors("shop")))
	}
	if p.value(t, "ringfence_rum_views_total", "page", other) == 0 {
		t.Error("pages that are too many are not counted")
	}
	slow := newPlace(Options{Rate: 1})
	for range 50 {
		slow.tell(told)
	}
	if n := slow.value(t, "ringfence_rum_views_total"); n < 5 || n > 7 {
		t.Errorf("%v of 50 reports at once are taken at 1 a second", n)
	}
}

func TestTemplates(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "": "/", "/cart?user=ann#x": "/cart", "/product/77": "/product/{id}", "/help/a/b": "/help/*", "/order/123/items": "/order/{id}/items",
		"/u/6ba7b810-9dad-11d1-80b4-00c04fd430c8": "/u/{id}", "/a//b/../c": "/a/c", "/blog/my-first-post": "/blog/my-first-post", "/t/0123456789abcdef": "/t/{id}",
		"/1/2/3/4/5/6/7/8/9": other, "/s/" + strings.Repeat("a", 60): "/s/{id}",
	} {
		if got := template(visit.Settings.Pages, path); got != want {
			t.Errorf("%s: %s, expected %s", path, got, want)
		}
	}
}

func TestServeScript(t *testing.T) {
	p := newPlace(Options{})
	r := httptest.NewRequest(http.MethodGet, "http://shop.test/.ringfence/rum.js", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	p.Serve(w, r, visit)
	if w.Code != http.StatusOK || w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() >= 5000 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
		t.Errorf("%d, %v, %d bytes", w.Code, w.Header(), w.Body.Len())
	}
	r.Header.Set("If-None-Match", w.Header().Get("ETag"))
	w = httptest.NewRecorder()
	if p.Serve(w, r, visit); w.Code != http.StatusNotModified {
		t.Error(w.Code)
	}
	h := http.Header{}
	if p.Tell(h, visit); h.Get("Server-Timing") != `rf;desc="v1;all"` {
		t.Error(h)
	}
}

func BenchmarkReport(b *testing.B) {
	p := newPlace(Options{Rate: 1e9})
	b.ReportAllocs()
	for b.Loop() {
		p.tell(told)
	}
}
