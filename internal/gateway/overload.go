package gateway

import (
	"math"
	"math/rand/v2"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

const defaultPending = 1024

type class uint8

const (
	critical class = iota
	normal
	low
)

var classNames = [...]string{"critical", "normal", "low"}

// part of the limit up to which a class is let through.
var classPart = [...]float64{1, 0.9, 0.7}

func classOf(name string) (class, bool) {
	for i, n := range classNames {
		if n == name {
			return class(i), true
		}
	}
	return normal, false
}

// priority is how a route's requests are told apart.
type priority struct {
	header string
	paths  []classPath // the longest first
	def    class
}

type classPath struct {
	prefix string
	class  class
}

func newPriority(p fleet.Priority) priority {
	out := priority{header: http.CanonicalHeaderKey(p.Header), def: normal}
	if c, ok := classOf(p.Default); ok {
		out.def = c
	}
	for prefix, name := range p.Paths {
		if c, ok := classOf(name); ok {
			out.paths = append(out.paths, classPath{strings.TrimRight(prefix, "/"), c})
		}
	}
	sort.Slice(out.paths, func(i, j int) bool { return len(out.paths[i].prefix) > len(out.paths[j].prefix) })
	return out
}

func (p *priority) of(r *http.Request) class {
	for _, cp := range p.paths {
		if hasPrefix(r.URL.Path, cp.prefix) {
			return cp.class
		}
	}
	if p.header != "" {
		if v := r.Header[p.header]; len(v) > 0 {
			if c, ok := classOf(strings.ToLower(v[0])); ok {
				return c
			}
		}
	}
	return p.def
}

// valve lets a service's requests through up to a limit. It outlives tables.
type valve struct {
	inFlight atomic.Int64
	held     atomic.Int64
	limit    atomic.Int64 // 0: none

	mu       sync.Mutex
	adaptive bool
	most     int64 // of an adaptive limit
	began    time.Time
	sum      time.Duration // of this window's latencies
	n        int
	most1    int64   // in flight at one time in this window
	usual    float64 // seconds; what the service takes when it is well
}

const (
	window      = time.Second
	windowLeast = 20 // requests, below which a window goes on
	leastLimit  = 8
	firstLimit  = 64
	mostLimit   = 10000
	tolerance   = 2 // times as slow as usual is still well
)

// set puts a route's limits in force.
func (v *valve) set(l *fleet.Limits) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if l == nil {
		l = &fleet.Limits{}
	}
	switch {
	case !l.Adaptive:
		v.limit.Store(int64(l.InFlight))
	case !v.adaptive || v.most != int64(l.InFlight):
		most := int64(l.InFlight)
		or(&most, mostLimit)
		v.limit.Store(min(most, max(firstLimit, v.limit.Load())))
	}
	v.adaptive, v.most = l.Adaptive, int64(l.InFlight)
}

// enter lets a request of a class through, or not.
func (v *valve) enter(c class) bool {
	n := v.inFlight.Add(1)
	limit := v.limit.Load()
	if limit == 0 || float64(n) <= math.Ceil(float64(limit)*classPart[c]) {
		return true
	}
	v.inFlight.Add(-1)
	return false
}

// leave ends what enter began.
func (v *valve) leave() { v.inFlight.Add(-1) }

// took learns from a request's latency, and finds the next limit after each window.
func (v *valve) took(d time.Duration, now time.Time) {
	if v.limit.Load() == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.adaptive {
		return
	}
	if v.n == 0 {
		v.began = now
	}
	v.sum += d
	v.n++
	v.most1 = max(v.most1, v.inFlight.Load())
	if v.n < windowLeast || now.Sub(v.began) < window {
		return
	}
	short := v.sum.Seconds() / float64(v.n)
	most := v.most
	or(&most, mostLimit)
	var next int64
	next, v.usual = nextLimit(v.limit.Load(), most, v.most1, short, v.usual)
	v.limit.Store(next)
	v.sum, v.n, v.most1 = 0, 0, 0
}

// nextLimit is the limit after a window: lower as the service is slower than usual, and higher by about a root while it is not and the limit is
// made use of. What is usual follows quickly downward and slowly upward, so that a lasting change is learned and an overload is not.
func nextLimit(limit, most, inFlight int64, short, usual float64) (int64, float64) {
	switch {
	case usual == 0:
		usual = short
	case short < usual:
		usual += (short - usual) * 0.3
	default:
		usual += (short - usual) * 0.01
	}
	gradient := 1.0
	if short > 0 {
		gradient = min(1, max(0.5, tolerance*usual/short))
	}
	next := float64(limit)*gradient + math.Sqrt(float64(limit))
	if gradient == 1 && inFlight < limit/2 {
		next = float64(limit) // nobody knows whether more would be well, too
	}
	next = float64(limit)*0.7 + next*0.3
	if gradient < 1 {
		next = math.Floor(next)
	} else {
		next = math.Ceil(next)
	}
	return min(most, max(leastLimit, int64(next))), usual
}

// measured reports whether the exchange's time with its service is of use.
func (x *exchange) measured() bool {
	return x.g.opts.Access.Write != nil || x.valve != nil && x.valve.limit.Load() != 0
}

// learn tells the valve how long the service took to begin its answer. Neither streams nor bodies that clients may send slowly say anything.
func (x *exchange) learn() {
	if x.valve == nil || x.cut || x.body.kind == streamed {
		return
	}
	switch {
	case x.failure == responseTimeout:
		x.valve.took(x.rt.timeout, time.Now())
	case !x.log.answered.IsZero():
		x.valve.took(x.log.answered.Sub(x.log.sent), x.log.answered)
	}
}

// shed answers a request that is not let through.
func (x *exchange) shed(c class, reason, detail string) {
	x.g.metrics.shed.WithLabelValues(x.rt.service, classNames[c], reason).Inc()
	x.w.Header().Set("Retry-After", strconv.Itoa(1+rand.IntN(3))) // not all at once
	x.failure = limitReached
	x.refuse(http.StatusServiceUnavailable, limitReached, detail)
}

// enter passes the service's valve once per request; false when the request was answered.
func (x *exchange) enter() bool {
	if x.valve != nil {
		return true
	}
	c := x.rt.priority.of(x.r)
	if !x.rt.valve.enter(c) {
		x.shed(c, "in_flight", "the service has as many requests as it can take")
		return false
	}
	x.valve = x.rt.valve
	return true
}

// exit gives the place back.
func (x *exchange) exit() {
	if x.valve != nil {
		x.valve.leave()
		x.valve = nil
	}
}
