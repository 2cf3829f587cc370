package gateway

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// turn is one exchange on one HTTP/1.1 connection.
type turn struct {
	x    *exchange
	c    *conn
	pump *pump
	up   string // the protocol that the client asks to upgrade to
	keep bool   // the connection is sound after this exchange

	ended atomic.Bool // the time of this stream is over
}

// send puts the request to an instance and its answer to the client.
func (x *exchange) send(ep *endpoint) outcome {
	if x.rt.h2c {
		return x.sendHTTP2(ep)
	}
	c, err := ep.pool.get(x.r.Context())
	if err != nil {
		return x.unconnected(ep, err)
	}
	t := turn{x: x, c: c}
	stop := context.AfterFunc(x.r.Context(), c.abort)
	out := t.run()
	if !stop() || !t.keep {
		c.Close()
	} else {
		ep.pool.put(c)
	}
	return out
}

// unconnected notes a failed connect.
func (x *exchange) unconnected(ep *endpoint, err error) outcome {
	if x.r.Context().Err() != nil {
		x.failure = clientDisconnect
		return failed
	}
	x.failure = connectReason(err)
	ep.downUntil.Store(time.Now().Add(time.Second).UnixNano())
	return unsent
}

func (t *turn) run() outcome {
	x, c := t.x, t.c
	if x.body.kind == noBody {
		t.up = upgradeOf(x.r)
	}
	c.out = x.appendRequest(c.out[:0], t.up)
	if x.body.kind == whole {
		c.out = append(c.out, x.body.small...)
	}
	if n, err := c.Write(c.out); err != nil {
		x.failure = terminated
		if n == 0 && x.r.Context().Err() == nil {
			return unsent
		}
		return lost
	}
	if x.body.kind == streamed {
		if x.r.Header["Expect"] == nil || !c.answersWithin(time.Second) {
			t.pump = x.startPump(c)
		}
	}
	out := t.await()
	if t.pump != nil && !t.pump.stop(x, c) {
		t.keep = false
		if !x.cut && x.code == 0 {
			return t.bodyFailed(out)
		}
	}
	if x.body.kind == streamed && t.pump == nil {
		t.keep = false // announced, and never sent
	}
	return out
}

// bodyFailed says what becomes of a request whose body could not be sent and that has no answer.
func (t *turn) bodyFailed(out outcome) outcome {
	switch {
	case errors.Is(t.pump.err, errTooLarge):
		t.x.refuse(http.StatusRequestEntityTooLarge, requestError, "the request body is larger than the service takes")
		return answered
	case errors.Is(t.pump.err, errClient):
		t.x.clientBroke()
		return answered
	}
	return out
}

// clientBroke ends a request whose body did not come whole: nobody is there to be told, unless what came was refused.
func (x *exchange) clientBroke() {
	if c := connOf(x.r.Context()); c != nil {
		if v := c.refusal.Load(); v != nil && c.told.Load() && v.Status != 0 {
			x.refuse(v.Status, requestError, v.Detail)
			return
		}
	}
	x.code, x.cut = 499, true
}

// answersWithin waits for the first byte of an answer.
func (c *conn) answersWithin(d time.Duration) bool {
	c.until = time.Now().Add(d)
	c.SetReadDeadline(c.until)
	_, err := c.br.Peek(1)
	return err == nil
}

// await reads the head of the answer, passing interim ones on, and relays the rest.
func (t *turn) await() outcome {
	x, c, h := t.x, t.c, &t.c.head
	for {
		if err := t.firstByte(); err != nil {
			return t.noAnswer(err)
		}
		var err error
		if c.in, err = readHead(c.br, c.in, h); err != nil {
			return t.noAnswer(err)
		}
		switch {
		case h.code == http.StatusSwitchingProtocols:
			return t.switched()
		case h.code == http.StatusContinue:
		case h.code < 200:
			t.interim()
		default:
			return t.relay()
		}
		if x.body.kind == streamed && t.pump == nil {
			t.pump = x.startPump(c)
		}
	}
}

// firstByte waits until an answer begins. Its time runs from when the request's body was taken in.
func (t *turn) firstByte() error {
	t.c.in = t.c.in[:0]
	for {
		sending := !t.pump.finished()
		t.patience(t.x.rt.timeout)
		if _, err := t.c.br.Peek(1); !sending || t.aborted() || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// patience bounds reading from now on, 0 for not at all. Setting a deadline costs as much as parsing a header, so it
// is set an eighth later than asked for, and one that an earlier exchange set and that comes late enough is left.
// An abort, which may just have come, is not undone.
func (t *turn) patience(d time.Duration) {
	c := t.c
	switch now := time.Now(); {
	case d == 0 && c.until.IsZero():
		return
	case d == 0:
		c.until = time.Time{}
	case c.until.Before(now.Add(d)) || c.until.After(now.Add(d+d/4)):
		c.until = now.Add(d + d/8)
	default:
		return
	}
	c.SetReadDeadline(c.until)
	if t.aborted() {
		c.abort()
	}
}

// aborted reports whether the exchange is to end: the client left, the stream's time is over, or the body failed.
func (t *turn) aborted() bool {
	return t.x.r.Context().Err() != nil || t.ended.Load() || t.pump != nil && t.pump.failed.Load()
}

// interim passes a 103 and the like on.
func (t *turn) interim() {
	dst := t.x.w.Header()
	saved := dst.Clone()
	t.c.head.header(dst)
	delete(dst, "Content-Type")
	t.x.w.WriteHeader(t.c.head.code)
	clear(dst)
	maps.Copy(dst, saved)
}

// noAnswer says why no final head came.
func (t *turn) noAnswer(err error) outcome {
	x, c := t.x, t.c
	switch {
	case x.r.Context().Err() != nil:
		x.failure = clientDisconnect
		return failed
	case errors.Is(err, errMalformed):
		x.failure = protocolError
		return failed
	case errors.Is(err, errHeaderLarge):
		x.failure = headerTooLarge
		return failed
	case errors.Is(err, os.ErrDeadlineExceeded):
		x.failure = responseTimeout
		return failed
	}
	x.failure = terminated
	if len(c.in) > 0 || err == io.ErrUnexpectedEOF {
		x.failure = incomplete
		return failed
	}
	return lost
}
