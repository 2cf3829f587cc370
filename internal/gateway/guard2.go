package gateway

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/ringfence/ringfence/internal/strict"
)

// guardHTTP2 is the part of a connection that speaks HTTP/2: what comes is counted and bounded frame by frame, and between frames that go
// out some of the gateway's own can be put.
type guardHTTP2 struct {
	c      *guardConn
	frames strict.Frames
	fields *hpack.Decoder
	list   int // bytes of the header list so far

	in         []byte
	at, ok, to int // read until at, may be read until ok, is there until to
	err        error

	ended, sent atomic.Int64 // streams and bytes that the server has sent and the frames were not told of

	mu      sync.Mutex // of writing
	out     strict.Boundaries
	waiting atomic.Pointer[[]byte] // frames of our own
}

// speakHTTP2 goes on in HTTP/2; first is what has been read of it.
func (c *guardConn) speakHTTP2(first []byte) {
	two := &guardHTTP2{c: c, in: make([]byte, 4<<10)}
	two.frames.Head = c.g.limits.HeaderBytes
	two.frames.Block = two.block
	two.fields = hpack.NewDecoder(4096, two.field)
	two.to = copy(two.in, first)
	c.two, c.mode, c.first = two, http2Mode, nil
	c.g.twos.Store(two, struct{}{})
	if c.g.parting() {
		two.leave()
	}
}

func (t *guardHTTP2) read(p []byte) (int, error) {
	for t.at == t.ok {
		if t.err != nil {
			return 0, t.err
		}
		t.fill()
	}
	n := copy(p, t.in[t.at:t.ok])
	t.at += n
	return n, nil
}

// fill reads what comes next, behind what waits for more.
func (t *guardHTTP2) fill() {
	t.to = copy(t.in, t.in[t.ok:t.to])
	t.at, t.ok = 0, 0
	if t.frames.Fresh() && t.to > 0 { // read before the mode was known
		t.scan()
		return
	}
	n, err := t.c.Conn.Read(t.in[t.to:])
	t.to += n
	if n > 0 {
		t.scan()
	}
	if err != nil && t.err == nil {
		t.err = err
	}
}

func (t *guardHTTP2) scan() {
	t.frames.Answered(int(t.ended.Swap(0)), int(t.sent.Swap(0)))
	n, err := t.frames.Scan(t.in[:t.to], time.Now())
	t.ok = n
	if err == nil {
		return
	}
	t.ok = 0
	t.err = io.EOF
	code := uint32(strict.CodeProtocol)
	reason := "http2"
	if f, ok := err.(*strict.Flood); ok {
		code, reason = f.Code, f.Reason
	}
	t.c.g.metrics.refused(reason)
	t.c.g.log.Debug("an HTTP/2 connection was ended", "reason", reason, "peer", t.c.RemoteAddr())
	t.put(strict.GoAway(t.frames.Stream(), code))
	t.c.told.Store(true)
}

// block takes pieces of header blocks. What cannot be decoded is the server's to answer.
func (t *guardHTTP2) block(p []byte, end bool) (err error) {
	if t.fields == nil {
		return nil
	}
	if _, e := t.fields.Write(p); e != nil {
		t.fields = nil
		return nil
	}
	switch {
	case t.list > 4*t.c.g.limits.HeaderBytes:
		return &strict.Flood{Reason: "header_too_large", Code: strict.CodeCalm}
	case t.list < 0:
		return &strict.Flood{Reason: "connection_header", Code: strict.CodeProtocol}
	}
	if end {
		t.list = 0
		if e := t.fields.Close(); e != nil {
			t.fields = nil
		}
	}
	return nil
}

// field looks at one field: those that concern a connection have no place in HTTP/2, and could become one in HTTP/1.
func (t *guardHTTP2) field(f hpack.HeaderField) {
	if t.list < 0 {
		return
	}
	t.list += int(f.Size())
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		t.list = -1
	case "te":
		if !strings.EqualFold(f.Value, "trailers") {
			t.list = -1
		}
	}
}

// write passes frames on, and what waits to be put between them.
func (t *guardHTTP2) write(p []byte) (total int, err error) {
	t.mu.Lock()
	for len(p) > 0 && err == nil {
		if err = t.slip(); err != nil {
			break
		}
		n := t.out.Pass(p, t.waiting.Load() != nil)
		n, err = t.c.Conn.Write(p[:n])
		total += n
		p = p[n:]
	}
	ended := t.out.Ended()
	t.mu.Unlock()
	t.ended.Add(int64(ended))
	t.sent.Add(int64(total))
	t.flush()
	return total, err
}

// slip writes what waits if a frame may begin here. t.mu is held.
func (t *guardHTTP2) slip() error {
	if t.waiting.Load() == nil || !t.out.At() {
		return nil
	}
	if b := t.waiting.Swap(nil); b != nil {
		_, err := t.c.Conn.Write(*b)
		return err
	}
	return nil
}

// put sends a frame of our own as soon as none of the server's is under way.
func (t *guardHTTP2) put(frame []byte) {
	t.waiting.Store(&frame)
	t.flush()
}

// flush is also called after each write: what came to wait during it found the lock taken.
func (t *guardHTTP2) flush() {
	if t.waiting.Load() != nil && t.mu.TryLock() {
		_ = t.slip()
		t.mu.Unlock()
	}
}

// leave is the first step of a graceful end: the client is told to open no more streams, and those on their way are still served. The second,
// which says how far that went, is the server's when it shuts down.
func (t *guardHTTP2) leave() { t.put(strict.GoAway(strict.LastStream, 0)) }
