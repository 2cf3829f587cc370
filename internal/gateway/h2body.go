package gateway

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// h2body is a request's body on its way to an instance that speaks HTTP/2. It notes whether any of it was taken, and
// bounds its size and, until the answer begins, how long the client may send nothing.
type h2body struct {
	io.ReadCloser
	taken   atomic.Bool
	read    atomic.Int64
	ended   atomic.Bool // read to its end
	stalled atomic.Bool // the client sent nothing for too long, or broke it off
	left    int64       // -1: no limit
	large   atomic.Bool
	// answered says that the head of the answer is there.
	answered atomic.Bool
	old      bool          // the client speaks HTTP/1.1
	idle     time.Duration // 0: no bound
	rc       *http.ResponseController

	mu      sync.Mutex
	dropped bool
	renew   time.Time
}

// newH2body takes over x's body. A gRPC stream may be silent for as long as it likes.
func (x *exchange) newH2body() *h2body {
	b := &h2body{ReadCloser: x.r.Body, left: x.rt.maxBody, old: x.r.ProtoMajor == 1, rc: http.NewResponseController(x.w)}
	if !strings.HasPrefix(x.r.Header.Get("Content-Type"), "application/grpc") {
		b.idle = x.g.limits.BodyIdle
	}
	if b.old {
		b.rc.EnableFullDuplex() // else net/http would read the whole body before the first byte of the response
	}
	return b
}

func (b *h2body) Read(p []byte) (int, error) {
	b.taken.Store(true)
	b.wind()
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	switch {
	case err == io.EOF:
		b.ended.Store(true)
		b.unwind()
	case err != nil && !b.answered.Load():
		b.stalled.Store(true)
	}
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			b.large.Store(true)
			return 0, errTooLarge
		}
	}
	return n, err
}

// wind gives the client the time to send something.
func (b *h2body) wind() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.idle == 0 || b.dropped || b.answered.Load() || now.Before(b.renew) {
		return
	}
	b.rc.SetReadDeadline(now.Add(b.idle))
	b.renew = now.Add(b.idle / 8)
}

func (b *h2body) unwind() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.renew.IsZero() && !b.dropped {
		b.rc.SetReadDeadline(time.Time{})
	}
}

// begun notes that the answer has begun: from now on the client may wait for it to say something.
func (b *h2body) begun() {
	b.answered.Store(true)
	b.unwind()
}

// open reports whether some of the body is still to be read.
func (b *h2body) open() bool { return b != nil && !b.ended.Load() }

// Close is called by the transport when it is done with the body. Without an answer, that is because the exchange
// failed, and a Read that waits for the client must not hold it up. During an answer the Read is left alone: to end it
// would cancel the request.
func (b *h2body) Close() error {
	if !b.answered.Load() {
		b.drop()
	}
	return nil
}

// drop ends a Read that waits for an HTTP/1.1 client, whose connection is then of no further use. It leaves a body
// of which nothing was taken: that can still be sent elsewhere. net/http closes the body itself.
func (b *h2body) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.old && b.taken.Load() && b.open() {
		b.dropped = true
		b.rc.SetReadDeadline(longAgo)
	}
}
