package gateway

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// mortal is an instance that can be killed: its listener and every connection are gone at once, with a reset.
type mortal struct {
	ln    net.Listener
	mu    sync.Mutex
	conns map[net.Conn]bool
	hits  atomic.Int64
}

func newMortal(t *testing.T, version string, delay time.Duration) *mortal {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mortal{ln: ln, conns: map[net.Conn]bool{}}
	t.Cleanup(m.kill)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.conns[c] = true
			m.mu.Unlock()
			go m.talk(c, version, delay)
		}
	}()
	return m
}

func (m *mortal) talk(c net.Conn, version string, delay time.Duration) {
	br := bufio.NewReader(c)
	for {
		_, body, err := readRequest(br)
		if err != nil {
			return
		}
		m.hits.Add(1)
		if delay > 0 {
			time.Sleep(rand.N(delay)) // the work of the service
		}
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s %s", len(version)+1+len(body), version, body); err != nil {
			return
		}
	}
}

func (m *mortal) kill() {
	m.ln.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	clear(m.conns)
}

// strictClient sends one request after the other on one connection, 30 % of them POST, and never again.
type strictClient struct {
	addr, user string
	requests   int64
	failed     []string
	seen       atomic.Pointer[string] // the version of the last answer
}

func (s *strictClient) run(stop <-chan struct{}) {
	var c net.Conn
	var br *bufio.Reader
	for {
		select {
		case <-stop:
			return
		default:
		}
		if c == nil {
			var err error
			if c, err = net.Dial("tcp", s.addr); err != nil {
				s.failed = append(s.failed, err.Error())
				continue
			}
			br = bufio.NewReader(c)
		}
		method, body := "GET", ""
		if rand.IntN(10) < 3 {
			method, body = "POST", "payload-"+strconv.Itoa(rand.IntN(1000))
		}
		s.requests++
		c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: x\r\nX-User-ID: %s\r\nContent-Length: %d\r\n\r\n%s", method, s.user, len(body), body)
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			s.failed = append(s.failed, err.Error())
			c.Close()
			c = nil
			continue
		}
		b, err := io.ReadAll(res.Body)
		version, echo, _ := strings.Cut(string(b), " ")
		if err != nil || res.StatusCode != 200 || echo != body {
			s.failed = append(s.failed, fmt.Sprint(res.StatusCode, string(b), err))
		}
		s.seen.Store(&version)
	}
}

// TestSwitchLosesNothing switches versions under load and kills the old instance as soon as it is drained.
func TestSwitchLosesNothing(t *testing.T) {
	for _, delay := range []time.Duration{0, 20 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			r := newRig(t, Options{})
			old := newMortal(t, "v0", delay)
			r.ready("v0", old.ln.Addr().String())
			r.apply(shop(func(s *fleet.Service) { s.Exposure = []string{"v0"} }))
			stop := make(chan struct{})
			var wg sync.WaitGroup
			clients := make([]*strictClient, 16)
			for i := range clients {
				clients[i] = &strictClient{addr: strings.TrimPrefix(r.url, "http://"), user: fmt.Sprint("u", i)}
				wg.Go(func() { clients[i].run(stop) })
			}
			for n := 1; n <= 20; n++ {
				before, name := fmt.Sprint("v", n-1), fmt.Sprint("v", n)
				next := newMortal(t, name, delay)
				r.ready(name, next.ln.Addr().String())
				r.apply(shop(func(s *fleet.Service) { s.Exposure, s.Generation = []string{name}, int64(n) }))
				if err := r.Drain(context.Background(), "shop", before, 5*time.Second); err != nil {
					t.Error(err)
				}
				old.kill()
				r.SetEndpoints("shop", before, nil)
				eventually(t, "all use "+name, func() bool {
					for _, c := range clients {
						if v := c.seen.Load(); v == nil || *v != name {
							return false
						}
					}
					return true
				})
				old = next
			}
			close(stop)
			wg.Wait()
			var total int64
			for _, c := range clients {
				total += c.requests
				for _, f := range c.failed {
					t.Error("lost:", f)
				}
			}
			if total < 500 {
				t.Errorf("only %d requests were made", total)
			}
			if n := r.metric("ringfence_gateway_failures_total"); n != "" {
				t.Errorf("failures: %s", n)
			}
			t.Logf("%d requests, 20 switches", total)
		})
	}
}

// TestNoneByEarlierRouting checks the promise of Apply alone: a request begun after it goes to the new version.
func TestNoneByEarlierRouting(t *testing.T) {
	g := New(Options{})
	a, b := newMortal(t, "a", 0), newMortal(t, "b", 0)
	g.SetEndpoints("shop", "a", []fleet.Endpoint{{ID: "a", Address: a.ln.Addr().String()}})
	g.SetEndpoints("shop", "b", []fleet.Endpoint{{ID: "b", Address: b.ln.Addr().String()}})
	var epoch atomic.Int64 // odd: b is in force, even: a; -1 while it changes
	var wg sync.WaitGroup
	stop := make(chan struct{})
	set := func(n int64) {
		epoch.Store(-1)
		name := []string{"a", "b"}[n%2]
		if err := g.Apply(context.Background(), []fleet.Service{shop(func(s *fleet.Service) { s.Exposure = []string{name} })}); err != nil {
			t.Error(err)
		}
		epoch.Store(n)
	}
	set(0)
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := epoch.Load()
				req, _ := http.NewRequest("GET", "http://x/", nil)
				req.RequestURI, req.RemoteAddr = "/", "127.0.0.1:1"
				w := &memoryWriter{h: http.Header{}}
				g.ServeHTTP(w, req)
				if after := epoch.Load(); before >= 0 && before == after {
					if want := []string{"a ", "b "}[before%2]; w.b.String() != want {
						t.Errorf("epoch %d answered by %q", before, w.b.String())
					}
				}
			}
		})
	}
	for n := int64(1); n <= 300; n++ {
		set(n)
	}
	close(stop)
	wg.Wait()
}

type memoryWriter struct {
	h http.Header
	b bytes.Buffer
}

func (w *memoryWriter) Header() http.Header         { return w.h }
func (w *memoryWriter) WriteHeader(int)             {}
func (w *memoryWriter) Write(p []byte) (int, error) { return w.b.Write(p) }
func (w *memoryWriter) Flush()                      {}
