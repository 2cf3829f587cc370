package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Handler returns the gateway as an http.Handler, for servers that are set up elsewhere.
func (g *Gateway) Handler() http.Handler { return g }

// Server returns an http.Server for the gateway: HTTP/1.1, and HTTP/2 by prior knowledge. Its listener is to be a guarded one, which also speaks TLS.
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
		ConnContext:       guardContext,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: g.limits.Streams, MaxReadFrameSize: 16 << 10, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: g.limits.BodyIdle,
		},
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug), // clients' mistakes, mostly
	}
}

// Serve takes requests from ln until ctx ends. It then stops accepting, asks clients to leave their connections for
// a short time, and waits for the requests in flight, at most as long as a service lets them drain or, when that is
// longer, Limits.Shutdown. Streams, which may never end by themselves, are ended once no other request is in flight or
// Limits.Shutdown is over. It owns ln. When ctx ends because of ErrSucceeded, streams are kept as long as their service says.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener) error {
	srv := g.Server()
	gate := &gatedListener{Listener: ln, closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() {
		served <- srv.Serve(g.guarded(gate))
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	g.closing.Store(true)
	gate.stop()
	g.goAway()
	time.Sleep(g.limits.LameDuck)
	finish := g.finish
	if errors.Is(context.Cause(ctx), ErrSucceeded) {
		finish = g.outlast
	}
	err := finish(srv)
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// finish waits for what srv has in flight.
func (g *Gateway) finish(srv *http.Server) error {
	limit := max(g.limits.Shutdown, time.Duration(g.drain.Load()))
	end, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(end) }()
	tick := time.NewTicker(leavePoll)
	defer tick.Stop()
	for began := time.Now(); ; {
		select {
		case err := <-ended:
			g.endStreams() // the server does not know those of connections that were switched to another protocol
			if err != nil {
				srv.Close()
				return errs.Wrap(errs.Unavailable, err, "%d requests were cut: they took longer than %s", g.plain(), limit)
			}
			return nil
		case <-tick.C:
			if g.plain() == 0 || time.Since(began) > g.limits.Shutdown {
				g.endStreams()
			}
		}
	}
}

// plain counts the requests in flight that are no streams.
func (g *Gateway) plain() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.held.Load()
	for _, v := range g.versions {
		n += v.inFlight.Load()
	}
	return n
}

func (g *Gateway) endStreams() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.versions {
		v.streams.endNow()
	}
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
