package probe

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// once looks at one address.
func once(t *testing.T, r *Runner, spec resource.Probe, target synthetic.Target) synthetic.Round {
	t.Helper()
	spec.Timeout = fleet.Dur(20 * time.Second)
	spec.Every = fleet.Dur(30 * time.Second)
	rounds := r.Run(t.Context(), synthetic.Job{Probe: "p", Spec: spec.Defaults(), Targets: []synthetic.Target{target}})
	if len(rounds) != 1 {
		t.Fatalf("%d rounds", len(rounds))
	}
	return rounds[0]
}

// shop is a page with a session: what the cart says needs the cookie and the token that signing in gave.
func shop() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"password":"s3cret-word"}` {
			http.Error(w, "no: "+string(body), http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "abc"})
		fmt.Fprint(w, `{"user": {"id": 7, "token": "tok-123456"}, "items": [{"price": 12.5}]}`)
	})
	mux.HandleFunc("GET /cart", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("session")
		if err != nil || c.Value != "abc" || r.Header.Get("Authorization") != "Bearer tok-123456" {
			http.Error(w, "who are you, tok-123456?", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, "cart of %s: 3 items", r.URL.Query().Get("user"))
	})
	mux.HandleFunc("GET /old", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/new", http.StatusFound) })
	mux.HandleFunc("GET /new", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "here, ", r.Host) })
	mux.HandleFunc("GET /clouds", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
	})
	return mux
}

func TestSteps(t *testing.T) {
	s := httptest.NewServer(shop())
	defer s.Close()
	secrets := t.TempDir()
	if err := os.WriteFile(filepath.Join(secrets, "shop-password"), []byte("s3cret-word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	twelve := 12.0
	steps := []resource.ProbeRequest{
		{Name: "sign in", Method: "POST", Path: "/login", Body: `{"password":"{password}"}`,
			Expect:  resource.ProbeExpect{Status: []int{200}, JSON: []resource.ProbeJSON{{Path: "items[0].price", Min: &twelve}, {Path: "$.user.id", Equals: "7"}}},
			Extract: []resource.ProbeExtract{{Name: "token", JSON: "user.token"}, {Name: "user", JSON: "user.id"}}},
		{Path: "/cart?user={user}", Headers: map[string]string{"Authorization": "Bearer {token}"}, Expect: resource.ProbeExpect{Contains: []string{"cart of 7"}, Matches: `\d items`}},
	}
	spec := resource.Probe{Steps: steps, Secrets: map[string]string{"password": "shop-password"}}
	r := &Runner{Secrets: secrets}
	at := synthetic.Target{Version: "v1", Address: strings.TrimPrefix(s.URL, "http://")}
	got := once(t, r, spec, at)
	if !got.OK || len(got.Steps) != 2 || got.Steps[1].Name != "GET /cart" || got.Phases.Connect == 0 || got.Phases.FirstByte == 0 || got.Version != "v1" {
		t.Errorf("%+v", got)
	}
	spec.Steps = []resource.ProbeRequest{steps[0], {Path: "/cart", Headers: map[string]string{"X-Token": "{token}"}, Expect: resource.ProbeExpect{Headers: map[string]string{"X-Echo": "tok-123456"}}}}
	if got = once(t, r, spec, at); got.OK || got.Step != "GET /cart" || got.Reason != "answered 401, expected 200 to 399" {
		t.Errorf("%+v", got)
	}
	spec.Steps[1].Expect = resource.ProbeExpect{Status: []int{401}, Matches: "tok-12345[7-9]"}
	if got = once(t, r, spec, at); got.OK || strings.Contains(got.Reason, "tok-123456") {
		t.Errorf("a variable is told: %+v", got)
	}
	if err := os.Chmod(filepath.Join(secrets, "shop-password"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got = once(t, r, spec, at); got.OK || !strings.Contains(got.Reason, "may be read by others") {
		t.Errorf("%+v", got)
	}
}

func TestAssertions(t *testing.T) {
	got := answer{status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(`{"a": {"b": [1, true, "x"]}}`), took: time.Second}
	nine := 9.0
	for _, tt := range []struct {
		expect resource.ProbeExpect
		want   string
	}{
		{resource.ProbeExpect{}, ""},
		{resource.ProbeExpect{Status: []int{201, 204}}, "answered 200, expected 201 204"},
		{resource.ProbeExpect{Headers: map[string]string{"Content-Type": "^application/json"}}, ""},
		{resource.ProbeExpect{Headers: map[string]string{"X-None": "."}}, `header X-None is "", expected a match of .`},
		{resource.ProbeExpect{Contains: []string{`"a"`, "nothing"}}, `the body does not hold "nothing"`},
		{resource.ProbeExpect{Absent: []string{"true"}}, `the body holds "true"`},
		{resource.ProbeExpect{Within: fleet.Dur(100 * time.Millisecond)}, "took 1s, expected at most 100ms"},
		{resource.ProbeExpect{JSON: []resource.ProbeJSON{{Path: "a.b[2]", Equals: "x"}, {Path: "a.b.1", Equals: "true"}}}, ""},
		{resource.ProbeExpect{JSON: []resource.ProbeJSON{{Path: "a.c"}}}, "JSON: there is no a.c"},
		{resource.ProbeExpect{JSON: []resource.ProbeJSON{{Path: "a.b[0]", Min: &nine}}}, "JSON: a.b[0] is 1, expected at least 9"},
		{resource.ProbeExpect{JSON: []resource.ProbeJSON{{Path: "a.b[2]", Max: &nine}}}, `JSON: a.b[2] is "x", expected a number`},
		{resource.ProbeExpect{JSON: []resource.ProbeJSON{{Path: "a.b[9]"}}}, "JSON: there is no a.b[9]"},
	} {
		said := ""
		if err := expected(got, tt.expect); err != nil {
			said = err.Error()
		}
		if said != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.expect, said, tt.want)
		}
	}
}

// A redirect leads nowhere unless it may, and never to where clouds keep credentials.
func TestRedirects(t *testing.T) {
	s := httptest.NewServer(shop())
	defer s.Close()
	at := synthetic.Target{Address: strings.TrimPrefix(s.URL, "http://"), Host: "shop.localhost"}
	look := func(path string, redirects int) synthetic.Round {
		return once(t, &Runner{}, resource.Probe{Service: "shop", HTTP: &resource.ProbeRequest{Path: path, Redirects: redirects, Expect: resource.ProbeExpect{Status: []int{200}, Contains: []string{"here, shop.localhost"}}}}, at)
	}
	if got := look("/old", 1); !got.OK {
		t.Errorf("%+v", got)
	}
	if got := look("/old", 0); got.OK || got.Reason != "answered 302, expected 200" {
		t.Errorf("%+v", got)
	}
	if got := look("/clouds", 3); got.OK || got.Reason != "link-local addresses are not asked" {
		t.Errorf("%+v", got)
	}
}

func TestCertificates(t *testing.T) {
	s := httptest.NewTLSServer(shop())
	defer s.Close()
	secrets := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(secrets, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &Runner{Secrets: secrets}
	at := strings.TrimPrefix(s.URL, "https://")
	for name, tt := range map[string]struct {
		trust *resource.ProbeTrust
		ok    bool
	}{
		"not trusted": {nil, false}, "any": {&resource.ProbeTrust{Any: true}, true}, "its authority": {&resource.ProbeTrust{CAFile: "ca.pem"}, true},
		"for another name": {&resource.ProbeTrust{CAFile: "ca.pem", ServerName: "other.test"}, false},
	} {
		got := once(t, r, resource.Probe{Address: at, TLS: &resource.TLSProbe{}, Trust: tt.trust}, synthetic.Target{Address: at})
		if got.OK != tt.ok || !got.Expires.Equal(s.Certificate().NotAfter) || got.Phases.TLS == 0 {
			t.Errorf("tls, %s: %+v", name, got)
		}
		got = once(t, r, resource.Probe{Address: s.URL, HTTP: &resource.ProbeRequest{Path: "/new"}, Trust: tt.trust}, synthetic.Target{Address: s.URL})
		if got.OK != tt.ok || !got.Expires.Equal(s.Certificate().NotAfter) || got.Phases.TLS == 0 && tt.ok {
			t.Errorf("http, %s: %+v", name, got)
		}
	}
	old := httptest.NewUnstartedServer(shop())
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
	old.StartTLS()
	defer old.Close()
	at = strings.TrimPrefix(old.URL, "https://")
	if got := once(t, r, resource.Probe{Address: at, TLS: &resource.TLSProbe{MinVersion: "1.3"}, Trust: &resource.ProbeTrust{Any: true}}, synthetic.Target{Address: at}); got.OK {
		t.Errorf("TLS 1.2 is taken: %+v", got)
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4)
				if _, err := io.ReadFull(c, b); err == nil {
					fmt.Fprintf(c, "got %s, ", b)
					fmt.Fprint(c, "+PONG")
				}
			}()
		}
	}()
	at := synthetic.Target{Address: l.Addr().String()}
	if got := once(t, &Runner{}, resource.Probe{Address: at.Address, TCP: &resource.TCPProbe{Send: "PING", Contains: "+PONG"}}, at); !got.OK {
		t.Errorf("%+v", got)
	}
	if got := once(t, &Runner{}, resource.Probe{Address: at.Address, TCP: &resource.TCPProbe{Send: "PING", Contains: "+PANG"}}, at); got.OK {
		t.Errorf("%+v", got)
	}
	_ = l.Close()
	if got := once(t, &Runner{}, resource.Probe{Address: at.Address, TCP: &resource.TCPProbe{}}, at); got.OK || got.Reason != "the connection was refused" {
		t.Errorf("%+v", got)
	}
	at.Address = "169.254.169.254:80"
	if got := once(t, &Runner{}, resource.Probe{Address: at.Address, TCP: &resource.TCPProbe{}}, at); got.Reason != "link-local addresses are not asked" {
		t.Errorf("%+v", got)
	}
}

func TestGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	says := health.NewServer()
	says.SetServingStatus("cart", healthpb.HealthCheckResponse_NOT_SERVING)
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, says)
	go func() { _ = s.Serve(l) }()
	defer s.Stop()
	for service, want := range map[string]string{"": "", "cart": "the server says NOT_SERVING", "none": `the server knows no service "none"`} {
		got := once(t, &Runner{}, resource.Probe{Address: l.Addr().String(), GRPC: &resource.GRPCProbe{Service: service}}, synthetic.Target{Address: l.Addr().String()})
		if got.OK != (want == "") || got.Reason != want {
			t.Errorf("%q: %+v", service, got)
		}
	}
}

// A server that answers nothing, and one that never ends, cost no more than the timeout and a bounded body.
func TestBounds(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			<-release
			return
		}
		part := strings.Repeat("x", 64<<10)
		for i := 0; r.Context().Err() == nil && i < 1000; i++ {
			if _, err := io.WriteString(w, part); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	defer close(release)
	job := func(path string, timeout time.Duration) synthetic.Round {
		spec := resource.Probe{Address: s.URL, Every: fleet.Dur(time.Minute), Timeout: fleet.Dur(timeout), HTTP: &resource.ProbeRequest{Path: path, Expect: resource.ProbeExpect{Contains: []string{"y"}}}}.Defaults()
		return (&Runner{}).Run(context.Background(), synthetic.Job{Probe: "p", Spec: spec, Targets: []synthetic.Target{{Address: s.URL}}})[0]
	}
	if got := job("/silent", 50*time.Millisecond); got.Reason != "no answer within 50ms" {
		t.Errorf("%+v", got)
	}
	if got := job("/endless", 30*time.Second); got.Reason != `the body does not hold "y" in its first MiB` {
		t.Errorf("%+v", got)
	}
}
