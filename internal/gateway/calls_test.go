package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/fleet"
)

func named(names ...string) (all []fleet.Operation) {
	for _, n := range names {
		all = append(all, fleet.Operation{Name: n})
	}
	return all
}

func TestOperationsOfRequests(t *testing.T) {
	o := newOperations(named("GET /products", "GET /products/{id}", "GET /products/new", "GET /products/{id}/reviews/{n}", "DELETE /products/{id}", "GET /", "POST /a/{x}.json", "shop.v1.Shop/Buy"))
	for _, tc := range []struct{ method, path, want string }{
		{"GET", "/products", "GET /products"}, {"GET", "/products/7", "GET /products/{id}"}, {"HEAD", "/products/7", "GET /products/{id}"}, {"GET", "/products/new", "GET /products/new"},
		{"GET", "/products/7/reviews/1", "GET /products/{id}/reviews/{n}"}, {"GET", "/products/new/reviews/1", "GET /products/{id}/reviews/{n}"}, {"DELETE", "/products/7", "DELETE /products/{id}"},
		{"GET", "/", "GET /"}, {"POST", "/a/b.json", "POST /a/{x}.json"}, {"POST", "/shop.v1.Shop/Buy", "shop.v1.Shop/Buy"},
		{"GET", "/products/", "other"}, {"GET", "/products/7/8", "other"}, {"PUT", "/products/7", "other"}, {"GET", "*", "other"}, {"GET", "", "other"},
	} {
		if got := o.of(tc.method, tc.path).name; got != tc.want {
			t.Errorf("%s %s is %q, expected %q", tc.method, tc.path, got, tc.want)
		}
	}
	if got := newOperations(nil).of("GET", "/x").name; got != "" {
		t.Errorf("without an interface it is %q", got)
	}
}

// Whatever templates there are, a request for one of them, its parameters filled in, finds one of the same shape.
func TestEveryTemplateIsFound(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "b", "{x}", "{y}"})
	rapid.Check(t, func(t *rapid.T) {
		var names []string
		for range rapid.IntRange(1, 12).Draw(t, "templates") {
			names = append(names, "GET /"+strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, "parts"), "/"))
		}
		o := newOperations(named(names...))
		for _, n := range names {
			asked := strings.NewReplacer("{x}", "7", "{y}", "7", "GET ", "").Replace(n)
			got := o.of("GET", asked).name
			parts, found := strings.Split(asked, "/"), strings.Split(strings.TrimPrefix(got, "GET "), "/")
			if len(parts) != len(found) {
				t.Fatalf("%s is %s", asked, got)
			}
			for i := range parts {
				if parts[i] != found[i] && !strings.HasPrefix(found[i], "{") {
					t.Fatalf("%s is %s", asked, got)
				}
			}
		}
	})
}

func TestWhoCallsIsCounted(t *testing.T) {
	seen := make(chan http.Header, 1)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		if r.URL.Path == "/own" {
			w.Header().Set("Deprecation", "@1")
		}
	}))
	defer back.Close()
	g := New(Options{CallerNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}})
	since := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := shop(func(s *fleet.Service) {
		ops := named("GET /products/{id}", "GET /old", "GET /own")
		for i := range ops[1:] {
			ops[i+1].Deprecated, ops[i+1].Sunset = since, since.AddDate(1, 0, 0)
		}
		s.Slots = []fleet.Slot{{Version: "v1", Operations: ops}}
	})
	g.SetEndpoints("shop", "v1", []fleet.Endpoint{{ID: "1", Address: back.Listener.Addr().String()}})
	if err := g.Apply(t.Context(), []fleet.Service{s}); err != nil {
		t.Fatal(err)
	}
	ask := func(peer, path string, header http.Header) http.Header {
		r := httptest.NewRequest(http.MethodGet, "http://shop.example"+path, nil)
		r.RemoteAddr = peer
		for k, vs := range header {
			r.Header[k] = vs
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if passed := <-seen; passed[callerHeader] != nil {
			t.Errorf("the service was told %v", passed[callerHeader])
		}
		return w.Header()
	}
	caller := func(values ...string) http.Header { return http.Header{callerHeader: values} }
	ask("127.0.0.1:4", "/products/1", caller("cart/v3"))
	ask("127.0.0.1:4", "/products/2", caller("cart/v3"))
	ask("10.1.2.3:4", "/products/2", caller("cart/v3"))
	ask("127.0.0.1:4", "/products/2", nil)
	ask("192.0.2.7:4", "/products/2", caller("cart/v3"))
	ask("127.0.0.1:4", "/products/2", caller("cart/v3", "cart/v4"))
	ask("127.0.0.1:4", "/products/2", caller("cart\"}/v3"))
	ask("127.0.0.1:4", "/products/2", http.Header{callerHeader: {"cart/v3"}, "X-Forwarded-For": {"192.0.2.7"}})
	ask("127.0.0.1:4", "/nowhere", caller("cart/v3"))
	for _, tc := range []struct {
		operation, caller, version string
		want                       float64
	}{
		{"GET /products/{id}", "cart", "v3", 3}, {"GET /products/{id}", "unknown", "", 1}, {"GET /products/{id}", "untrusted", "", 4}, {"other", "cart", "v3", 1},
	} {
		if got := testutil.ToFloat64(g.metrics.calls.WithLabelValues("shop", "v1", tc.operation, tc.caller, tc.version, "local")); got != tc.want {
			t.Errorf("%+v: counted %g", tc, got)
		}
	}
	if at := testutil.ToFloat64(g.metrics.lastCalls.WithLabelValues("shop", "v1", "other", "cart", "v3", "local")); time.Since(time.Unix(int64(at), 0)).Abs() > time.Hour {
		t.Errorf("last called at %g", at)
	}
	if h := ask("127.0.0.1:4", "/old", nil); h.Get("Deprecation") != "@1772323200" || h.Get("Sunset") != "Mon, 01 Mar 2027 00:00:00 GMT" {
		t.Errorf("%v", h)
	}
	if h := ask("127.0.0.1:4", "/own", nil); len(h["Deprecation"]) != 1 || h.Get("Deprecation") != "@1" {
		t.Errorf("the service's own word is %v", h["Deprecation"])
	}
	if h := ask("127.0.0.1:4", "/products/1", nil); h.Get("Deprecation") != "" || h.Get("Sunset") != "" {
		t.Errorf("%v", h)
	}
}

func TestCallersAreBounded(t *testing.T) {
	g := New(Options{})
	b := g.callBook("shop", "v1", []fleet.Slot{{Version: "v1", Operations: named("GET /a", "GET /b")}})
	for i := range 5000 {
		b.learn(callKey{"GET /a", fmt.Sprintf("s%d/v1", i)}).requests.Inc()
	}
	if n := testutil.CollectAndCount(g.metrics.calls); n > mostCallers+1 {
		t.Errorf("%d series for one operation", n)
	}
	for i := range 5000 {
		b.learn(callKey{fmt.Sprint("GET /", i), "s1/v1"}).requests.Inc()
	}
	if n := testutil.CollectAndCount(g.metrics.calls); n > mostCalls+5000 { // what names operations is the interface, which is bounded itself
		t.Errorf("%d series", n)
	}
	if n := testutil.ToFloat64(g.metrics.calls.WithLabelValues("shop", "v1", "GET /a", "other", "", "local")); n != 5000-mostCallers {
		t.Errorf("%g are counted together", n)
	}
	g.forgetCalls(map[versionKey]bool{})
	if n := testutil.CollectAndCount(g.metrics.calls); n != 0 || len(g.calls) != 0 {
		t.Errorf("%d series of what is gone", n)
	}
}

func BenchmarkCall(b *testing.B) {
	g := New(Options{})
	var ops []fleet.Operation
	for i := range 100 {
		ops = append(ops, named(fmt.Sprintf("GET /r%d", i), fmt.Sprintf("GET /r%d/{id}", i), fmt.Sprintf("POST /r%d/{id}/items/{n}", i))...)
	}
	book := g.callBook("shop", "v1", []fleet.Slot{{Version: "v1", Operations: ops}})
	r := httptest.NewRequest(http.MethodPost, "http://shop.example/r77/1234/items/5", nil)
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header[callerHeader] = []string{"cart/v3"}
	x := &exchange{g: g, r: r, rt: &route{}, last: &target{calls: book}}
	b.ReportAllocs()
	for b.Loop() {
		x.countCall()
	}
}
