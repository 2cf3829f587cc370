package check_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/check"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

func probe(p resource.ProbeGate, instances ...string) check.Request {
	return check.Request{Kind: health.SignalProbe, Gate: "alive", Probe: &p, Vars: vars, Instances: instances}
}

// page serves what its path says: /status/503, /body/some-text, /large, /moved, /silent.
func page(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch kind {
		case "status":
			var code int
			_, _ = fmt.Sscan(rest, &code)
			w.WriteHeader(code)
		case "body":
			_, _ = io.WriteString(w, rest+"?"+r.URL.RawQuery)
		case "large":
			_, _ = io.WriteString(w, strings.Repeat(" ", 1<<20)+"needle")
		case "moved":
			http.Redirect(w, r, "/status/500", http.StatusFound)
		case "silent":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestProbeOfAPage(t *testing.T) {
	server := page(t)
	for _, c := range []struct {
		name    string
		p       resource.ProbeGate
		verdict health.Verdict
		text    string
	}{
		{"well", resource.ProbeGate{URL: "/status/204"}, health.Pass, "answered 204"},
		{"moved is well, and not followed", resource.ProbeGate{URL: "/moved"}, health.Pass, "answered 302"},
		{"not found", resource.ProbeGate{URL: "/status/404"}, health.Fail, "answered 404, expected 200 to 399"},
		{"broken", resource.ProbeGate{URL: "/status/500"}, health.Fail, "answered 500"},
		{"another status than expected", resource.ProbeGate{URL: "/status/200", Status: 201}, health.Fail, "answered 200, expected 201"},
		{"a bad status that is expected", resource.ProbeGate{URL: "/status/404", Status: 404}, health.Pass, "answered 404"},
		{"holds the text", resource.ProbeGate{URL: "/body/{service}?x={version}", Contains: "{service}?x=v3%40c2"}, health.Pass, "answered 200"},
		{"does not hold it", resource.ProbeGate{URL: "/body/blog", Contains: "shop"}, health.Fail, `answered 200 without "shop"`},
		{"holds it too late", resource.ProbeGate{URL: "/large", Contains: "needle"}, health.Fail, "in its first MiB"},
		{"silent", resource.ProbeGate{URL: "/silent", Timeout: fleet.Dur(50 * time.Millisecond)}, health.Fail, "no answer within 50ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.p.URL = server.URL + c.p.URL
			wants(t, check.New(check.Options{}).Run(t.Context(), probe(c.p)), c.verdict, c.text)
		})
	}
	wants(t, check.New(check.Options{}).Run(t.Context(), probe(resource.ProbeGate{URL: "gopher://x"})), health.Hold, "expected an http")
}

func TestProbeOfInstances(t *testing.T) {
	well, other := page(t), page(t)
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	address := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	runner := check.New(check.Options{})
	p := resource.ProbeGate{Path: "/body/ok?x={ring}", Contains: "ok?x=early"}
	for _, c := range []struct {
		name      string
		instances []string
		verdict   health.Verdict
		text      string
	}{
		{"none", nil, health.Hold, "no instance of the new version is ready"},
		{"one", []string{address(well)}, health.Pass, address(well) + " answered 200"},
		{"all", []string{address(well), address(other)}, health.Pass, "2 of 2 instances: "},
		{"one is broken", []string{address(well), address(broken), address(other)}, health.Fail, "1 of 3 instances: " + address(broken) + " answered 404"},
		{"one is gone", []string{address(well), gone.Addr().String()}, health.Fail, "1 of 2 instances: " + gone.Addr().String() + ": the connection was refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wants(t, runner.Run(t.Context(), probe(p, c.instances...)), c.verdict, c.text)
		})
	}
}

func TestProbesOfManyInstancesAreFewAtOnce(t *testing.T) {
	var now, most atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		now.Add(-1)
	}))
	defer server.Close()
	var instances []string
	for range 100 {
		instances = append(instances, server.Listener.Addr().String())
	}
	wants(t, check.New(check.Options{}).Run(t.Context(), probe(resource.ProbeGate{Path: "/"}, instances...)), health.Pass, "100 of 100 instances")
	if most.Load() > 8 {
		t.Errorf("%d at once", most.Load())
	}
}
