package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/ringfence/ringfence/internal/fleet"
)

// trickle opens n connections that each send first and then one byte of endless a moment for as long as they may.
func (r *rig) trickle(n int, first, endless string) (open func() int) {
	r.t.Helper()
	var mu sync.Mutex
	left := n
	for range n {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { c.Close() })
		io.WriteString(c, first)
		gone := make(chan struct{})
		go func() {
			io.Copy(io.Discard, c) // ends when the gateway closes it
			mu.Lock()
			left--
			mu.Unlock()
			close(gone)
		}()
		go func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-gone:
					return
				case <-tick.C:
					io.WriteString(c, endless[i%len(endless):i%len(endless)+1])
				}
			}
		}()
	}
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return left
	}
}

// others checks that everybody else is answered as ever.
func (r *rig) others() {
	r.t.Helper()
	began := time.Now()
	for range 20 {
		if res, body := r.get("/"); res.StatusCode != 200 || body != "ok" {
			r.t.Errorf("another user: %d %q", res.StatusCode, body)
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		r.t.Errorf("others waited %s", took)
	}
}

// Clients that send their header byte by byte are cut when its time is over, however busy they look.
func TestSlowHeaders(t *testing.T) {
	r := newRig(t, Options{Limits: Limits{HeaderTimeout: 2 * time.Second}})
	r.backend("v1", say("ok"))
	r.apply(shop(nil))
	open := r.trickle(100, "GET / HTTP/1.1\r\nHost: x\r\n", "X-A: a\r\n")
	if n := open(); n != 100 {
		t.Fatalf("%d of 100 connections are open", n)
	}
	r.others()
	eventually(t, "all of them are cut", func() bool { return open() == 0 })
	if n := r.InFlight("shop", "v1"); n != 0 {
		t.Errorf("%d in flight", n)
	}
}

// Clients that send their body byte by byte get on, and hold up neither others nor for long the end of their version.
func TestSlowBodies(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, Options{Limits: Limits{BodyIdle: 300 * time.Millisecond}})
			r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
				io.Copy(io.Discard, req.Body)
				io.WriteString(w, "ok")
			})
			r.apply(shop(func(s *fleet.Service) { s.Route.Protocol = protocol }))
			small := r.trickle(30, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n", "a")
			large := r.trickle(30, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", "a")
			r.others()
			if protocol == "http" { // it is read whole before an instance is troubled, in one time for all of it
				eventually(t, "small bodies are cut", func() bool { return small() == 0 })
			}
			if large() == 0 {
				t.Error("bodies that get on were cut")
			}
			began := time.Now()
			if err := r.Drain(within(t), "shop", "v1", 100*time.Millisecond); err == nil {
				t.Error("nothing was in flight")
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("they held up a drain for %s", took)
			}
		})
	}
}

// stall speaks HTTP/2 by hand: a header that never ends, or a body of which no more comes.
func (r *rig) stall(whole bool) (closed <-chan error) {
	r.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "x"}, {"content-length", "100000"}} {
		enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	err = errors.Join(f.WriteSettings(), f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: whole}))
	if whole {
		err = errors.Join(err, f.WriteData(1, false, []byte("abc")))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() {
		for {
			frame, err := f.ReadFrame()
			if reset, ok := frame.(*http2.RSTStreamFrame); ok {
				err = http2.StreamError{StreamID: 1, Code: reset.ErrCode}
			}
			if err != nil {
				end <- err
				return
			}
		}
	}()
	return end
}

func TestStalledHTTP2Clients(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		for name, whole := range map[string]bool{"header": false, "body": true} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				r := newRig(t, Options{Limits: Limits{BodyIdle: 100 * time.Millisecond, IdleTimeout: 300 * time.Millisecond}})
				r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
					if _, err := io.Copy(io.Discard, req.Body); err == nil {
						io.WriteString(w, "ok")
					}
				})
				r.apply(shop(func(s *fleet.Service) { s.Route.Protocol = protocol }))
				closed := r.stall(whole)
				r.others()
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				select {
				case <-closed:
				case <-ctx.Done():
					t.Error("it is still there")
				}
				eventually(t, "nothing is in flight", func() bool { return r.InFlight("shop", "v1") == 0 })
				if n := r.metric("ringfence_gateway_failures_total"); n != "" {
					t.Errorf("the client's fault is counted as a failure: %s", n)
				}
			})
		}
	}
}
