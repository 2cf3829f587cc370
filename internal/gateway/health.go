package gateway

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// What holds where a route says nothing.
const (
	defaultFailures  = 5
	defaultOut       = 10 * time.Second
	defaultShare     = 50
	defaultSlowStart = 10 * time.Second
	longestOut       = 32 // times as long as the first time
)

// judging is how a route's instances are judged by how they answer.
type judging struct {
	failures  int32
	out       time.Duration
	share     int
	slowStart time.Duration
}

func newJudging(h *fleet.Health) judging {
	if h == nil {
		h = &fleet.Health{}
	}
	is := judging{int32(h.Failures), h.Out.D(defaultOut), h.Share, h.SlowStart.D(defaultSlowStart)}
	or(&is.failures, defaultFailures)
	or(&is.share, defaultShare)
	return is
}

// record is what is known of how an instance answers.
type record struct {
	fails    atomic.Int32 // in a row
	outUntil atomic.Int64 // unix nanoseconds; it gets requests only when no other can
	outs     atomic.Int32 // how often it was left out, one less for each time that passed well
	since    atomic.Int64 // unix nanoseconds: new or back, and not yet trusted with its full share; 0 once it is
}

func (r *record) out(now time.Time) bool {
	u := r.outUntil.Load()
	return u != 0 && now.UnixNano() < u
}

// share is the part of its share that an instance is given, from a tenth to all of it.
func (r *record) share(now time.Time, slow time.Duration) float64 {
	since := r.since.Load()
	if since == 0 {
		return 1
	}
	age := now.UnixNano() - since
	if age >= int64(slow) {
		r.since.CompareAndSwap(since, 0)
		return 1
	}
	return max(0.1, float64(age)/float64(slow))
}

// judge takes in how an instance answered. It is the instance that is left out, never what is wrong with all of its version: some other one must
// do better, and there is a most that may be left out.
func (x *exchange) judge(ep *endpoint, v *version, ok bool) {
	if ok {
		if ep.fails.Load() != 0 {
			ep.fails.Store(0)
		}
		return
	}
	h := x.rt.health
	n := ep.fails.Add(1)
	now := time.Now()
	if h.failures < 0 || n < h.failures || ep.out(now) {
		return
	}
	eps := *v.endpoints.Load()
	left, better := 0, false
	for _, e := range eps {
		switch {
		case e.out(now):
			left++
		case e != ep && e.fails.Load() == 0:
			better = true
		}
	}
	if !better || (left+1)*100 > h.share*len(eps) {
		return
	}
	v.judging.Lock()
	defer v.judging.Unlock()
	if ep.out(now) {
		return
	}
	last := ep.outUntil.Load()
	if well := now.UnixNano() - last; last != 0 && well > int64(h.out)*longestOut {
		ep.outs.Store(0)
	}
	times := ep.outs.Add(1)
	span := h.out << min(times-1, 5)
	span += rand.N(span/10 + 1) // those that were left out together do not come back together
	ep.fails.Store(h.failures - 1)
	until := now.Add(span).UnixNano()
	ep.outUntil.Store(until)
	ep.since.Store(until) // then it begins slowly
	x.g.metrics.ejections.WithLabelValues(v.service, v.name).Inc()
	x.g.log.Warn("an instance fails and is left out", "service", v.service, "version", v.name, "instance", ep.id, "failures", n, "for", span)
}

// failedCode reports whether an answer counts against its instance.
func failedCode(code int) bool { return code >= 500 && code != 501 && code != 505 }
