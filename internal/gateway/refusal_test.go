package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// TestSmuggling sends what two parsers might take in two ways, with a second request hidden in it. Either it is refused
// or what the instance gets can be read in one way only; the hidden request never arrives.
func TestSmuggling(t *testing.T) {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	tests := []struct {
		name, request string
		refused       bool
	}{
		{"length and chunks", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 45\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n" + hidden, true},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 34\r\nConnection: close\r\n\r\n" + hidden, true},
		{"list of lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 34\r\nConnection: close\r\n\r\n" + hidden, true},
		{"unknown coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nConnection: close\r\n\r\n0\r\n\r\n" + hidden, true},
		{"two codings", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nConnection: close\r\n\r\n0\r\n\r\n" + hidden, true},
		{"space before colon", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\nConnection: close\r\n\r\n" + hidden, true},
		{"folded header", "POST / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n Content-Length: 34\r\nConnection: close\r\n\r\n", true},
		{"bare carriage return", "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\rContent-Length: 34\r\nConnection: close\r\n\r\n", true},
		{"null in value", "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\x002\r\nConnection: close\r\n\r\n", true},
		{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n", true},
		{"chunk size with sign", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n+0\r\n\r\n" + hidden, true},
		{"connect", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\nConnection: close\r\n\r\n", true},
		{"line feeds only", "GET / HTTP/1.1\nHost: x\nConnection: close\n\n", true},
		{"absolute form of another host", "GET http://y/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{})
			var seen, smuggled atomic.Int32
			r.scripted("v1", func(c net.Conn, br *bufio.Reader) {
				for {
					req, _, err := readRequest(br)
					if err != nil {
						return
					}
					seen.Add(1)
					if req.URL.Path == "/hidden" || req.URL.IsAbs() || req.Header.Get("Content-Length") != "" && len(req.TransferEncoding) > 0 {
						smuggled.Add(1)
					}
					if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
						return
					}
				}
			})
			r.apply(shop(nil))
			answer := r.raw(tt.request)
			if ok := strings.HasPrefix(answer, "HTTP/1.1 200"); ok == tt.refused {
				t.Errorf("refused should be %v, got %.60q", tt.refused, answer)
			}
			if smuggled.Load() != 0 {
				t.Error("a hidden request arrived")
			}
			if tt.refused == (seen.Load() > 0) && tt.name != "chunk size with sign" { // there the header is sound
				t.Errorf("the instance saw %d requests", seen.Load())
			}
		})
	}
}

func TestLimits(t *testing.T) {
	r := newRig(t, Options{Limits: Limits{HeaderBytes: 8 << 10}})
	r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		io.WriteString(w, "ok")
	})
	r.apply(shop(func(s *fleet.Service) { s.Route.MaxBodyBytes = 20000 }))
	for name, tt := range map[string]struct {
		body io.Reader
		code int
	}{
		"small":           {strings.NewReader("hi"), 200},
		"at the limit":    {strings.NewReader(strings.Repeat("a", 20000)), 200},
		"announced":       {strings.NewReader(strings.Repeat("a", 20001)), 413},
		"not announced":   {io.MultiReader(strings.NewReader(strings.Repeat("a", 200000))), 413},
		"chunked, enough": {io.MultiReader(strings.NewReader(strings.Repeat("a", 20000))), 200},
	} {
		t.Run(name, func(t *testing.T) {
			if res, _ := r.do("POST", "/", tt.body); res.StatusCode != tt.code {
				t.Errorf("got %d, want %d", res.StatusCode, tt.code)
			}
		})
	}
	if res, _ := r.get("/", "X-Long", strings.Repeat("a", 20000)); res.StatusCode != 431 {
		t.Errorf("long header: got %d, want 431", res.StatusCode)
	}
	if n := r.metric("ringfence_gateway_failures_total"); n != "" {
		t.Errorf("clients' mistakes count as failures: %s", n)
	}
}

func TestTimeout(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, Options{})
			gone := make(chan struct{})
			r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
				<-req.Context().Done()
				close(gone)
			})
			r.apply(shop(func(s *fleet.Service) { s.Route.Timeout, s.Route.Protocol = fleet.Dur(50*time.Millisecond), protocol }))
			res, body := r.get("/")
			if res.StatusCode != 504 || res.Header.Get("Proxy-Status") != "ringfence; error=http_response_timeout" ||
				res.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d %v %s", res.StatusCode, res.Header, body)
			}
			<-gone
			r.counts("1", "ringfence_gateway_failures_total", `reason="http_response_timeout"`)
		})
	}
}

func TestClientLeaves(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, Options{})
			arrived, gone := make(chan struct{}), make(chan struct{})
			r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
				close(arrived)
				<-req.Context().Done()
				close(gone)
			})
			r.apply(shop(func(s *fleet.Service) { s.Route.Protocol = protocol }))
			ctx, leave := context.WithCancel(context.Background())
			go func() { <-arrived; leave() }()
			req, _ := http.NewRequestWithContext(ctx, "GET", r.url, nil)
			if _, err := http.DefaultTransport.RoundTrip(req); err == nil {
				t.Fatal("an answer came")
			}
			<-gone
			eventually(t, "counted as 499", func() bool { return r.metric("ringfence_requests_total", `code="499"`) == "1" })
			if n := r.metric("ringfence_gateway_failures_total"); n != "" {
				t.Errorf("counted as a failure: %s", n)
			}
		})
	}
}

func TestUnknownHost(t *testing.T) {
	r := newRig(t, Options{})
	r.backend("v1", say("one"))
	r.apply(shop(func(s *fleet.Service) { s.Route.Host = "shop.example" }))
	res, _ := r.get("/")
	if res.StatusCode != 404 || res.Header.Get("Proxy-Status") != "ringfence; error=destination_not_found" {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	if n := r.metric("ringfence_requests_total"); n != "" {
		t.Errorf("counted against a service: %s", n)
	}
}

func TestApplyRefuses(t *testing.T) {
	tests := map[string]struct {
		services []fleet.Service
		kind     errs.Kind
	}{
		"no rings":      {[]fleet.Service{shop(func(s *fleet.Service) { s.Rings = nil })}, errs.Invalid},
		"no name":       {[]fleet.Service{shop(func(s *fleet.Service) { s.Name = "" })}, errs.Invalid},
		"twice":         {[]fleet.Service{shop(nil), shop(nil)}, errs.Invalid},
		"relative path": {[]fleet.Service{shop(func(s *fleet.Service) { s.Route.Path = "a" })}, errs.Invalid},
		"protocol":      {[]fleet.Service{shop(func(s *fleet.Service) { s.Route.Protocol = "spdy" })}, errs.Invalid},
		"exposure":      {[]fleet.Service{shop(func(s *fleet.Service) { s.Exposure = []string{"v1", "v2"} })}, errs.Invalid},
		"rule":          {[]fleet.Service{shop(func(s *fleet.Service) { s.Rings[0].Audience = []byte(`{"no": 1}`) })}, errs.Invalid},
		"same place":    {[]fleet.Service{shop(nil), shop(func(s *fleet.Service) { s.Name = "two"; s.Route.Path = "/" })}, errs.Conflict},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.backend("v1", say("one"))
			r.apply(shop(nil))
			if err := r.Apply(context.Background(), tt.services); !errs.Is(err, tt.kind) {
				t.Errorf("got %v, want an error of kind %s", err, tt.kind)
			}
			if _, b := r.get("/"); b != "one" || r.Generation("shop") != 1 {
				t.Errorf("the earlier routing is gone: %q", b)
			}
		})
	}
}
