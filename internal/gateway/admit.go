package gateway

import (
	"net/http"
	"time"
)

// admit claims the request for the version that its user's ring is given and returns an instance to send it to.
// It waits while there is none; nil means that the request has been answered, or that its client has gone.
func (x *exchange) admit(avoid *endpoint) *endpoint {
	var deadline time.Time
	for {
		news := *x.g.news.Load() // taken before looking, so that no change after the look is missed
		if x.tg == nil && !x.route() {
			return nil
		}
		if x.tg != nil {
			if !x.enter() {
				return nil
			}
			if ep := x.tg.version.pick(avoid, time.Now(), x.rt.health.slowStart); ep != nil {
				return ep
			}
			x.exit() // what waits burdens no service
			x.unclaim()
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(x.g.limits.HoldTime)
		}
		if !x.hold(news, deadline) {
			return nil
		}
	}
}

// route finds the service and the version of the request and claims it. The claim and the switch of the table are
// made under one lock: a request that was routed by a table that is no longer in force is routed again.
func (x *exchange) route() bool {
	g := x.g
	for {
		t := g.table.Load()
		rt := t.match(x.r.Host, x.r.URL.Path)
		if rt == nil {
			x.code = http.StatusNotFound
			problem(x.w, x.code, notFound, "no service is known for this host and path")
			return false
		}
		if rt != x.rt {
			x.rt = rt
			x.identify(rt)
		}
		tg := rt.targets[rt.rings.Lookup(&x.user)]
		if tg == nil { // nothing is out yet: there is nothing to claim
			return true
		}
		g.claim.RLock()
		current := g.table.Load() == t
		if current {
			tg.version.inFlight.Add(1)
			tg.version.begun.Add(1)
		}
		g.claim.RUnlock()
		if current {
			x.tg, x.last = tg, tg
			return true
		}
	}
}

// unclaim gives the claim back.
func (x *exchange) unclaim() {
	if x.stream != nil {
		x.last.version.streams.remove(x.stream)
	} else if x.tg != nil {
		x.tg.version.release()
	}
	x.tg, x.stream = nil, nil
}

// becomeStream turns the claim into a stream, which no drain's limit counts. end is called when its time is over.
func (x *exchange) becomeStream(end func()) {
	v := x.tg.version
	x.head = time.Now()
	x.stream = v.streams.add(end)
	x.tg = nil
	v.release()
	x.exit()
}

// hold waits for news; false when the request was answered because its time is over or too many wait.
func (x *exchange) hold(news <-chan struct{}, deadline time.Time) bool {
	g := x.g
	defer g.held.Add(-1)
	if g.held.Add(1) > int64(g.limits.Held) {
		x.unheld(limitReached, "too many requests wait for an instance of the service")
		return false
	}
	defer x.rt.valve.held.Add(-1)
	if x.rt.valve.held.Add(1) > x.rt.pending {
		c := x.rt.priority.of(x.r)
		x.shed(c, "pending", "too many requests wait for an instance of the service")
		if x.last != nil {
			x.blame(limitReached)
		}
		return false
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-news:
		return true
	case <-x.r.Context().Done():
		x.code, x.cut = 499, true
		return false
	case <-t.C:
		x.unheld(unavailable, "no instance of the service is ready")
		return false
	}
}

func (x *exchange) unheld(reason, detail string) {
	x.refuse(http.StatusServiceUnavailable, reason, detail)
	if x.last != nil {
		x.blame(reason)
	}
}
