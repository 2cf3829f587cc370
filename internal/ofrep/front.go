package ofrep

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Front is a listener that answers by itself what most clients send most of the time: a plain request for one flag, on a connection that is
// kept. The first request on a connection that is anything else, down to a header that Front does not like, goes to whoever
// accepts from the Front, with its connection and unread; so there is one HTTP server that knows all of HTTP, and this one
// never has to guess. Connections with TLS are never its own.
//
// The answers are the same; only what net/http does for requests in general is not done, which costs three times the answer.
type Front struct {
	net.Listener
	h        *Handler
	relevant map[string]string // headers that matter, by their names in small letters
	others   chan net.Conn
	ctx      context.Context
	stop     context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	all   sync.WaitGroup
}

const (
	idleLimit  = 5 * time.Minute
	readLimit  = 10 * time.Second // from a request's first byte to its last
	coarse     = 10 * time.Second // deadlines that are far away are not moved for every request
	maxHeaders = 8 << 10
	stopLimit  = time.Second
)

// NewFront listens on inner for a Handler.
func NewFront(inner net.Listener, h *Handler) *Front {
	ctx, stop := context.WithCancel(context.Background())
	f := &Front{Listener: inner, h: h, relevant: map[string]string{}, others: make(chan net.Conn), ctx: ctx, stop: stop, conns: map[net.Conn]struct{}{}}
	for _, name := range []string{"Authorization", "X-API-Key", "Flagd-Selector", "X-Flag-Set", "X-User-Token"} {
		f.relevant[lower(name)] = http.CanonicalHeaderKey(name)
	}
	for name := range h.gate.Headers {
		f.relevant[lower(name)] = http.CanonicalHeaderKey(name)
	}
	f.all.Go(f.accept)
	return f
}

func lower(s string) string { return string(bytes.ToLower([]byte(s))) }

// Accept returns connections that are not for the Front.
func (f *Front) Accept() (net.Conn, error) {
	select {
	case c := <-f.others:
		return c, nil
	case <-f.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops listening, and lets go of connections on which nothing is being answered.
func (f *Front) Close() error {
	err := f.Listener.Close()
	f.stop()
	f.mu.Lock()
	for c := range f.conns {
		_ = c.SetReadDeadline(time.Now()) // one that is closed already needs none
	}
	f.mu.Unlock()
	done := make(chan struct{})
	go func() {
		f.all.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(stopLimit):
	}
	return err
}

func (f *Front) accept() {
	for {
		c, err := f.Listener.Accept()
		switch {
		case err == nil:
			f.all.Go(func() { f.serve(c) })
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, mostly: others give some back
			select {
			case <-time.After(50 * time.Millisecond):
			case <-f.ctx.Done():
				return
			}
		}
	}
}

// hold keeps a connection in mind until it is let go; false when the Front is closed.
func (f *Front) hold(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = struct{}{}
	return f.ctx.Err() == nil
}

func (f *Front) let(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// serve answers on a connection until it ends or has to go to others.
func (f *Front) serve(c net.Conn) {
	defer func() {
		if v := recover(); v != nil { // as net/http: one connection's trouble is not the others'
			f.h.gate.Panicked(v)
			_ = c.Close()
		}
	}()
	s := conn{Conn: c, front: f, header: http.Header{}, buf: make([]byte, 0, 2048)}
	defer f.let(c)
	for ours := f.hold(c); ours; {
		ours = s.next()
	}
	if s.away {
		f.give(&unread{Conn: c, rest: s.buf})
		return
	}
	_ = c.Close() // nothing is waiting to be sent
}

// give hands a connection to others.
func (f *Front) give(c *unread) {
	_ = c.SetDeadline(time.Time{}) // deadlines are the next one's business now
	select {
	case f.others <- c:
	case <-f.ctx.Done():
		_ = c.Close()
	}
}

// unread is a connection whose first bytes were read already.
type unread struct {
	net.Conn
	rest []byte
}

func (u *unread) Read(p []byte) (int, error) {
	if len(u.rest) > 0 {
		n := copy(p, u.rest)
		u.rest = u.rest[n:]
		return n, nil
	}
	return u.Conn.Read(p)
}

// conn is a connection of the Front's own.
type conn struct {
	net.Conn
	front  *Front
	buf    []byte // read and not yet used
	header http.Header
	out    []byte
	idle   time.Time // the deadlines were last moved
	away   bool      // it has to go to others
}

// next answers one request; false when it was the last.
func (c *conn) next() bool {
	if now := time.Now(); now.Sub(c.idle) > coarse {
		c.idle = now
		if c.SetReadDeadline(now.Add(idleLimit)) != nil || c.SetWriteDeadline(now.Add(idleLimit)) != nil || c.front.ctx.Err() != nil {
			return false
		}
	}
	clear(c.header)
	hurried := false
	for {
		if len(c.buf) > 0 {
			r, state := c.front.parse(c.buf, c.header)
			switch {
			case state == foreign:
				c.away = true
				return false
			case state == complete && c.answer(r) != nil:
				return false
			case state == complete:
				c.buf = c.buf[:copy(c.buf, c.buf[r.end:])]
				return c.front.ctx.Err() == nil
			case !hurried: // a part is there: the rest has to come soon
				hurried, c.idle = true, time.Time{}
				if c.SetReadDeadline(time.Now().Add(readLimit)) != nil {
					return false
				}
			}
		}
		if len(c.buf) == cap(c.buf) {
			c.buf = append(c.buf, make([]byte, cap(c.buf))...)[:len(c.buf)]
		}
		n, err := c.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		if err != nil && n == 0 {
			return false
		}
	}
}

// answer evaluates and writes.
func (c *conn) answer(r plainRequest) error {
	a := pool.Get().(*asked)
	defer a.release()
	status, body, bad := c.front.h.one(c.front.ctx, c.header, r.key, a, func() *refused { return a.parse(string(r.body)) })
	c.out = append(c.out[:0], "HTTP/1.1 "...)
	if bad != nil {
		status, body = bad.Status, refusalBody(r.key, bad)
	}
	c.out = append(strconv.AppendInt(c.out, int64(status), 10), ' ')
	c.out = append(append(c.out, http.StatusText(status)...), "\r\nContent-Type: application/json\r\nDate: "...)
	c.out = append(c.out, date()...)
	for name, value := range refusalHeaders(bad) {
		c.out = append(append(append(append(c.out, "\r\n"...), name...), ": "...), value...)
	}
	c.out = append(c.out, "\r\nContent-Length: "...)
	c.out = append(strconv.AppendInt(c.out, int64(len(body)), 10), "\r\n\r\n"...)
	c.out = append(c.out, body...)
	_, err := c.Write(c.out)
	return err
}
