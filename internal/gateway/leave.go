package gateway

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// leavePoll is how often an instance that leaves is looked at. It also covers the moment between a request's choice
// of an instance and its count there: a connection to an instance that has stopped is refused, and the request goes
// to another one.
const leavePoll = 10 * time.Millisecond

// DrainEndpoint waits until an instance that SetEndpoints left out may be stopped: nothing is in flight to it. Plain
// requests are waited for at most limit, streams at most as long as the service lets them go on.
func (g *Gateway) DrainEndpoint(ctx context.Context, ep fleet.Endpoint, limit time.Duration) {
	g.mu.Lock()
	e := g.left[ep]
	v := g.version(ep.Service, ep.Version)
	streams := defaultStreamTimeout
	if r := g.table.Load().services[ep.Service]; r != nil {
		streams = r.streamTimeout
	}
	g.mu.Unlock()
	if e == nil {
		return
	}
	defer func() {
		g.mu.Lock()
		delete(g.left, ep)
		g.mu.Unlock()
	}()
	began := time.Now()
	tick := time.NewTicker(leavePoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		waited := time.Since(began)
		if e.inFlight.Load() == 0 || waited > limit && v.streams.len() == 0 || waited > limit+streams {
			return
		}
	}
}
