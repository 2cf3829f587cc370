package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

func TestServeEnds(t *testing.T) {
	r := newRig(t, Options{Limits: Limits{LameDuck: 50 * time.Millisecond}})
	arrived, finish := make(chan struct{}), make(chan struct{})
	r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			close(arrived)
			<-finish
		}
		io.WriteString(w, "ok")
	})
	r.apply(shop(nil))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx, ln) }()

	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(5 * time.Second))
		return c, bufio.NewReader(c)
	}
	ask := func(c net.Conn, br *bufio.Reader, path string) *http.Response {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		io.Copy(io.Discard, res.Body)
		return res
	}
	idle, idleReader := dial()
	if res := ask(idle, idleReader, "/"); res.Close {
		t.Error("closed while serving")
	}
	slow, slowReader := dial()
	io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-arrived
	end()
	eventually(t, "closing", r.closing.Load)
	if res := ask(idle, idleReader, "/"); res.StatusCode != 200 || !res.Close {
		t.Errorf("while ending: got %d, close %v", res.StatusCode, res.Close)
	}
	close(finish)
	res, err := http.ReadResponse(slowReader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(res.Body); string(b) != "ok" {
		t.Errorf("in flight: got %q", b)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil) // for its certificate
	s.StartTLS()
	defer s.Close()
	r := newRig(t, Options{TLS: &tls.Config{Certificates: s.TLS.Certificates}, Limits: Limits{LameDuck: time.Millisecond}})
	seen := make(chan http.Header, 2)
	r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
		seen <- req.Header
		b, _ := io.ReadAll(req.Body)
		w.Write(b)
	})
	r.apply(shop(nil))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx, ln) }()
	for _, h2 := range []bool{false, true} {
		tr := s.Client().Transport.(*http.Transport).Clone()
		tr.ForceAttemptHTTP2 = h2
		tr.TLSClientConfig.NextProtos = nil
		res, err := (&http.Client{Transport: tr}).Post("https://"+ln.Addr().String(), "text/plain", strings.NewReader(strings.Repeat("a", 50000)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || len(b) != 50000 || (res.ProtoMajor == 2) != h2 {
			t.Errorf("%s: %d bytes, %v", res.Proto, len(b), err)
		}
		if cs := res.Cookies(); len(cs) != 1 || !cs[0].Secure {
			t.Errorf("cookies %v", cs)
		}
		if p := (<-seen).Get("X-Forwarded-Proto"); p != "https" {
			t.Errorf("X-Forwarded-Proto %q", p)
		}
		tr.CloseIdleConnections()
	}
	end()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestTrustedProxy(t *testing.T) {
	r := newRig(t, Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	seen := make(chan http.Header, 1)
	r.backend("v1", func(_ http.ResponseWriter, req *http.Request) { seen <- req.Header })
	r.apply(shop(nil))
	r.get("/", "X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "out.example", "X-Forwarded-Port", "443")
	h := <-seen
	for k, want := range map[string]string{
		"X-Forwarded-For": "9.9.9.9, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "out.example", "X-Forwarded-Port": "443",
	} {
		if got := strings.Join(h[k], "|"); got != want {
			t.Errorf("%s: got %q, want %q", k, got, want)
		}
	}
}

func TestSlowRequests(t *testing.T) {
	r := newRig(t, Options{Unit: "eu"})
	r.backend("v1", func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) })
	r.apply(shop(func(s *fleet.Service) {
		s.SlowOver = []fleet.Dur{fleet.Dur(10 * time.Millisecond), fleet.Dur(10 * time.Second)}
	}))
	r.get("/")
	for over, want := range map[string]string{`over="0.01"`: "1", `over="10"`: "0"} {
		r.counts(want, "ringfence_slow_requests_total", over, `unit="eu"`)
	}
	r.counts("0", "ringfence_request_duration_seconds_bucket", `le="0.01"`)
	r.counts("1", "ringfence_request_duration_seconds_count")
}

// serve is Serve on a listener until end is called.
func (r *rig) serve(ln net.Listener) (served chan error, end func()) {
	ctx, end := context.WithCancel(context.Background())
	r.t.Cleanup(end)
	served = make(chan error, 1)
	go func() { served <- r.Serve(ctx, ln) }()
	return served, end
}

// TestHTTPToTLS: whoever speaks HTTP to a port of HTTPS is told so.
func TestHTTPToTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil) // for its certificate
	s.StartTLS()
	defer s.Close()
	r := newRig(t, Options{TLS: &tls.Config{Certificates: s.TLS.Certificates}})
	if answer := r.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 400") || !strings.Contains(answer, "HTTPS") {
		t.Errorf("got %q", answer)
	}
	r.counts("1", "ringfence_gateway_refused_total", "tls_handshake")
}

// TestCertificateIsReplaced: connections that are open go on, new ones get the new certificate; and an authority's challenge is answered by the handshake.
func TestCertificateIsReplaced(t *testing.T) {
	one, two := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	one.StartTLS()
	defer one.Close()
	two.StartTLS()
	defer two.Close()
	second := two.TLS.Certificates[0]
	second.Certificate = append([][]byte{}, append(second.Certificate, second.Certificate[0])...) // told apart by the length of its chain
	var now atomic.Pointer[tls.Certificate]
	now.Store(&one.TLS.Certificates[0])
	r := newRig(t, Options{TLS: &tls.Config{NextProtos: []string{"acme-tls/1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return now.Load(), nil }}})
	r.backend("v1", say("ok"))
	r.apply(shop(nil))
	dial := func(protocol string) *tls.Conn {
		t.Helper()
		c, err := tls.Dial("tcp", strings.TrimPrefix(r.url, "http://"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ask := func(c *tls.Conn, br *bufio.Reader) {
		t.Helper()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(res.Body); string(b) != "ok" || res.Close {
			t.Errorf("got %d %q", res.StatusCode, b)
		}
	}
	before := dial("http/1.1")
	br := bufio.NewReader(before)
	ask(before, br)
	now.Store(&second)
	ask(before, br)
	after := dial("http/1.1")
	if n := len(after.ConnectionState().PeerCertificates); n != len(second.Certificate) {
		t.Errorf("a new connection got a chain of %d", n)
	}
	ask(after, bufio.NewReader(after))
	challenge := dial("acme-tls/1")
	if _, err := challenge.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after a challenge: %v", err)
	}
}
