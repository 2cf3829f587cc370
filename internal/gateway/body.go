package gateway

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// smallBody is the largest request body that is read whole before it is sent: it can be sent again, it occupies no
// connection to an instance while a slow client sends it, and it needs no goroutine.
const smallBody = 16 << 10

type bodyKind uint8

const (
	noBody bodyKind = iota
	whole
	streamed
)

// reqBody is the body of a request.
type reqBody struct {
	kind    bodyKind
	small   []byte // kind whole
	started bool   // kind streamed: some of it was taken
}

// prepare looks at the body and reads a small one; false when the request was answered already.
func (b *reqBody) prepare(x *exchange) bool {
	r := x.r
	if b.kind != noBody || r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return true
	}
	if x.rt.maxBody >= 0 && r.ContentLength > x.rt.maxBody {
		x.refuse(http.StatusRequestEntityTooLarge, requestError, "the request body is larger than "+strconv.FormatInt(x.rt.maxBody, 10)+" bytes")
		return false
	}
	if r.ContentLength < 0 || r.ContentLength > smallBody || x.rt.h2c || r.Header["Expect"] != nil {
		b.kind = streamed
		return true
	}
	b.kind = whole
	if n := int(r.ContentLength); cap(b.small) < n {
		b.small = make([]byte, n)
	} else {
		b.small = b.small[:n]
	}
	rc := http.NewResponseController(x.w)
	rc.SetReadDeadline(time.Now().Add(x.g.limits.BodyIdle))
	n, err := io.ReadFull(r.Body, b.small)
	x.log.in = int64(n)
	rc.SetReadDeadline(time.Time{})
	if err != nil {
		x.code, x.cut = 499, true
		return false
	}
	return true
}

// replayable reports whether the request may be sent again after an instance may have seen it.
func (b *reqBody) replayable(r *http.Request) bool {
	if b.kind == streamed && b.started {
		return false
	}
	switch r.Method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil
}

var (
	errTooLarge = errors.New("request body too large")
	errClient   = errors.New("the client broke off its request body")
)

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// pump sends a streamed body while the response is awaited.
type pump struct {
	sentAll atomic.Bool
	failed  atomic.Bool // the client's part failed; the connection is then aborted
	done    chan struct{}
	err     error // valid once done is closed: errTooLarge, errClient or the connection's
	total   int64 // likewise; bytes that were read
}

// startPump begins to send the body on c. The response may begin, and even end, before the body does.
func (x *exchange) startPump(c *conn) *pump {
	p := &pump{done: make(chan struct{})}
	x.body.started = true
	rc := http.NewResponseController(x.w)
	rc.EnableFullDuplex() // else net/http would read the whole body before the first byte of the response
	go func() {
		defer close(p.done)
		p.err = p.copy(c, x.r, rc, x.rt.maxBody, x.g.limits.BodyIdle)
		if p.err == errTooLarge || p.err == errClient {
			p.failed.Store(true)
			c.abort() // the instance must see the body cut
		}
	}()
	return p
}

func (p *pump) copy(c *conn, r *http.Request, rc *http.ResponseController, limit int64, idle time.Duration) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	const room = 16 // for the size line before a chunk; the end of the buffer keeps two for the one after
	chunked := r.ContentLength < 0
	var renew time.Time
	for {
		if now := time.Now(); now.After(renew) {
			rc.SetReadDeadline(now.Add(idle))
			renew = now.Add(idle / 8)
		}
		n, err := r.Body.Read(buf[room : len(buf)-2])
		if err != nil {
			rc.SetReadDeadline(time.Time{})
			if err != io.EOF {
				return errClient
			}
			p.sentAll.Store(true)
		}
		if p.total += int64(n); limit >= 0 && p.total > limit {
			return errTooLarge
		}
		if n > 0 {
			out := buf[room : room+n]
			if chunked {
				size := strconv.AppendInt(buf[room-10:room-10], int64(n), 16)
				at := room - 2 - len(size)
				copy(buf[at:], size)
				copy(buf[room-2:], "\r\n")
				out = append(buf[at:room+n], "\r\n"...)
			}
			if _, werr := c.Write(out); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			if chunked {
				_, err := c.Write(appendTrailer([]byte("0\r\n"), r.Trailer))
				return err
			}
			return nil
		}
	}
}

// appendTrailer writes trailer fields and the empty line that ends a chunked body.
func appendTrailer(b []byte, t http.Header) []byte {
	for k, vs := range t {
		for _, v := range vs {
			b = appendField(b, k, v)
		}
	}
	return append(b, "\r\n"...)
}

// finished reports whether the whole body has been read from the client.
func (p *pump) finished() bool { return p == nil || p.sentAll.Load() }

// stop ends the pump, if it still runs, and waits for it: no one reads a body after its handler has returned. The
// connection to the instance is then of no further use. It reports whether the body was sent to the end.
func (p *pump) stop(x *exchange, c *conn) bool {
	if p == nil {
		return true
	}
	select {
	case <-p.done:
	default:
		if p.sentAll.Load() { // only the last write is under way
			<-p.done
			break
		}
		c.abort()
		http.NewResponseController(x.w).SetReadDeadline(longAgo)
		if x.r.ProtoMajor >= 2 {
			x.r.Body.Close()
		}
		<-p.done
	}
	x.log.in = p.total
	return p.err == nil
}
