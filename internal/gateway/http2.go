package gateway

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// h2client speaks HTTP/2 cleartext with one instance, as gRPC services want it.
type h2client struct{ t *http.Transport }

type connectError struct{ err error }

func (e connectError) Error() string { return e.err.Error() }
func (e connectError) Unwrap() error { return e.err }

func newH2client(address string, l Limits) *h2client {
	d := net.Dialer{Timeout: l.ConnectTimeout, KeepAlive: 30 * time.Second}
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return &h2client{&http.Transport{
		Protocols:          p,
		DisableCompression: true,
		IdleConnTimeout:    l.PoolIdle,
		HTTP2:              &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := d.DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, connectError{err}
			}
			return c, nil
		},
	}}
}

func (h *h2client) close() { h.t.CloseIdleConnections() }

func (e *endpoint) http2(l Limits) *h2client {
	e.h2once.Do(func() { e.h2 = newH2client(e.address, l) })
	return e.h2
}

// sendHTTP2 is send for instances that speak HTTP/2.
func (x *exchange) sendHTTP2(ep *endpoint) outcome {
	client := ep.http2(x.g.limits)
	if client == nil { // closed while this request was on its way to it
		x.failure = refused
		return unsent
	}
	ctx, cancel := context.WithCancelCause(x.r.Context())
	defer cancel(nil)
	in := &interims{w: x.w}
	defer in.stop()
	var body *h2body
	trace := &httptrace.ClientTrace{Got1xxResponse: in.pass, GotFirstResponseByte: func() {
		if body != nil {
			body.begun()
		}
	}}
	req, body := x.http2Request(httptrace.WithClientTrace(ctx, trace), ep)
	stop := x.limitAnswer(body, cancel)
	res, err := client.t.RoundTrip(req)
	stop()
	in.stop()
	if body != nil {
		x.body.started = x.body.started || body.taken.Load()
		x.log.in = body.read.Load()
	}
	if err != nil {
		return x.noHTTP2(ctx, ep, body, err)
	}
	defer res.Body.Close()
	if body.open() {
		body.taken.Store(true) // what is left of it must not be read as a request
		defer body.drop()
		if x.r.ProtoMajor == 1 {
			x.w.Header().Set("Connection", "close")
		}
	}
	return x.relayHTTP2(res, cancel)
}

// interims passes 103 and the like on, while the request waits for its answer.
type interims struct {
	mu sync.Mutex
	w  http.ResponseWriter
}

func (i *interims) pass(code int, h textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.w == nil || code == http.StatusContinue {
		return nil
	}
	dst := i.w.Header()
	saved := dst.Clone()
	for k, vs := range h {
		if !hopByHop(k) {
			dst[k] = vs
		}
	}
	i.w.WriteHeader(code)
	clear(dst)
	maps.Copy(dst, saved)
	return nil
}

func (i *interims) stop() {
	i.mu.Lock()
	i.w = nil
	i.mu.Unlock()
}

var (
	errNoAnswer = errors.New("no response in time")
	errStreamIn = errors.New("the stream's time is over")
)

// limitAnswer cancels an exchange without an answer in time, which runs from when the body was read to its end.
func (x *exchange) limitAnswer(body *h2body, cancel context.CancelCauseFunc) (stop func()) {
	d := x.rt.timeout
	var mu sync.Mutex
	var t *time.Timer
	over := false
	mu.Lock()
	defer mu.Unlock()
	t = time.AfterFunc(d, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case over:
		case body.open():
			t.Reset(d)
		default:
			cancel(errNoAnswer)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		t.Stop()
	}
}

func (x *exchange) noHTTP2(ctx context.Context, ep *endpoint, body *h2body, err error) outcome {
	var ce connectError
	switch {
	case x.r.Context().Err() != nil:
		x.failure = clientDisconnect
	case errors.As(err, &ce) && !x.body.started:
		return x.unconnected(ep, ce.err)
	case body != nil && body.large.Load():
		x.refuse(http.StatusRequestEntityTooLarge, requestError, "the request body is larger than the service takes")
		return answered
	case body != nil && body.stalled.Load():
		x.clientBroke()
		return answered
	case context.Cause(ctx) == errNoAnswer:
		x.failure = responseTimeout
	default:
		x.failure = terminated
		return lost
	}
	return failed
}

// http2Request is the request as the instance is to see it.
func (x *exchange) http2Request(ctx context.Context, ep *endpoint) (*http.Request, *h2body) {
	r := x.r
	h := make(http.Header, len(r.Header)+4)
	trusted := x.fromTrusted()
	hop := strings.Join(r.Header["Connection"], ",")
	for k, vs := range r.Header {
		if !hopByHop(k) && k != "Content-Length" && !x.replaced(k, trusted) && !(hop != "" && hasToken(hop, k)) {
			h[k] = vs
		}
	}
	fields, _ := parseFields(nil, string(x.appendForwarded(nil, trusted)))
	for _, f := range fields {
		h[f.key] = append(h[f.key], f.value)
	}
	if hasToken(r.Header.Get("Te"), "trailers") {
		h.Set("Te", "trailers")
	}
	if h["User-Agent"] == nil {
		h["User-Agent"] = []string{""} // net/http is not to add its own
	}
	u, err := url.ParseRequestURI(x.target())
	if err != nil {
		u = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	}
	u.Scheme, u.Host = "http", ep.address
	req := (&http.Request{Method: r.Method, URL: u, Host: r.Host, Header: h, ContentLength: r.ContentLength, Trailer: r.Trailer}).WithContext(ctx)
	if x.body.kind == noBody {
		return req, nil
	}
	b := x.newH2body()
	req.Body = b
	return req, b
}

// relayHTTP2 passes the response on. A gRPC exchange that has begun to answer is a stream from there on.
func (x *exchange) relayHTTP2(res *http.Response, cancel context.CancelCauseFunc) outcome {
	dst := x.w.Header()
	for k, vs := range res.Header {
		if !hopByHop(k) {
			dst[k] = append(dst[k], vs...)
		}
	}
	x.deprecated(dst)
	if dst["Content-Type"] == nil {
		dst["Content-Type"] = nil
	}
	for k := range res.Trailer {
		dst.Add("Trailer", k)
		if x.r.ProtoMajor == 1 {
			delete(dst, "Content-Length") // only chunks can be followed by trailers
		}
	}
	x.begin()
	grpc := strings.HasPrefix(res.Header.Get("Content-Type"), "application/grpc")
	var ended atomic.Bool
	if grpc || strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		x.becomeStream(func() { ended.Store(true); cancel(errStreamIn) })
	}
	x.w.WriteHeader(res.StatusCode)
	x.code = res.StatusCode
	err := x.copyHTTP2(res)
	switch {
	case err == nil:
		return answered
	case ended.Load():
		if grpc { // the client is told to come again, which reaches another version
			dst.Set(http.TrailerPrefix+"Grpc-Status", "14")
			dst.Set(http.TrailerPrefix+"Grpc-Message", "the version behind this stream was replaced")
		}
		return answered
	case !errors.Is(err, errUpstream) || x.r.Context().Err() != nil:
		x.cut = true
		return answered
	}
	return x.broken(incomplete)
}

func (x *exchange) copyHTTP2(res *http.Response) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	rc := http.NewResponseController(x.w)
	announced := len(res.Trailer)
	if res.ContentLength < 0 && res.Body != http.NoBody {
		rc.Flush() // the head is not to wait for what may come late
	}
	for {
		n, err := res.Body.Read(buf[:])
		if n > 0 {
			if _, werr := x.w.Write(buf[:n]); werr != nil {
				return werr
			}
			x.log.out += int64(n)
			if ferr := rc.Flush(); ferr != nil {
				return ferr
			}
		}
		if err == nil {
			continue
		}
		if err != io.EOF {
			return errUpstream
		}
		if len(res.Trailer) > announced && n == 0 {
			rc.Flush()
		}
		for k, vs := range res.Trailer {
			for _, v := range vs {
				x.w.Header().Add(http.TrailerPrefix+k, v)
			}
		}
		return nil
	}
}
