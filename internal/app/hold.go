package app

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// hold stands before the handler of a control plane that may make room for another process. While nobody has the state, requests
// wait; then they are answered by the same handler, or by the other process, to which they are passed on. Nobody need ask again.
type hold struct {
	mu      sync.Mutex
	handler http.Handler // nil: requests wait
	next    http.Handler // the other process; nil while there is none
	change  chan struct{}
	visits  map[*visit]struct{}
}

const (
	// holdLimit is how long a request waits before its sender is told to come back.
	holdLimit = time.Minute
	// readLimit is what requests that only read are given to end by themselves; they are then asked again where the state is.
	readLimit = 250 * time.Millisecond
	// writeLimit is what requests that change something are given.
	writeLimit = 10 * time.Second
)

func newHold() *hold { return &hold{change: make(chan struct{}), visits: map[*visit]struct{}{}} }

// answer sets who answers: handler or, without, next or, without both, nobody for now.
func (h *hold) answer(handler, next http.Handler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handler, h.next = handler, next
	close(h.change)
	h.change = make(chan struct{})
}

func (h *hold) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit := time.NewTimer(holdLimit)
	defer limit.Stop()
	for {
		h.mu.Lock()
		handler, next, change := h.handler, h.next, h.change
		var v *visit
		if handler != nil {
			v = h.begin(w, r)
		}
		h.mu.Unlock()
		switch {
		case v != nil:
			if v.through(h, handler, r) {
				return
			}
			continue // it is to be asked elsewhere
		case next != nil:
			next.ServeHTTP(w, r)
			return
		}
		select {
		case <-change:
		case <-r.Context().Done():
			return
		case <-limit.C:
			away(w)
			return
		}
	}
}

// away says that nobody answers now; every client of ours comes back.
func away(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "the control plane is being upgraded", http.StatusServiceUnavailable)
}

// visit is a request that is being answered by this process.
type visit struct {
	http.ResponseWriter
	r      *http.Request
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	begun   bool // something of the answer has been sent
	flows   bool // bit by bit: a stream
	dropped bool // nothing of it will be
}

// begin is called with mu held.
func (h *hold) begin(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{ResponseWriter: w, r: r}
	v.ctx, v.cancel = context.WithCancel(r.Context())
	h.visits[v] = struct{}{}
	return v
}

// through answers, and reports that it has; it has not when the visit was dropped before.
func (v *visit) through(h *hold, handler http.Handler, r *http.Request) (answered bool) {
	defer func() {
		h.mu.Lock()
		delete(h.visits, v)
		h.mu.Unlock()
		v.cancel()
		v.mu.Lock()
		answered = !v.dropped
		v.mu.Unlock()
		if !answered {
			_ = recover() // how a handler breaks off is no matter any more
		}
	}()
	handler.ServeHTTP(v, r.WithContext(v.ctx))
	return true
}

// reads says that a request changes nothing, so that it can be asked again elsewhere.
func (v *visit) reads() bool {
	return (v.r.Method == http.MethodGet || v.r.Method == http.MethodHead) && v.r.ContentLength == 0
}

// stays says that a request needs nothing of what is let go: an artifact on its way into the folder of artifacts.
func (v *visit) stays() bool {
	return v.r.Method == http.MethodPut && strings.HasPrefix(v.r.URL.Path, "/v1/artifacts/")
}

// drop ends a visit that only reads, and leaves it to be asked again, or ends a stream, whose reader comes back.
func (v *visit) drop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.begun {
		v.dropped = true
	}
	if !v.begun || v.flows {
		v.cancel()
	}
}

func (v *visit) begins(flows bool) (dropped bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.dropped {
		v.begun, v.flows = true, v.flows || flows
	}
	return v.dropped
}

func (v *visit) Header() http.Header {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.dropped {
		return http.Header{} // of an answer that nobody gets
	}
	return v.ResponseWriter.Header()
}

func (v *visit) WriteHeader(status int) {
	if !v.begins(false) {
		v.ResponseWriter.WriteHeader(status)
	}
}

func (v *visit) Write(b []byte) (int, error) {
	if v.begins(false) {
		return len(b), nil
	}
	return v.ResponseWriter.Write(b)
}

// FlushError is for the response controller.
func (v *visit) FlushError() error {
	if v.begins(true) {
		return nil
	}
	return http.NewResponseController(v.ResponseWriter).Flush()
}

// Flush is for handlers that look for it, instead of asking a response controller.
func (v *visit) Flush() { _ = v.FlushError() }

// Unwrap lets the standard library reach what is below.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// freeze makes new requests wait and returns once none is being answered that needs the state.
func (h *hold) freeze() {
	h.answer(nil, nil)
	if h.empty(readLimit) {
		return
	}
	for _, v := range h.list() {
		if v.reads() {
			v.drop()
		}
	}
	if h.empty(writeLimit) {
		return
	}
	for _, v := range h.list() {
		if !v.stays() {
			v.cancel()
		}
	}
	h.empty(writeLimit)
}

func (h *hold) list() (all []*visit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range h.visits {
		all = append(all, v)
	}
	return all
}

// empty waits until no request is being answered but those that stay, at most limit.
func (h *hold) empty(limit time.Duration) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; {
		n := 0
		for _, v := range h.list() {
			if !v.stays() {
				n++
			}
		}
		if n == 0 || time.Now().After(end) {
			return n == 0
		}
		<-tick.C
	}
}

// passOn hands requests to the process that has this one's socket now. It is reached at the address that both listen on: nobody else
// can be there, so that its certificate need not be looked at.
func passOn(address string, secure bool) http.Handler {
	to := &url.URL{Scheme: "http", Host: reachable(address)}
	if secure {
		to.Scheme = "https"
	}
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host
		},
		Transport: &eitherHTTP{one: transport(false), two: transport(true)}, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { away(w) },
	}
}

// eitherHTTP passes a request on by the version that it came by: gRPC needs HTTP/2.
type eitherHTTP struct{ one, two http.RoundTripper }

func (e *eitherHTTP) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ProtoMajor == 2 {
		return e.two.RoundTrip(r)
	}
	return e.one.RoundTrip(r)
}

func transport(two bool) *http.Transport {
	t := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, DisableCompression: true, Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(!two)
	t.Protocols.SetHTTP2(two)
	t.Protocols.SetUnencryptedHTTP2(two)
	return t
}
