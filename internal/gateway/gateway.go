package gateway

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// Gateway is an http.Handler that takes requests to versions by ring.
type Gateway struct {
	unit    string
	log     *slog.Logger
	limits  Limits
	opts    Options
	trusted []netip.Prefix
	metrics *metrics

	// claims are made with claim held for reading, a new table is put in force with it held for writing.
	claim sync.RWMutex
	table atomic.Pointer[table]

	news    atomic.Pointer[chan struct{}] // closed and replaced when routing or endpoints change
	held    atomic.Int64
	drain   atomic.Int64 // the longest of the services' slots
	closing atomic.Bool  // Serve is ending: every answer asks its client to leave the connection
	resting atomic.Bool  // as closing, but for a maintenance, after which it goes on
	twos    sync.Map     // *guardHTTP2: connections that speak HTTP/2

	logged   atomic.Int64 // when a failure was last logged, unix nanoseconds
	unlogged atomic.Int64 // failures since

	mu       sync.Mutex // writers: versions, and one Apply or SetEndpoints at a time
	versions map[versionKey]*version
	valves   map[string]*valve            // by service
	left     map[fleet.Endpoint]*endpoint // left out, and perhaps not yet drained
	users    map[seriesKey]*userSet
	ramps    map[string]*ramp    // by the flag's name
	loaded   map[string][]string // by service: the exposure that loaded users were counted under
	userTurn int64
	accounts map[string]*accountCounts // by service
	calls    map[versionKey]*callBook
	boot     string // names this life of the gateway

	userChanges atomic.Uint64
}

type versionKey struct{ service, version string }

// New makes a gateway that knows no service yet.
func New(o Options) *Gateway {
	o = o.withDefaults()
	g := &Gateway{
		unit: o.Unit, log: o.Logger, limits: o.Limits, opts: o, trusted: o.TrustedProxies,
		versions: map[versionKey]*version{}, valves: map[string]*valve{}, users: map[seriesKey]*userSet{}, left: map[fleet.Endpoint]*endpoint{},
		loaded: map[string][]string{}, accounts: map[string]*accountCounts{}, calls: map[versionKey]*callBook{}, boot: strconv.FormatInt(time.Now().UnixNano(), 36),
	}
	g.metrics = newMetrics(o.Registry, o.Unit, g)
	g.table.Store(newTable())
	ch := make(chan struct{})
	g.news.Store(&ch)
	return g
}

// Apply puts the routes and exposure of services in force, and of no other. When it returns no new request goes by
// the earlier routing; requests and streams in flight are not waited for. On an error nothing has changed.
func (g *Gateway) Apply(ctx context.Context, services []fleet.Service) error {
	if err := ctx.Err(); err != nil {
		return errs.Wrap(errs.Unavailable, err, "routes were not applied")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := newTable()
	for _, s := range services {
		r, err := newRoute(s)
		if err != nil {
			return err
		}
		if t.services[s.Name] != nil {
			return errs.E(errs.Invalid, "service %s appears twice", s.Name)
		}
		if err := t.add(r, s.Route.Host); err != nil {
			return err
		}
	}
	for _, s := range services {
		g.aim(t.services[s.Name], s)
	}
	before := g.table.Load()
	for name, r := range t.services {
		g.restartUsers(before.services[name], r) // before the new generation shows: its counts are none of the old
		r.counted.Store(g.countedFor(r))
		var was *assets
		if old := before.services[name]; old != nil {
			was = old.assets
		}
		r.assets = assetsFor(r.rule, was)
	}
	g.keepAccounts(t)
	g.limit(t, services)
	g.claim.Lock()
	g.table.Store(t)
	g.claim.Unlock()
	g.tell()
	g.drain.Store(int64(longestDrain(services)))
	g.expireStreams(t)
	g.forget(t, services)
	return nil
}

func longestDrain(services []fleet.Service) (d time.Duration) {
	for _, s := range services {
		for _, sl := range s.Slots {
			d = max(d, time.Duration(sl.Drain))
		}
	}
	return d
}

// aim sets the target of each ring; a ring without a version gets that of the last one.
func (g *Gateway) aim(r *route, s fleet.Service) {
	out := ""
	if len(s.Exposure) == len(s.Rings) {
		out = s.Exposure[len(s.Exposure)-1]
	}
	for i, ring := range s.Rings {
		name := out
		if i < len(s.Exposure) && s.Exposure[i] != "" {
			name = s.Exposure[i]
		}
		if name == "" {
			r.targets = append(r.targets, nil)
			continue
		}
		k := seriesKey{s.Name, name, ring.Name}
		r.targets = append(r.targets, &target{g.version(s.Name, name), g.metrics.series(k, s.SlowOver, g.userSet(k)), g.callBook(s.Name, name, s.Slots)})
	}
}

// version returns the version by name, known from now on. g.mu is held.
func (g *Gateway) version(service, name string) *version {
	k := versionKey{service, name}
	v := g.versions[k]
	if v == nil {
		v = newVersion(service, name)
		g.versions[k] = v
	}
	return v
}

// limit gives each route its service's valve, set to the limits of now.
func (g *Gateway) limit(t *table, services []fleet.Service) {
	for _, s := range services {
		v := g.valves[s.Name]
		if v == nil {
			v = new(valve)
			g.valves[s.Name] = v
		}
		v.set(s.Route.Limits)
		t.services[s.Name].valve = v
	}
	maps.DeleteFunc(g.valves, func(name string, v *valve) bool { return t.services[name] == nil && v.inFlight.Load() == 0 })
}

// expireStreams starts the time that streams still have for versions that no ring has, and stops it for the others.
func (g *Gateway) expireStreams(t *table) {
	for k, v := range g.versions {
		r := t.services[k.service]
		switch {
		case r == nil:
			v.streams.left(defaultStreamTimeout)
		case slices.ContainsFunc(r.targets, func(tg *target) bool { return tg != nil && tg.version == v }):
			v.streams.back()
		default:
			v.streams.left(r.streamTimeout)
		}
	}
}

// forget drops versions that nothing refers to any more, with their users and metrics.
func (g *Gateway) forget(t *table, services []fleet.Service) {
	wanted := map[versionKey]bool{}
	for _, s := range services {
		for _, sl := range s.Slots {
			wanted[versionKey{s.Name, sl.Version}] = true
		}
		for _, e := range s.Exposure {
			wanted[versionKey{s.Name, e}] = true
		}
	}
	for k, v := range g.versions {
		if !wanted[k] && !v.hasEndpoints() && v.inFlight.Load() == 0 && v.streams.len() == 0 {
			delete(g.versions, k)
		}
	}
	g.forgetUsers(t, wanted)
	g.forgetCalls(wanted)
}

// tell wakes whoever waits for a change.
func (g *Gateway) tell() {
	ch := make(chan struct{})
	close(*g.news.Swap(&ch))
}

// SetEndpoints replaces the ready instances of a version. One that left gets no new request; those in flight end.
func (g *Gateway) SetEndpoints(service, name string, eps []fleet.Endpoint) {
	g.mu.Lock()
	v := g.version(service, name)
	gone := v.setEndpoints(eps, func(e fleet.Endpoint) *endpoint {
		ep := &endpoint{id: e.ID, address: e.Address, pool: newPool(e.Address, g.limits)}
		ep.since.Store(time.Now().UnixNano())
		return ep
	})
	maps.DeleteFunc(g.left, func(_ fleet.Endpoint, e *endpoint) bool { return e.inFlight.Load() == 0 })
	for _, e := range gone {
		g.left[fleet.Endpoint{Service: service, Version: name, ID: e.id, Address: e.address}] = e
	}
	g.mu.Unlock()
	for _, e := range gone {
		e.close()
	}
	g.tell()
}

// Drained returns a channel that is closed when no plain request of the version is in flight. It is for versions
// that have left the exposure: one that still gets requests may drain by chance.
func (g *Gateway) Drained(service, name string) <-chan struct{} {
	g.mu.Lock()
	v := g.version(service, name)
	g.mu.Unlock()
	return v.drained()
}

// Drain waits until the instances of a version may be stopped: no plain request is in flight or limit has passed,
// and no stream is open, which takes at most the time that streams have. It returns an error of kind Unavailable
// when plain requests were still in flight at the limit, or when ctx ended.
func (g *Gateway) Drain(ctx context.Context, service, name string, limit time.Duration) error {
	g.mu.Lock()
	v := g.version(service, name)
	g.mu.Unlock()
	after := time.NewTimer(limit)
	defer after.Stop()
	var late error
	select {
	case <-v.drained():
	case <-after.C:
		late = errs.E(errs.Unavailable, "%d requests of %s %s still in flight after %s", v.inFlight.Load(), service, name, limit)
	case <-ctx.Done():
		return errs.Wrap(errs.Unavailable, ctx.Err(), "drain of %s %s", service, name)
	}
	select {
	case <-v.streams.none():
	case <-ctx.Done():
		return errs.Wrap(errs.Unavailable, ctx.Err(), "drain of the streams of %s %s", service, name)
	}
	return late
}

// Serves reports whether a service has a route for a host by that very name, not by a wildcard or for any host.
func (g *Gateway) Serves(host string) bool { return len(g.table.Load().exact[normalHost(host)]) > 0 }

// InFlight counts the requests and streams of a version that are not yet answered to the end.
func (g *Gateway) InFlight(service, name string) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.versions[versionKey{service, name}]
	if v == nil {
		return 0
	}
	return v.inFlight.Load() + int64(v.streams.len())
}

// Load is how many plain requests of a service are in flight in all its versions, and how many were begun so far. The latter
// falls when a version is forgotten.
func (g *Gateway) Load(service string) (inFlight, begun int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, v := range g.versions {
		if k.service == service {
			inFlight += v.inFlight.Load()
			begun += v.begun.Load()
		}
	}
	return inFlight, begun
}

// Generation is that of the service's routes in force, 0 for an unknown service.
func (g *Gateway) Generation(service string) int64 {
	if r := g.table.Load().services[service]; r != nil {
		return r.generation
	}
	return 0
}
