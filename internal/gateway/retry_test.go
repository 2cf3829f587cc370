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
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// deadAddress is one that refuses connections.
func deadAddress(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	return ln.Addr().String()
}

func TestConnectFailureGoesElsewhere(t *testing.T) {
	r := newRig(t, Options{})
	live := r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		w.Write(b)
	})
	r.ready("v1", deadAddress(t), live.Listener.Addr().String())
	r.apply(shop(nil))
	for _, size := range []int{5, 100000} {
		for range 10 {
			data := strings.Repeat("a", size)
			if res, b := r.do("POST", "/", strings.NewReader(data)); res.StatusCode != 200 || b != data {
				t.Fatalf("got %d %.50q", res.StatusCode, b)
			}
		}
	}
	if n := r.metric("ringfence_gateway_failures_total"); n != "" {
		t.Errorf("failures: %s", n)
	}
}

func TestNoInstanceListens(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, Options{Limits: Limits{ConnectRetry: 30 * time.Millisecond}})
			r.ready("v1", deadAddress(t), deadAddress(t))
			r.apply(shop(func(s *fleet.Service) { s.Route.Protocol = protocol }))
			res, _ := r.get("/")
			if res.StatusCode != 502 || res.Header.Get("Proxy-Status") != "ringfence; error=connection_refused" {
				t.Errorf("got %d %v", res.StatusCode, res.Header)
			}
			r.counts("1", "ringfence_gateway_failures_total", `reason="connection_refused"`)
		})
	}
}

// TestInstanceDies has an instance end the connection at some point, and counts who saw the request.
func TestInstanceDies(t *testing.T) {
	tests := []struct {
		name, method string
		requests     int // on the connection before it dies, without a byte of the last one's answer
		code         int
		seen         int32 // requests seen by instances in all
	}{
		{"get on a new connection", "GET", 0, 200, 2},
		{"get on a used connection", "GET", 1, 200, 3},
		{"post on a new connection", "POST", 0, 502, 1},
		{"post on a used connection", "POST", 1, 502, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{})
			var conns, seen atomic.Int32
			r.scripted("v1", func(c net.Conn, br *bufio.Reader) {
				first := conns.Add(1) == 1
				for i := 0; ; i++ {
					if _, _, err := readRequest(br); err != nil {
						return
					}
					seen.Add(1)
					if first && i == tt.requests {
						return
					}
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			})
			r.apply(shop(nil))
			for range tt.requests {
				r.do(tt.method, "/", strings.NewReader("hi"))
			}
			res, _ := r.do(tt.method, "/", strings.NewReader("hi"))
			if res.StatusCode != tt.code || seen.Load() != tt.seen {
				t.Errorf("got %d, seen %d times; want %d, %d", res.StatusCode, seen.Load(), tt.code, tt.seen)
			}
		})
	}
}

// TestIdleConnectionEnds has the instance close connections while they are idle: nobody may notice, POST included.
func TestIdleConnectionEnds(t *testing.T) {
	r := newRig(t, Options{})
	ended := make(chan struct{}, 1)
	var unasked atomic.Bool
	r.scripted("v1", func(c net.Conn, br *bufio.Reader) {
		if _, _, err := readRequest(br); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		if unasked.Load() {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake")
		}
		c.(*net.TCPConn).CloseWrite()
		ended <- struct{}{}
	})
	r.apply(shop(nil))
	for i := range 20 {
		unasked.Store(i%2 == 1)
		if res, b := r.do("POST", "/", strings.NewReader("hi")); res.StatusCode != 200 || b != "ok" {
			t.Fatalf("request %d: got %d %q", i, res.StatusCode, b)
		}
		<-ended
	}
}

func TestHeldUntilReady(t *testing.T) {
	r := newRig(t, Options{})
	r.apply(shop(nil))
	answers := make(chan string, 2)
	for range 2 {
		go func() {
			_, b := r.do("POST", "/", strings.NewReader("hi"))
			answers <- b
		}()
	}
	eventually(t, "two are held", func() bool { return r.held.Load() == 2 })
	if n := r.InFlight("shop", "v1"); n != 0 {
		t.Errorf("%d claimed while held", n)
	}
	r.backend("v1", say("one"))
	for range 2 {
		if b := <-answers; b != "one" {
			t.Errorf("got %q", b)
		}
	}
}

func TestHeldUntilExposureChanges(t *testing.T) {
	r := newRig(t, Options{})
	r.backend("v2", say("two"))
	r.apply(shop(nil))
	answer := make(chan string, 1)
	go func() {
		_, b := r.get("/")
		answer <- b
	}()
	eventually(t, "one is held", func() bool { return r.held.Load() == 1 })
	r.apply(shop(func(s *fleet.Service) { s.Exposure = []string{"v2"} }))
	if b := <-answer; b != "two" {
		t.Errorf("got %q", b)
	}
}

func TestHoldLimits(t *testing.T) {
	r := newRig(t, Options{Limits: Limits{HoldTime: 100 * time.Millisecond, Held: 1}})
	r.apply(shop(nil))
	first := make(chan *http.Response, 1)
	go func() {
		res, _ := r.get("/")
		first <- res
	}()
	eventually(t, "one is held", func() bool { return r.held.Load() == 1 })
	res, _ := r.get("/")
	if res.StatusCode != 503 || res.Header.Get("Proxy-Status") != "ringfence; error=connection_limit_reached" {
		t.Errorf("over the limit: got %d %v", res.StatusCode, res.Header)
	}
	res = <-first
	if res.StatusCode != 503 || res.Header.Get("Proxy-Status") != "ringfence; error=destination_unavailable" || res.Header.Get("Retry-After") == "" {
		t.Errorf("over the time: got %d %v", res.StatusCode, res.Header)
	}
	r.counts("1", "ringfence_gateway_failures_total", `reason="destination_unavailable"`)
}

// TestRemovedEndpoint takes an instance away while it works on a request.
func TestRemovedEndpoint(t *testing.T) {
	r := newRig(t, Options{})
	arrived, finish := make(chan struct{}), make(chan struct{})
	r.backend("v1", func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-finish
		io.WriteString(w, "slow")
	})
	r.apply(shop(nil))
	answer := make(chan string, 1)
	go func() {
		_, b := r.get("/")
		answer <- b
	}()
	<-arrived
	r.backend("v1", say("other")) // replaces it
	if _, b := r.get("/"); b != "other" {
		t.Errorf("got %q, want other", b)
	}
	if err := r.Drain(context.Background(), "shop", "v1", time.Millisecond); err == nil {
		t.Error("drained with a request in flight")
	}
	close(finish)
	if b := <-answer; b != "slow" {
		t.Errorf("got %q, want slow", b)
	}
	<-r.Drained("shop", "v1")
}

func TestPoolReapsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool("x", Options{}.withDefaults().Limits)
		a, b := net.Pipe()
		defer b.Close()
		p.put(newConn(a))
		time.Sleep(2 * time.Second)
		c := p.pop()
		if c == nil {
			t.Fatal("reaped too soon")
		}
		p.put(c)
		time.Sleep(4*time.Second + time.Millisecond)
		synctest.Wait()
		if p.pop() != nil {
			t.Error("kept for longer than the limit")
		}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("not closed: %v", err)
		}
	})
}
