package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// ErrSucceeded is the cause with which the context of Serve ends when another process has the socket and the instances: nobody
// is in a hurry then.
var ErrSucceeded = errors.New("another process serves now")

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

// outlast is the end of a gateway that was succeeded: plain requests are answered, streams go on to the deadline of their service
// and are then ended, spread over some time, so that their clients do not come back all at once.
func (g *Gateway) outlast(srv *http.Server) error {
	limit := max(g.limits.Shutdown, time.Duration(g.drain.Load()))
	longest := time.Duration(0)
	g.mu.Lock()
	table := g.table.Load()
	for k, v := range g.versions {
		timeout := defaultStreamTimeout
		if r := table.services[k.service]; r != nil {
			timeout = r.streamTimeout
		}
		v.streams.left(timeout)
		if v.streams.len() > 0 {
			longest = max(longest, timeout+timeout/10)
		}
	}
	g.mu.Unlock()
	end, cancel := context.WithTimeout(context.Background(), limit+longest)
	defer cancel()
	err := srv.Shutdown(end)
	tick := time.NewTicker(leavePoll)
	defer tick.Stop()
	for err == nil && g.streaming() > 0 { // the server does not know those of connections that were switched to another protocol
		select {
		case <-end.Done():
			err = end.Err()
		case <-tick.C:
		}
	}
	if err == nil {
		return nil
	}
	g.endStreams()
	srv.Close()
	return errs.Wrap(errs.Unavailable, err, "%d requests were cut: they took longer than %s", g.plain(), limit+longest)
}

// Hurry ends the streams now; it is for a gateway that was succeeded and is told to end all the same.
func (g *Gateway) Hurry() { g.endStreams() }

func (g *Gateway) streaming() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.versions {
		n += v.streams.len()
	}
	return n
}

// Plain counts the requests in flight that are no streams.
func (g *Gateway) Plain() int64 { return g.plain() }

// Busy counts what is in flight to each instance, by its address, and leaves out those without anything.
func (g *Gateway) Busy() map[string]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	busy := map[string]int64{}
	count := func(e *endpoint) {
		if n := e.inFlight.Load(); n > 0 {
			busy[e.address] += n
		}
	}
	for _, v := range g.versions {
		for _, e := range *v.endpoints.Load() {
			count(e)
		}
	}
	for _, e := range g.left {
		count(e)
	}
	return busy
}

// InheritUsers adds the users that another process has counted meanwhile, as its SaveUsers returned them. What was counted since an
// exposure that is no longer in force counts in total only.
func (g *Gateway) InheritUsers(b []byte) error {
	var in []savedUsers
	if err := json.Unmarshal(b, &in); err != nil {
		return errs.Wrap(errs.Invalid, err, "users of the former process")
	}
	return g.addUsers(in, func(s savedUsers) bool {
		r, ramp := g.table.Load().services[s.Service], g.ramps[s.Service]
		return r != nil && slices.Equal(r.exposure(), s.Exposure) || ramp != nil && slices.Equal(ramp.trial(), s.Exposure)
	})
}
