package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// front is a listening socket with its server. What answers behind it may be exchanged, and it can stop accepting and begin again:
// connections that come meanwhile wait in the kernel, for this process or for another one that has the socket too.
type front struct {
	server  *http.Server
	gate    *gate
	leaving atomic.Bool // every answer asks its client to leave the connection
	ended   chan error
}

// lameDuck is how long clients are asked to leave their connections before those that are idle are closed.
const lameDuck = 500 * time.Millisecond

// newFront takes over l and a server that has all but a wrapped handler; serve serves a listener with it.
func newFront(l net.Listener, server *http.Server, serve func(*http.Server, net.Listener) error) *front {
	f := &front{server: server, gate: newGate(l), ended: make(chan error, 1)}
	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.leaving.Load() {
			w.Header().Set("Connection", "close") // of HTTP/2 the library makes a GOAWAY
		}
		next.ServeHTTP(w, r)
	})
	go func() { f.ended <- serve(server, f.gate) }()
	return f
}

// pause stops accepting, and resume begins again.
func (f *front) pause()  { f.gate.set(false) }
func (f *front) resume() { f.gate.set(true); f.leaving.Store(false) }

// leave stops accepting, asks clients for duck to leave, and answers what is in flight, at most for limit.
func (f *front) leave(duck, limit time.Duration) error {
	f.leaving.Store(true)
	f.pause()
	time.Sleep(duck)
	end, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := f.server.Shutdown(end); errors.Is(err, context.DeadlineExceeded) {
		return f.server.Close()
	}
	return nil
}

// gate is a listener that can be shut for a time without being closed.
type gate struct {
	net.Listener

	mu     sync.Mutex
	open   bool
	change chan struct{} // closed and replaced when open changes or the gate is closed
	closed bool
}

func newGate(l net.Listener) *gate {
	return &gate{Listener: l, open: true, change: make(chan struct{})}
}

// set opens or shuts the gate.
func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	until := time.Time{}
	if !open {
		until = time.Unix(1, 0) // wakes who is in Accept
	}
	if d, ok := g.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(until)
	}
	close(g.change)
	g.change = make(chan struct{})
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		g.mu.Lock()
		open, closed, change := g.open, g.closed, g.change
		g.mu.Unlock()
		switch {
		case closed:
			return nil, net.ErrClosed
		case !open:
			<-change
			continue
		}
		c, err := g.Listener.Accept()
		if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		return c, err
	}
}

func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	close(g.change)
	g.change = make(chan struct{})
	return g.Listener.Close()
}

// file is a socket to hand on; nil when the listener has none.
func socketOf(l net.Listener) (*os.File, error) {
	if g, ok := l.(*gate); ok {
		l = g.Listener
	}
	s, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.New("a listener that cannot be handed on")
	}
	return s.File()
}
