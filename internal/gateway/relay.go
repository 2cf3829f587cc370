package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

var errUpstream = errors.New("the service cut its response")

// relay passes a final response on.
func (t *turn) relay() outcome {
	x, c, h := t.x, t.c, &t.c.head
	asset := x.rt.assets.covers(x.r)
	if asset && t.fromBefore() {
		return answered
	}
	dst := x.w.Header()
	h.header(dst)
	x.deprecated(dst)
	x.begin()
	if !t.pump.finished() && x.r.ProtoMajor == 1 {
		dst.Set("Connection", "close") // what is left of the request body must not be read as a request
	}
	if strings.HasPrefix(dst.Get("Content-Type"), "text/event-stream") {
		x.becomeStream(func() { t.ended.Store(true); c.abort() })
		h.close = true // the end of a stream may come late: no other request shall meet it
	}
	x.w.WriteHeader(h.code)
	x.code = h.code
	copied := t.copyBody
	if asset {
		copied = t.copyAsset
	}
	err := copied()
	switch {
	case err == nil:
		t.keep = !h.close && !h.noLengthBody(x.r.Method) && c.br.Buffered() == 0
		return answered
	case t.ended.Load():
		return answered
	case !errors.Is(err, errUpstream) || x.r.Context().Err() != nil:
		x.cut = true // the client left
		return answered
	}
	return x.broken(incomplete)
}

// begin does what comes before the head of every answer of the service.
func (x *exchange) begin() {
	if x.measured() {
		x.log.answered = time.Now()
	}
	x.last.series.users.add(x.user.TargetingKey)
	for _, s := range x.sides {
		s.users.add(x.user.TargetingKey)
	}
	x.tellKey()
	x.tellPage()
	x.leaveAfter()
}

// bodyless reports whether a response has no body whatever its header says.
func (h *response) bodyless(method string) bool {
	return method == http.MethodHead || h.code == http.StatusNoContent || h.code == http.StatusNotModified
}

// noLengthBody reports whether the body ends with the connection.
func (h *response) noLengthBody(method string) bool { return h.noLength && !h.bodyless(method) }

// copyBody copies the body and the trailers. It returns errUpstream when the service is at fault, else the client's error.
func (t *turn) copyBody() error {
	x, c, h := t.x, t.c, &t.c.head
	switch {
	case h.bodyless(x.r.Method):
		return nil
	case h.chunked:
		t.patience(0)
		if err := t.copyStream(httputil.NewChunkedReader(c.br)); err != nil {
			return err
		}
		return t.trailers()
	case h.length >= 0:
		return t.copyLength(h.length)
	}
	t.patience(0)
	return t.copyStream(c.br)
}

// copyLength copies n bytes. What is there already is written from where it lies.
func (t *turn) copyLength(n int64) error {
	c := t.c
	if have := int64(c.br.Buffered()); have > 0 && n > 0 {
		b, _ := c.br.Peek(int(min(have, n)))
		if _, err := t.x.w.Write(b); err != nil {
			return err
		}
		c.br.Discard(len(b))
		t.x.log.out += int64(len(b))
		n -= int64(len(b))
	}
	if n == 0 {
		return nil
	}
	t.patience(0)
	return t.copyStream(&lengthReader{c.br, n})
}

// lengthReader reads n bytes; an earlier end is an error.
type lengthReader struct {
	r io.Reader
	n int64
}

func (l *lengthReader) Read(p []byte) (int, error) {
	if l.n == 0 {
		return 0, io.EOF
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.n)])
	if l.n -= int64(n); err == io.EOF && l.n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// copyStream copies until the end, and lets the client have everything before it waits for more.
func (t *turn) copyStream(src io.Reader) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	rc := http.NewResponseController(t.x.w)
	sink := slowSink{rc: rc, on: t.x.r.ProtoMajor == 1, idle: t.x.g.limits.BodyIdle}
	defer sink.done()
	for {
		sink.renew()
		if t.c.br.Buffered() == 0 {
			if err := rc.Flush(); err != nil {
				return err
			}
		}
		n, err := src.Read(buf[:])
		sink.renew()
		if n > 0 {
			if _, werr := t.x.w.Write(buf[:n]); werr != nil {
				return werr
			}
			t.x.log.out += int64(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errUpstream
		}
	}
}

// slowSink bounds how long a client may take nothing of a response. HTTP/2 has no such bound: there it would also end
// streams on which there is nothing to send.
type slowSink struct {
	rc   *http.ResponseController
	on   bool
	idle time.Duration
	set  time.Time
}

// renew is called before each write.
func (s *slowSink) renew() {
	if !s.on {
		return
	}
	if now := time.Now(); now.Sub(s.set) > s.idle/8 {
		s.rc.SetWriteDeadline(now.Add(s.idle))
		s.set = now
	}
}

func (s *slowSink) done() {
	if !s.set.IsZero() {
		s.rc.SetWriteDeadline(time.Time{})
	}
}

// trailers passes on the fields after a chunked body.
func (t *turn) trailers() error {
	c := t.c
	var err error
	if c.in, err = readBlock(c.br, c.in[:0]); err != nil {
		return errUpstream
	}
	if len(c.in) <= 2 {
		return nil
	}
	fields, err := parseFields(nil, string(c.in))
	if err != nil {
		return errUpstream
	}
	http.NewResponseController(t.x.w).Flush() // a response not yet begun would be sent without trailers
	dst := t.x.w.Header()
	for _, f := range fields {
		switch {
		case hopByHop(f.key) || f.key == "Content-Length" || f.key == "Trailer":
		default:
			dst.Add(http.TrailerPrefix+f.key, f.value)
		}
	}
	return nil
}
