package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/strict"
)

// guardListener accepts connections whose bytes are looked at before net/http's server reads them.
type guardListener struct {
	net.Listener
	g   *Gateway
	tls *tls.Config // nil: no TLS
}

// guarded makes connections of ln such that Server may be given.
func (g *Gateway) guarded(ln net.Listener) net.Listener {
	l := &guardListener{Listener: ln, g: g}
	if g.opts.TLS != nil {
		l.tls = g.opts.TLS.Clone()
		// HTTP/2 forbids TLS 1.2's older ciphers, and nobody who speaks 1.2 well needs them.
		if l.tls.CipherSuites == nil {
			for _, c := range tls.CipherSuites() {
				switch c.ID {
				case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
					tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
					l.tls.CipherSuites = append(l.tls.CipherSuites, c.ID)
				}
			}
		}
		l.tls.NextProtos = append([]string{"h2", "http/1.1"}, l.tls.NextProtos...)
	}
	return l
}

func (l *guardListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &guardConn{Conn: raw, g: l.g}
	c.requests.Head = l.g.limits.HeaderBytes + 4096 // as much more as net/http reads before it refuses
	if l.tls != nil {
		c.tls = tls.Server(raw, l.tls)
		c.Conn, c.raw = c.tls, raw
	}
	return c, nil
}

type guardMode uint8

const (
	unknownMode guardMode = iota // nothing was read yet
	http1Mode
	http2Mode
)

// guardConn is a client's connection. It shows net/http only what may be passed on, and TLS not at all: HTTP/2 within TLS then takes
// the way of HTTP/2 by prior knowledge, on which its frames can be looked at, too.
type guardConn struct {
	net.Conn          // what is spoken on: TLS's end, if there is TLS
	raw      net.Conn // below TLS; nil without
	g        *Gateway
	tls      *tls.Conn
	shaken   bool                 // a handshake was tried
	state    *tls.ConnectionState // once the handshake is done

	mode     guardMode
	first    []byte // read while the mode was open
	requests strict.Requests
	begun    bool // the server was shown the beginning of what is refused
	refusal  atomic.Pointer[strict.Violation]
	told     atomic.Bool // the server has been given the refusal as an error
	two      *guardHTTP2
	closed   sync.Once
}

type guardKey struct{}

// connOf is the connection of a request, nil when it did not come by a guarded listener.
func connOf(ctx context.Context) *guardConn {
	c, _ := ctx.Value(guardKey{}).(*guardConn)
	return c
}

func guardContext(ctx context.Context, c net.Conn) context.Context {
	if gc, ok := c.(*guardConn); ok {
		return context.WithValue(ctx, guardKey{}, gc)
	}
	return ctx
}

// Read is called by one goroutine at a time.
func (c *guardConn) Read(p []byte) (int, error) {
	switch c.mode {
	case http1Mode:
		return c.readHTTP1(p)
	case http2Mode:
		return c.two.read(p)
	}
	if c.tls != nil && c.state == nil {
		if c.shaken {
			return 0, io.EOF
		}
		c.shaken = true
		if err := c.shake(); err != nil {
			return 0, err
		}
		if c.mode != unknownMode {
			return c.Read(p)
		}
	}
	return c.choose(p)
}

// choose tells HTTP/2 by its preface.
func (c *guardConn) choose(p []byte) (int, error) {
	const mark = "PRI "
	for len(c.first) < len(mark) && string(c.first) == mark[:len(c.first)] {
		var b [len(mark)]byte
		n, err := c.Conn.Read(b[:len(mark)-len(c.first)])
		c.first = append(c.first, b[:n]...)
		if err != nil && n == 0 {
			return 0, err
		}
	}
	if string(c.first) == mark {
		c.speakHTTP2(c.first)
		return c.two.read(p)
	}
	c.mode = http1Mode
	return c.readHTTP1(p)
}

func (c *guardConn) readHTTP1(p []byte) (int, error) {
	if c.refusal.Load() != nil {
		return c.refused(p)
	}
	var n int
	var err error
	if len(c.first) > 0 {
		n = copy(p, c.first)
		c.first = c.first[n:]
	} else if n, err = c.Conn.Read(p); n == 0 {
		return n, err
	}
	ok, v := c.requests.Scan(p[:n])
	if v == nil {
		return n, err
	}
	c.refusal.Store(v)
	c.g.metrics.refused(v.Reason)
	c.g.accessRefused(c.RemoteAddr(), v)
	c.g.log.Debug("a request was refused", "reason", v.Reason, "peer", c.RemoteAddr())
	if ok > 0 {
		return ok, nil
	}
	return c.refused(p)
}

// errRefused is what the server and readers of bodies get instead of what is refused.
var errRefused = errors.New("what the client sent was refused")

func (c *guardConn) refused(p []byte) (int, error) {
	// The server may only look whether the client of the request that it serves is still there, or wait for four bytes of the next one. It gets
	// the beginning of a request, and the error after it.
	if n := min(len(p), 4); !c.requests.InBody() && (n == 1 || !c.begun) && c.refusal.Load().Status != 0 {
		c.begun = c.begun || n == 4
		return copy(p, "XXXX"[:n]), nil
	}
	c.told.Store(true)
	if c.refusal.Load().Status == 0 {
		return 0, io.EOF
	}
	return 0, errRefused
}

// Write also puts the gateway's own answer in the place of net/http's to a head that was refused.
func (c *guardConn) Write(p []byte) (int, error) {
	if c.mode == http2Mode {
		return c.two.write(p)
	}
	if v := c.refusal.Load(); v != nil && c.told.Load() && len(p) > 13 && string(p[:13]) == "HTTP/1.1 400 " {
		if v.Status == 0 {
			return len(p), nil // it would not be understood
		}
		if _, err := c.Conn.Write(refusalAnswer(v)); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func refusalAnswer(v *strict.Violation) []byte {
	body := problemBody(v.Status, v.Detail)
	b := append([]byte("HTTP/1.1 "), strconv.Itoa(v.Status)...)
	b = append(append(b, ' '), http.StatusText(v.Status)...)
	b = append(b, "\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\nConnection: close\r\nProxy-Status: ringfence; error="+requestError+"; details="...)
	b = append(strconv.AppendQuote(b, v.Reason), "\r\nContent-Length: "...)
	b = append(strconv.AppendInt(b, int64(len(body)), 10), "\r\n\r\n"...)
	return append(b, body...)
}

// shake is TLS's handshake, within the time that a request's header may take.
func (c *guardConn) shake() error {
	ctx, cancel := context.WithTimeout(context.Background(), c.g.limits.HeaderTimeout)
	defer cancel()
	if err := c.tls.HandshakeContext(ctx); err != nil {
		if re, ok := errors.AsType[tls.RecordHeaderError](err); ok && re.Conn != nil && re.RecordHeader[0] >= 'A' && re.RecordHeader[0] <= 'Z' {
			_, _ = io.WriteString(re.Conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nThis address speaks HTTPS.\n")
		}
		c.g.metrics.refused("tls_handshake")
		c.g.log.Debug("no TLS handshake", "peer", c.RemoteAddr(), "err", err)
		return io.EOF
	}
	s := c.tls.ConnectionState()
	c.state = &s
	switch s.NegotiatedProtocol {
	case "h2":
		c.speakHTTP2(nil)
	case "", "http/1.1":
		c.mode = http1Mode
	default:
		return io.EOF // a handshake was all that the peer wanted
	}
	return nil
}

func (c *guardConn) Close() error {
	c.closed.Do(func() {
		if c.two != nil {
			c.g.twos.Delete(c.two)
		}
	})
	if !c.told.Load() {
		return c.Conn.Close()
	}
	// What the client has sent besides is read for a moment: to close before would take the answer back.
	_ = c.CloseWrite()
	_ = c.Conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
	go func() {
		_, _ = io.CopyN(io.Discard, c.Conn, 256<<10)
		_ = c.Conn.Close()
	}()
	return nil
}

// CloseWrite ends one direction.
func (c *guardConn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return c.Conn.Close()
}

// bare is the connection for another protocol that follows an upgrade: nothing of it is held here, and the kernel can copy from it.
func bare(nc net.Conn) net.Conn {
	if c, ok := nc.(*guardConn); ok && c.mode == http1Mode {
		return c.Conn
	}
	return nc
}
