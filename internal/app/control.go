package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/internal/gateway"
	"github.com/ringfence/ringfence/internal/handover"
	"github.com/ringfence/ringfence/internal/store/postgres"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// controlPlane is the process of a control plane: its socket, and the server behind it, which is opened and closed as it has the state.
type controlPlane struct {
	ServerConfig
	seat    *seat
	secure  *tls.Config
	socket  net.Listener
	front   *front
	hold    *hold
	failed  chan error // of a server that ended by itself
	working context.Context

	succeeded context.CancelCauseFunc
	heir      *handover.Successor

	mu     sync.Mutex
	server *server
	stop   context.CancelFunc // of the server
	ended  chan struct{}
	err    error // with which it ended
}

// Server runs the control plane until ctx ends, or another process has taken over.
func Server(ctx context.Context, c ServerConfig) error {
	secure, err := c.TLS.Config(tls.VersionTLS13, c.Logger)
	if err != nil {
		return err
	}
	if err := guardAddress("API", c.Listen, secure != nil); err != nil {
		return err
	}
	if err := checkURL(c.URL); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	s, err := takeSeat("server", c.Data, c.Logger)
	if err != nil {
		return err
	}
	p := &controlPlane{ServerConfig: c, seat: s, secure: secure, hold: newHold(), failed: make(chan error, 1)}
	return s.give(p.run(ctx))
}

func (p *controlPlane) run(ctx context.Context) (err error) {
	if p.seat.before != nil {
		if err := checkStore(ctx, p.ServerConfig); err != nil {
			return err
		}
	}
	if err := p.seat.settle(ctx, nil); err != nil {
		return err
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	if p.socket, err = listenAPI(p.Listen); err != nil {
		return errors.Join(fmt.Errorf("API: %w", err), p.server.close())
	}
	group, working := errgroup.WithContext(ctx)
	p.working = working
	serving, succeeded := context.WithCancelCause(working)
	p.succeeded = succeeded
	if err := p.begin(); err != nil {
		return err
	}
	server, serve := newHTTP(working, p.hold, p.secure)
	p.front = newFront(p.socket, server, serve)
	group.Go(func() error { return p.until(working, serving) })
	group.Go(func() error { return p.stay(working, serving) })
	group.Go(func() error {
		select {
		case err := <-p.failed:
			return err
		case <-serving.Done():
			return nil
		}
	})
	err = group.Wait()
	return errors.Join(err, p.end())
}

// prepare opens the state.
func (p *controlPlane) prepare(ctx context.Context) error {
	s, err := newServer(ctx, p.ServerConfig)
	if err != nil {
		return err
	}
	s.secure = p.secure
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server, p.stop, p.ended = s, nil, nil
	return nil
}

// begin lets the server work, and returns once it answers.
func (p *controlPlane) begin() error {
	ctx, stop := context.WithCancel(context.WithoutCancel(p.working)) // it ends after the last request
	answers, ended := make(chan http.Handler, 1), make(chan struct{})
	p.mu.Lock()
	s := p.server
	p.stop, p.ended = stop, ended
	p.mu.Unlock()
	go func() {
		defer close(ended)
		err := s.run(ctx, p.socket, func(h http.Handler) { answers <- h })
		if ctx.Err() == nil { // nobody stopped it
			p.failed <- err
			err = nil
		}
		err = errors.Join(err, s.close())
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
	}()
	select {
	case h := <-answers:
		p.hold.answer(h, nil)
		return nil
	case <-ended:
		return errors.Join(<-p.failed, p.end())
	}
}

// end ends the server's work and closes the state, if that has not been done.
func (p *controlPlane) end() error {
	p.mu.Lock()
	stop, ended := p.stop, p.ended
	p.mu.Unlock()
	if ended == nil {
		return nil
	}
	stop()
	<-ended
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = nil
	return p.err
}

// until answers until working ends, or another process has taken over: then what is still in flight here is passed on or ended.
func (p *controlPlane) until(working, serving context.Context) error {
	select {
	case err := <-p.front.ended:
		return err
	case <-working.Done():
		return p.front.leave(0, 3*time.Second)
	case <-succeededOf(serving):
	}
	gone := make(chan error, 1)
	go func() { gone <- p.front.leave(lameDuck, lingering) }()
	select {
	case err := <-gone:
		return err
	case <-working.Done():
	case <-p.heir.Done():
	}
	return p.front.server.Close()
}

// lingering is how long a control plane that was succeeded passes on what came to it before, and takes artifacts that were on their way.
const lingering = 10 * time.Minute

// stay serves the control socket, after who was here before has gone, until another process has taken over or working ends.
func (p *controlPlane) stay(working, serving context.Context) error {
	who, err := p.seat.serving(working)
	if working.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if who != nil {
		p.recordUpgrade(working, done("server", *who))
	}
	if err := p.seat.answer(serving, p); err != nil {
		p.Logger.Warn("this control plane cannot be upgraded while it runs", "err", err)
	}
	<-serving.Done()
	return nil
}

// sockets implements replaceable.
func (p *controlPlane) sockets() ([]handover.Socket, error) {
	f, err := socketOf(p.socket)
	if err != nil {
		return nil, err
	}
	return []handover.Socket{{Env: apiDoorEnv, File: f}}, nil
}

// letGo implements replaceable: new connections wait in the kernel, requests on those that are there wait here.
func (p *controlPlane) letGo(context.Context) (any, error) {
	p.front.pause()
	p.hold.freeze()
	return nil, p.end()
}

// yield implements replaceable: what waited is answered by the other process.
func (p *controlPlane) yield(*handover.Successor) {
	p.hold.answer(nil, passOn(p.socket.Addr().String(), p.secure != nil))
}

// takeBack implements replaceable.
func (p *controlPlane) takeBack(ctx context.Context) error {
	p.hold.answer(nil, nil)
	if err := p.prepare(ctx); err != nil {
		return err
	}
	if err := p.begin(); err != nil {
		return err
	}
	p.front.resume()
	return nil
}

// leave implements replaceable.
func (p *controlPlane) leave(next *handover.Successor) {
	p.heir = next
	p.succeeded(gateway.ErrSucceeded)
}

// checkStore refuses a database that this version cannot use, and changes nothing in it.
func checkStore(ctx context.Context, c ServerConfig) error {
	if c.Database == "" {
		return sqlite.Check(ctx, filepath.Join(c.Data, "ringfence.db"))
	}
	return postgres.Check(ctx, c.Database)
}
