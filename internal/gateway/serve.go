package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Handler returns the gateway as an http.Handler, for servers that are set up elsewhere.
func (g *Gateway) Handler() http.Handler { return g }

// Server returns an http.Server for the gateway: HTTP/1.1, HTTP/2 with TLS, and HTTP/2 by prior knowledge without.
func (g *Gateway) Server() *http.Server {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           g,
		Protocols:         p,
		ReadHeaderTimeout: g.limits.HeaderTimeout,
		IdleTimeout:       g.limits.IdleTimeout,
		MaxHeaderBytes:    g.limits.HeaderBytes,
		TLSConfig:         g.opts.TLS.Clone(),
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug), // clients' mistakes, mostly
	}
}

// Serve takes requests from ln until ctx ends. It then stops accepting, asks clients to leave their connections for
// a short time, and waits for the requests in flight, at most Limits.Shutdown. It owns ln.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener) error {
	srv := g.Server()
	gate := &gatedListener{Listener: ln, closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() {
		if srv.TLSConfig != nil {
			served <- srv.ServeTLS(gate, "", "")
		} else {
			served <- srv.Serve(gate)
		}
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	g.closing.Store(true)
	gate.stop()
	time.Sleep(g.limits.LameDuck)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.limits.Shutdown)
	defer cancel()
	err := srv.Shutdown(end)
	if err != nil {
		srv.Close()
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// gatedListener can stop accepting while it stays open: connections that then arrive wait for a process that shares
// the socket, and none is lost between Accept and the server's bookkeeping when it shuts down.
type gatedListener struct {
	net.Listener
	once   sync.Once
	mu     sync.Mutex
	shut   bool
	closed chan struct{}
}

func (l *gatedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.mu.Lock()
	shut := l.shut
	l.mu.Unlock()
	if err == nil || !shut {
		return c, err
	}
	<-l.closed
	return nil, net.ErrClosed
}

// stop ends accepting; a listener that knows no deadlines is closed instead.
func (l *gatedListener) stop() {
	l.mu.Lock()
	l.shut = true
	l.mu.Unlock()
	if d, ok := l.Listener.(interface{ SetDeadline(time.Time) error }); !ok || d.SetDeadline(longAgo) != nil {
		l.Listener.Close()
	}
}

func (l *gatedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
