package gateway

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pool keeps idle HTTP/1.1 connections to one instance, the latest used on top.
type pool struct {
	address string
	limits  Limits
	dialer  net.Dialer

	mu     sync.Mutex
	idle   []*conn
	closed bool
	sweep  *time.Timer
}

func newPool(address string, l Limits) *pool {
	return &pool{address: address, limits: l, dialer: net.Dialer{Timeout: l.ConnectTimeout, KeepAlive: 30 * time.Second}}
}

// conn is a connection to an instance; one exchange has it at a time.
type conn struct {
	net.Conn
	br     *bufio.Reader
	out    []byte   // the request head as it is sent
	in     []byte   // the response head as it came
	head   response // reused
	used   bool     // an exchange was completed on it before
	since  time.Time
	until  time.Time // the read deadline
	raw    syscall.RawConn
	probe  func(fd uintptr) bool
	broken bool   // probe's finding
	abort  func() // interrupts reads and writes; the connection is then of no further use
}

var longAgo = time.Unix(1, 0)

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, br: bufio.NewReaderSize(nc, 4096)}
	c.abort = func() { nc.SetDeadline(longAgo) }
	if sc, ok := nc.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	c.probe = func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		// Waiting is the one sound state of an idle connection: an end, an error and data nobody asked for are not.
		c.broken = n >= 0 && err == nil || !errors.Is(err, syscall.EAGAIN)
		return true
	}
	return c
}

// alive reports whether an idle connection can be used, without waiting.
func (c *conn) alive() bool {
	if c.br.Buffered() > 0 {
		return false
	}
	if c.raw == nil {
		return true
	}
	return c.raw.Read(c.probe) == nil && !c.broken
}

// get returns an idle connection that is still alive, else a new one.
func (p *pool) get(ctx context.Context) (*conn, error) {
	for {
		c := p.pop()
		if c == nil {
			break
		}
		if c.alive() {
			return c, nil
		}
		c.Close()
	}
	nc, err := p.dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	return newConn(nc), nil
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put gives a connection back after a complete exchange.
func (p *pool) put(c *conn) {
	c.used = true
	c.since = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.limits.PoolSize {
		c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(p.limits.PoolIdle/4, p.reap)
	}
}

// reap closes what has been idle for too long. It runs only while something is idle.
func (p *pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := time.Now().Add(-p.limits.PoolIdle * 3 / 4) // with the interval, at most PoolIdle
	n := 0
	for n < len(p.idle) && p.idle[n].since.Before(oldest) {
		p.idle[n].Close()
		n++
	}
	p.idle = append(p.idle[:0], p.idle[n:]...)
	if len(p.idle) > 0 && !p.closed {
		p.sweep.Reset(p.limits.PoolIdle / 4)
	} else {
		p.sweep = nil
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.Close()
	}
	p.idle = nil
}

// connectReason names a failed connect.
func connectReason(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		return connectTimeout
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return connectTimeout
	}
	return refused
}
