package flagserve

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/ofrep"
)

// Ports are flagd's: of evaluation, management, sync and OFREP. 0 takes one that is free.
type Ports struct{ Evaluation, Management, Sync, OFREP int }

// Server serves flags from files as flagd does.
type Server struct {
	Options
	Files   *Files
	Address string // the machine's own, without a port
	Ports   Ports
	Socket  string // a Unix socket instead of the evaluation port
	SyncAt  string // a Unix socket instead of the sync port
	TLS     *tls.Config
	Log     *slog.Logger
	Ready   func(Addresses) // called when all ports are open

	feed      Feed
	ready     atomic.Bool
	evaluated atomic.Int64
	reloads   [2]atomic.Int64 // that were taken, that were refused
}

// Addresses are where a Server listens.
type Addresses struct{ Evaluation, Management, Sync, OFREP string }

// grace is how long answers that are under way may take when the server stops.
const grace = 5 * time.Second

// headers is how large the headers of a request may be.
const headers = 64 << 10

// Run serves until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	first, err := s.Files.Load()
	if err != nil {
		return err
	}
	s.feed.Set(s.Gate.Environment, first)
	s.Gate.Source = &s.feed
	asked := s.Asked
	s.Asked = func(environment, key string) {
		s.evaluated.Add(1)
		if asked != nil {
			asked(environment, key)
		}
	}
	protocols := New(s.Options)
	var open opened
	defer open.close()
	at := Addresses{
		Evaluation: open.listen(s.Socket, s.Address, s.Ports.Evaluation, protocols.Evaluation, s.TLS),
		Management: open.listen("", s.Address, s.Ports.Management, s.management(), nil),
		Sync:       open.listen(s.SyncAt, s.Address, s.Ports.Sync, protocols.Sync, s.TLS),
		OFREP:      open.listen("", s.Address, s.Ports.OFREP, protocols.OFREP, s.TLS),
	}
	if open.err != nil {
		return open.err
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, server := range open.servers {
		group.Go(func() error { return serve(server, open.listeners[i]) })
	}
	group.Go(func() error {
		s.Files.Follow(ctx, s.take)
		return nil
	})
	s.ready.Store(true)
	s.Log.Info("flags: served", "evaluation", at.Evaluation, "management", at.Management, "sync", at.Sync, "ofrep", at.OFREP, "flags", first.All().Len())
	if s.Ready != nil {
		s.Ready(at)
	}
	group.Go(func() error {
		<-ctx.Done()
		s.ready.Store(false)
		protocols.Close()
		return open.shutdown()
	})
	return group.Wait()
}

func (s *Server) take(snapshot *flag.Snapshot, err error) {
	if err != nil {
		s.reloads[1].Add(1)
		return
	}
	s.reloads[0].Add(1)
	s.feed.Set(s.Gate.Environment, snapshot)
}

// opened are ports with what is behind them.
type opened struct {
	listeners []net.Listener
	servers   []*http.Server
	err       error // the first that could not be opened
}

func (o *opened) listen(socket, address string, port int, h http.Handler, secure *tls.Config) string {
	if o.err != nil {
		return ""
	}
	network, at := "tcp", net.JoinHostPort(address, strconv.Itoa(port))
	if socket != "" {
		network, at = "unix", socket
		if info, err := os.Lstat(socket); err == nil && info.Mode()&os.ModeSocket != 0 {
			_ = os.Remove(socket) // left by one that was killed; when it cannot go, listening says so
		}
	}
	l, err := net.Listen(network, at)
	if err != nil {
		o.err = errs.Wrap(errs.Unavailable, err, "cannot listen")
		return ""
	}
	if remote, ok := h.(*ofrep.Handler); ok && secure == nil {
		l = ofrep.NewFront(l, remote)
	}
	o.listeners = append(o.listeners, l)
	o.servers = append(o.servers, NewHTTPServer(h, secure))
	return l.Addr().String()
}

// NewHTTPServer is a server with the limits and protocols that flags need: HTTP/2 also without TLS, no limit on how long an answer takes,
// since streams do not end, and patience with the keepalive pings of gRPC.
func NewHTTPServer(h http.Handler, secure *tls.Config) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           h,
		TLSConfig:         secure.Clone(), // the server adds to it
		Protocols:         &protocols,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // streams lift it for themselves
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    headers,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 1000, MaxReceiveBufferPerConnection: 1 << 20, SendPingTimeout: 30 * time.Second, WriteByteTimeout: 15 * time.Second},
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // of clients that break off
	}
}

func serve(server *http.Server, l net.Listener) error {
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (o *opened) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var group errgroup.Group
	for _, server := range o.servers {
		group.Go(func() error {
			if err := server.Shutdown(ctx); err != nil {
				return server.Close() // who is not done by now has had the time
			}
			return nil
		})
	}
	return group.Wait()
}

func (o *opened) close() {
	for _, l := range o.listeners {
		_ = l.Close() // closed already, mostly
	}
}
