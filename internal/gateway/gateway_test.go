package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// rig is a gateway on a real socket.
type rig struct {
	*Gateway
	t   *testing.T
	url string
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	g := New(o)
	s := httptest.NewUnstartedServer(nil)
	s.Config = g.Server()
	s.Listener = g.guarded(s.Listener)
	s.Start()
	t.Cleanup(s.Close)
	return &rig{g, t, s.URL}
}

// shop is a service with one ring on version v1.
func shop(change func(*fleet.Service)) fleet.Service {
	s := fleet.Service{
		Name: "shop", Generation: 1, Salt: "s", Rings: []fleet.Ring{{Name: "all"}}, Exposure: []string{"v1"},
		Route: fleet.Route{TargetingKey: fleet.Source{Header: "X-User-ID"}},
		Slots: []fleet.Slot{{Version: "v1"}, {Version: "v2"}},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func (r *rig) apply(ss ...fleet.Service) {
	r.t.Helper()
	if err := r.Apply(context.Background(), ss); err != nil {
		r.t.Fatal(err)
	}
}

// backend starts an instance and makes it the only one of the version.
func (r *rig) backend(version string, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	s.Config.Protocols = p
	s.Start()
	r.t.Cleanup(s.Close)
	r.ready(version, s.Listener.Addr().String())
	return s
}

func (r *rig) ready(version string, addrs ...string) {
	var eps []fleet.Endpoint
	for i, a := range addrs {
		eps = append(eps, fleet.Endpoint{Service: "shop", Version: version, ID: fmt.Sprintf("shop/%s/%d", version, i), Address: a})
	}
	r.SetEndpoints("shop", version, eps)
}

func (r *rig) get(path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.do("GET", path, nil, header...)
}

func (r *rig) do(method, path string, body io.Reader, header ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(b)
}

// metric returns the value of the first line of the exposition that begins with name and holds all parts.
func (r *rig) metric(name string, parts ...string) string {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
next:
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, name) {
			continue
		}
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue next
			}
		}
		return strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:])
	}
	return ""
}

// counts waits until a metric has a value: an answer is counted after it was sent.
func (r *rig) counts(want, name string, parts ...string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%s%v is %s", name, parts, want), func() bool { return r.metric(name, parts...) == want })
}

// eventually polls until ok, for at most half a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within half a minute: %s", what)
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

func TestSwitch(t *testing.T) {
	r := newRig(t, Options{})
	r.backend("v1", say("one"))
	r.backend("v2", say("two"))
	r.apply(shop(nil))
	if _, b := r.get("/", "X-User-ID", "ann"); b != "one" {
		t.Errorf("got %q, want one", b)
	}
	r.apply(shop(func(s *fleet.Service) { s.Exposure, s.Generation = []string{"v2"}, 2 }))
	if _, b := r.get("/", "X-User-ID", "ann"); b != "two" {
		t.Errorf("got %q, want two", b)
	}
	if err := r.Drain(context.Background(), "shop", "v1", time.Second); err != nil {
		t.Error(err)
	}
	if g := r.Generation("shop"); g != 2 {
		t.Errorf("generation %d, want 2", g)
	}
	for _, v := range []string{"v1", "v2"} {
		r.counts("1", "ringfence_requests_total", `version="`+v+`"`, `code="200"`, `ring="all"`, `unit="local"`)
	}
	if u := r.Users("shop"); len(u) != 2 || u[0].Users != 1 || u[1].Users != 1 {
		t.Errorf("users %v, want one of each version", u)
	}
	for line, want := range map[string]string{
		`ringfence_ring_users{ring="all",service="shop",version="v1"}`:                                  "1",
		`ringfence_requests_in_flight{service="shop",version="v1"}`:                                     "0",
		`ringfence_requests_total{code="200",ring="all",service="shop",unit="local",version="v2"}`:      "1",
		`ringfence_request_duration_seconds_count{ring="all",service="shop",unit="local",version="v2"}`: "1",
	} {
		r.counts(want, line)
	}
}

func TestStickyCookie(t *testing.T) {
	r := newRig(t, Options{})
	r.backend("v1", say("one"))
	r.apply(shop(nil))
	res, _ := r.get("/")
	cs := res.Cookies()
	if len(cs) != 1 || cs[0].Name != stickyCookie || len(cs[0].Value) != 32 || !cs[0].HttpOnly || cs[0].Secure ||
		cs[0].SameSite != http.SameSiteLaxMode || cs[0].Path != "/" || cs[0].MaxAge != 365*24*3600 {
		t.Fatalf("cookies %v", cs)
	}
	res, _ = r.get("/", "Cookie", "a=b; "+stickyCookie+"="+cs[0].Value)
	if len(res.Cookies()) != 0 {
		t.Errorf("a known user was given a new key: %v", res.Cookies())
	}
	if u := r.Users("shop"); len(u) != 1 || u[0].Users != 1 {
		t.Errorf("users %v, want one", u)
	}
}
