package browser

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
	"github.com/ringfence/ringfence/internal/rum"
)

// rumPage allows scripts of its own origin and nothing else. What it notes of errors is the page's own, not the script's.
const rumPage = `<!doctype html><html><head><meta charset="utf-8"><title>%s</title><script src="/before.js"></script>
<script defer src="/.ringfence/rum.js"></script><script defer src="/app.js"></script></head><body><h1>Shop</h1><p>Have a cup of tea.</p><button id="buy">Buy</button><button id="break">Break</button></body></html>`

const rumApp = `document.getElementById("buy").addEventListener("click", function () { ringfence.event("purchase", 12.5); window.bought = (window.bought || 0) + 1; });
document.getElementById("break").addEventListener("click", function () { Promise.reject(new Error("no stock")); for (var i = 0; i < 3; i++) setTimeout(function () { throw new TypeError("the cart is gone"); }); });`

// rumShop is a service behind a gateway, whose pages tell.
type rumShop struct {
	*rig
	url    string
	reg    *prometheus.Registry
	events atomic.Int64
	quiet  atomic.Bool // the browser asks not to be tracked
	hang   atomic.Bool // what takes reports does not answer
	posts  atomic.Int64
	stop   chan struct{}
}

func newRUMShop(t *testing.T) *rumShop {
	s := &rumShop{rig: &rig{t: t, dir: t.TempDir(), shots: t.TempDir()}, reg: prometheus.NewRegistry(), stop: make(chan struct{})}
	path := browserPath(t)
	back := httptest.NewServer(http.HandlerFunc(s.answer))
	t.Cleanup(back.Close)
	in := rum.New(rum.Options{Registry: s.reg, Unit: "local", Events: func(all []rum.Event) { s.events.Add(int64(len(all))) }})
	g := gateway.New(gateway.Options{Registry: s.reg, Pages: in})
	must(t, g.Apply(t.Context(), []fleet.Service{{Name: "shop", Generation: 1, Route: fleet.Route{Host: "shop.localhost", RUM: &fleet.RUM{Events: true}},
		Rings: []fleet.Ring{{Name: "canary"}}, Exposure: []string{"v2"}, Slots: []fleet.Slot{{Version: "v2"}}}}))
	g.SetEndpoints("shop", "v2", []fleet.Endpoint{{Service: "shop", Version: "v2", ID: "shop/v2/1", Address: strings.TrimPrefix(back.URL, "http://")}})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if s.posts.Add(1); s.hang.Load() {
				<-s.stop
				return
			}
		}
		g.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { close(s.stop); front.CloseClientConnections(); front.Close() })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(front.URL, "http://"))
	must(t, err)
	s.url = "http://shop.localhost:" + port
	s.open(path)
	return s
}

func (s *rumShop) answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/before.js":
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, `window.faults = []; window.addEventListener("error", function (e) { window.faults.push(e.message); });`)
		if s.quiet.Load() {
			fmt.Fprint(w, `Object.defineProperty(navigator, "globalPrivacyControl", { value: true });`)
		}
	case "/app.js":
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, rumApp)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
		fmt.Fprintf(w, rumPage, r.URL.Path)
	}
}

// counted is the sum of a counter, or the number of values of a histogram, over series that have all of these labels.
func (s *rumShop) counted(name string, labels ...string) float64 {
	all, err := s.reg.Gather()
	must(s.t, err)
	sum := 0.0
	for _, f := range all {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// A real browser tells of a page with a strict policy how it was, what its script broke and what its user did: once.
func TestRUM(t *testing.T) {
	s := newRUMShop(t)
	s.do(chromedp.Navigate(s.url+"/product/77?secret=1"), chromedp.WaitVisible(css("#buy")))
	s.sees("what is largest painted, which is not told of later than the first click", `(window.look ||= new PerformanceObserver(() => { window.painted = true }), window.look.observe({type: "largest-contentful-paint", buffered: true}), window.painted)`)
	s.do(chromedp.Click(css("#buy")), chromedp.Click(css("#break")))
	s.sees("its own errors", `window.faults.length === 3 && window.bought === 1`)
	s.do(chromedp.Navigate("about:blank"))
	s.await("the report of the page", func() bool { return s.counted("ringfence_rum_views_total") == 1 })
	base := []string{"service", "shop", "version", "v2", "ring", "canary", "page", "/product/{id}"}
	for _, vital := range []string{"lcp", "fcp", "ttfb"} {
		if s.counted("ringfence_rum_vital_seconds", append(base, "vital", vital)...) != 1 {
			t.Errorf("%s is not told", vital)
		}
	}
	if s.counted("ringfence_rum_layout_shift", base...) != 1 {
		t.Error("cls is not told")
	}
	if n := s.counted("ringfence_rum_errors_total", append(base, "kind", "error")...); n != 3 {
		t.Errorf("%v errors are told", n)
	}
	if n := s.counted("ringfence_rum_errors_total", append(base, "kind", "rejection")...); n != 1 {
		t.Errorf("%v rejections are told", n)
	}
	if s.counted("ringfence_rum_events_total", "event", "purchase", "version", "v2") != 1 || s.events.Load() != 2 {
		t.Errorf("what the user did is not told: %d events", s.events.Load())
	}
	for _, said := range s.complaints() {
		if strings.Contains(said, "Content Security Policy") || strings.Contains(said, "ringfence") {
			t.Errorf("the browser complains: %s", said)
		}
	}
	s.do(chromedp.Navigate(s.url + "/cart"))
	if cookie := eval[string](s.rig, "document.cookie + Object.keys(localStorage) + Object.keys(sessionStorage)"); cookie != "" {
		t.Errorf("the page keeps %q", cookie)
	}
}

// Whoever asks not to be tracked is not: nothing is sent at all.
func TestRUMPrivacy(t *testing.T) {
	s := newRUMShop(t)
	s.quiet.Store(true)
	s.do(chromedp.Navigate(s.url+"/"), chromedp.WaitVisible(css("#buy")), chromedp.Click(css("#buy")), chromedp.Click(css("#break")))
	s.sees("a page that works", `window.bought === 1 && window.faults.length === 3`)
	s.do(chromedp.Navigate("about:blank"))
	s.quiet.Store(false)
	s.do(chromedp.Navigate(s.url+"/next"), chromedp.WaitVisible(css("#buy")), chromedp.Navigate("about:blank"))
	s.await("the report of the other page", func() bool { return s.counted("ringfence_rum_views_total", "page", "/next") == 1 })
	if s.counted("ringfence_rum_views_total") != 1 || s.posts.Load() != 1 {
		t.Errorf("%d reports were sent", s.posts.Load())
	}
}

// With nobody to answer, a page is as it is without.
func TestRUMNeverHarms(t *testing.T) {
	s := newRUMShop(t)
	s.hang.Store(true)
	began := time.Now()
	for i := range 3 {
		s.do(chromedp.Navigate(fmt.Sprintf("%s/page/%c", s.url, 'a'+i)), chromedp.WaitVisible(css("#buy")), chromedp.Click(css("#buy")), chromedp.Click(css("#break")))
		s.sees("a page that works", `window.bought === 1 && window.faults.length === 3`)
		eval[bool](s.rig, `(ringfence.send(), ringfence.event({toString: function () { throw 1; }}), ringfence.error(null), ringfence.page(undefined), true)`)
	}
	s.await("reports that nobody answers", func() bool { return s.posts.Load() > 0 })
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Errorf("the page cannot be left: %v after %s", err, time.Since(began))
	}
	if s.counted("ringfence_rum_views_total") != 0 {
		t.Error("a report got through")
	}
}
