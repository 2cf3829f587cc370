package gateway

import (
	"net/http"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/strict"
)

// exchange is one request on its way: routed, claimed, sent, answered, counted.
type exchange struct {
	g     *Gateway
	w     http.ResponseWriter
	r     *http.Request
	start time.Time
	user  exposure.Context
	fresh bool // user.TargetingKey was made for this request

	rt     *route
	tg     *target   // claimed; nil while held
	last   *target   // what the request is counted for
	sides  []*series // of ramps: what it is counted for besides
	stream *stream   // set once it is one; the claim is then released
	head   time.Time
	log    accessed
	valve  *valve // passed: a place in it is to be given back

	body    reqBody
	code    int    // what it is counted as; 0: not at all
	failure string // reason, when the gateway is to blame or to answer
	cut     bool   // the answer is broken off: the client's connection must be, too
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// ServeHTTP takes a request to the version that its user's ring is given.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchanges.Get().(*exchange)
	x.g, x.w, x.r, x.start = g, w, r, time.Now()
	if g.opts.TLS != nil && r.TLS == nil {
		if c := connOf(r.Context()); c != nil {
			r.TLS = c.state
		}
	}
	if x.run() {
		panic(http.ErrAbortHandler) // the way to break off an answer in net/http
	}
}

// run serves the exchange and reports whether the client's connection is to be broken off.
func (x *exchange) run() (cut bool) {
	defer func() {
		x.count()
		x.access()
		x.unclaim()
		x.exit()
		if cut = x.cut; cut && x.r.ContentLength != 0 && x.r.ProtoMajor == 1 {
			http.NewResponseController(x.w).SetReadDeadline(longAgo) // else net/http would wait for the body
		}
		attrs, sides := x.user.Attributes, x.sides
		buf := x.body.small
		clear(sides)
		*x = exchange{}
		x.user.Attributes, x.sides, x.body.small = attrs, sides[:0], buf[:0]
		exchanges.Put(x)
	}()
	x.leaveAfter()
	if !x.acceptable() {
		return
	}
	if x.r.URL.Path == readyPath {
		x.tellReady()
		return
	}
	if x.g.opts.Pages != nil && x.page() {
		return
	}
	x.serve()
	return
}

// leaveAfter asks an HTTP/1 client to leave its connection after this answer: while the gateway ends, and after a request to switch to another
// protocol, as what follows that one is not looked at. HTTP/2 is told by frames.
func (x *exchange) leaveAfter() {
	if x.r.ProtoMajor == 1 && (x.g.parting() || x.r.Header["Upgrade"] != nil && !hasToken(x.r.Header.Get("Upgrade"), "h2c")) {
		x.w.Header().Set("Connection", "close")
	}
}

// decoded applies to HTTP/2 the rules that HTTP/1's heads are read by.
func decoded(r *http.Request) *strict.Violation {
	for name := range r.Header {
		if strict.Underscored(name) {
			return strict.Underscore()
		}
	}
	if r.Method == http.MethodConnect {
		return nil
	}
	if h := r.Header["Host"]; len(h) > 0 && (len(h) > 1 || h[0] != r.Host) {
		return strict.TwoHosts()
	}
	return strict.Decoded(r.RequestURI, r.Host)
}

// acceptable refuses what no service can be asked.
func (x *exchange) acceptable() bool {
	if x.r.ProtoMajor == 2 {
		if v := decoded(x.r); v != nil {
			x.g.metrics.refused(v.Reason)
			x.code = v.Status
			problem(x.w, v.Status, requestError, v.Detail)
			return false
		}
	}
	switch {
	case x.r.Method == http.MethodConnect:
		x.code = http.StatusNotImplemented
		problem(x.w, x.code, requestDenied, "CONNECT is not supported")
	case x.r.URL.Path != "*" && (x.r.URL.Path == "" && x.r.URL.Opaque != "" || x.r.URL.Path != "" && x.r.URL.Path[0] != '/'):
		x.code = http.StatusBadRequest
		problem(x.w, x.code, requestError, "the request target is not a path")
	default:
		return true
	}
	return false
}

// serve sends the request until it is answered. A request whose every connect fails is tried for a short time:
// an instance that just died is soon known to be gone, and one that starts soon listens.
func (x *exchange) serve() {
	var avoid *endpoint
	var until time.Time
	pause := 5 * time.Millisecond
	for sent := 0; ; {
		ep := x.admit(avoid)
		if ep == nil {
			return
		}
		if sent == 0 && !x.body.prepare(x) {
			return
		}
		ep.inFlight.Add(1)
		x.log.tries++
		x.log.instance, x.log.sent = ep.id, x.start
		if x.measured() {
			x.log.sent = time.Now()
		}
		out := x.send(ep)
		ep.inFlight.Add(-1)
		if x.failure != clientDisconnect || out == answered {
			x.judge(ep, x.last.version, out == answered && !failedCode(x.code))
		}
		switch out {
		case answered:
			x.learn()
			return
		case unsent:
			if until.IsZero() {
				until = time.Now().Add(x.g.limits.ConnectRetry)
			}
			if time.Now().After(until) || !x.wait(pause, ep == avoid || len(*x.tg.version.endpoints.Load()) < 2) {
				x.fail()
				return
			}
			if ep == avoid {
				pause = min(2*pause, 100*time.Millisecond)
			}
		case lost:
			if sent++; sent > 2 || !x.body.replayable(x.r) {
				x.fail()
				return
			}
		case failed:
			x.learn()
			x.fail()
			return
		}
		avoid = ep
	}
}

// wait pauses before a further connect, when one is needed; false when the client has gone.
func (x *exchange) wait(d time.Duration, needed bool) bool {
	if !needed {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-x.r.Context().Done():
		x.failure = clientDisconnect
		return false
	}
}

// outcome is how sending a request to an instance ended; failure says why when it is not answered.
type outcome int

const (
	answered outcome = iota // an answer was begun, or the client is gone: nothing more can be done
	unsent                  // the instance has not seen a byte of it
	lost                    // sent, and no byte of an answer came
	failed
)

// fail answers for a service that gave no answer.
func (x *exchange) fail() {
	if x.r.Context().Err() != nil {
		x.code, x.cut = 499, true
		return
	}
	if x.failure == clientDisconnect {
		x.code, x.cut = 499, true
		return
	}
	x.refuse(statusFor(x.failure), x.failure, "the service gave no answer")
	x.blame(x.failure)
}

// blame counts a failure for the version that the request was for, and logs one a second.
func (x *exchange) blame(reason string) {
	g, k := x.g, x.last.series.key
	x.last.series.failed(reason)
	for _, s := range x.sides {
		s.failed(reason)
	}
	now := time.Now().UnixNano()
	last := g.logged.Load()
	if now-last < int64(time.Second) || !g.logged.CompareAndSwap(last, now) {
		g.unlogged.Add(1)
		return
	}
	g.log.Warn("a request failed", "service", k.service, "version", k.version, "ring", k.ring, "reason", reason,
		"method", x.r.Method, "path", x.r.URL.Path, "unlogged", g.unlogged.Swap(0))
}

// refuse answers for the gateway itself.
func (x *exchange) refuse(status int, errorType, detail string) {
	x.code = status
	x.w.Header().Del("Trailer")
	if x.r.ContentLength != 0 && x.body.kind != whole && x.r.ProtoMajor == 1 {
		// What is left of the body must not be read as a request, and is not waited for for long.
		x.w.Header().Set("Connection", "close")
		http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(time.Second))
	}
	problem(x.w, status, errorType, detail)
}

// broken notes that an answer was cut after it had begun.
func (x *exchange) broken(reason string) outcome {
	x.cut, x.code = true, http.StatusBadGateway
	x.blame(reason)
	return answered
}

// count adds the exchange to the metrics of the target it was last claimed for.
func (x *exchange) count() {
	if x.code == 0 || x.last == nil {
		return
	}
	took := time.Since(x.start)
	if x.stream != nil {
		took = x.head.Sub(x.start)
	}
	if x.rt.account != nil {
		x.countAccount(took)
	}
	if x.last.calls != nil {
		x.countCall()
	}
	x.last.series.done(x.code, took)
	x.note(took)
	for _, s := range x.sides {
		s.done(x.code, took)
	}
}
