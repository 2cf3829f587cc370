package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// version is one version of one service as the gateway knows it: its ready instances and what is in flight to it.
// It outlives tables, so that a count never changes owner.
type version struct {
	service, name string

	inFlight atomic.Int64 // plain requests: claimed, not yet released
	begun    atomic.Int64 // of them, ever
	streams  streamSet
	waiting  atomic.Bool // someone waits for inFlight to be 0; see release

	judging   sync.Mutex
	endpoints atomic.Pointer[[]*endpoint]
	turn      atomic.Uint32

	mu    sync.Mutex
	drain []chan struct{}
}

func newVersion(service, name string) *version {
	v := &version{service: service, name: name}
	v.endpoints.Store(new([]*endpoint))
	return v
}

// release ends a claim. Whoever waits sets waiting before reading inFlight, and this reads it after the decrement,
// so one of the two sees the other.
func (v *version) release() {
	if v.inFlight.Add(-1) == 0 && v.waiting.Load() {
		v.wake()
	}
}

func (v *version) wake() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inFlight.Load() != 0 {
		return
	}
	v.waiting.Store(false)
	for _, ch := range v.drain {
		close(ch)
	}
	v.drain = nil
}

// drained returns a channel that is closed once no plain request is in flight.
func (v *version) drained() <-chan struct{} {
	ch := make(chan struct{})
	v.mu.Lock()
	v.drain = append(v.drain, ch)
	v.waiting.Store(true)
	v.mu.Unlock()
	v.wake()
	return ch
}

// setEndpoints replaces the ready instances and returns those that left. One that stays keeps its connections.
func (v *version) setEndpoints(eps []fleet.Endpoint, make func(fleet.Endpoint) *endpoint) (gone []*endpoint) {
	old := *v.endpoints.Load()
	next := []*endpoint{}
	kept := map[*endpoint]bool{}
	for _, e := range eps {
		var ep *endpoint
		for _, o := range old {
			if o.id == e.ID && o.address == e.Address {
				ep = o
			}
		}
		if ep == nil {
			ep = make(e)
		}
		if !kept[ep] {
			kept[ep] = true
			next = append(next, ep)
		}
	}
	v.endpoints.Store(&next)
	for _, o := range old {
		if !kept[o] {
			gone = append(gone, o)
		}
	}
	return gone
}

// pick chooses the instance with the fewest requests for its share, and of several such ones another each time. Instances that just
// refused a connection, those that are left out, and the one to avoid, come last. It returns nil when there is none.
func (v *version) pick(avoid *endpoint, now time.Time, slow time.Duration) *endpoint {
	eps := *v.endpoints.Load()
	if len(eps) == 1 {
		return eps[0]
	}
	var best *endpoint
	var least float64
	equal := uint32(0)
	for _, e := range eps {
		switch load := e.load(avoid, now, slow); {
		case best == nil || load < least:
			best, least, equal = e, load, 1
		case load == least:
			equal++
		}
	}
	if equal < 2 {
		return best
	}
	// Counted among the equal ones alone: a turn over all would give the neighbour of one that is left out its turns, too.
	skip := v.turn.Add(1) % equal
	for _, e := range eps {
		if e.load(avoid, now, slow) > least {
			continue
		}
		if skip == 0 {
			return e
		}
		skip--
	}
	return best // the loads have changed meanwhile
}

// load is what an instance has for its share, with a request more.
func (e *endpoint) load(avoid *endpoint, now time.Time, slow time.Duration) float64 {
	load := float64(e.inFlight.Load()+1) / e.share(now, slow)
	if e == avoid || e.down(now) || e.out(now) {
		load += 1 << 40
	}
	return load
}

func (v *version) hasEndpoints() bool { return len(*v.endpoints.Load()) > 0 }

// endpoint is one ready instance.
type endpoint struct {
	id, address string
	record
	inFlight  atomic.Int64
	downUntil atomic.Int64 // unix nanoseconds; a connect failed a moment ago
	pool      *pool        // HTTP/1.1
	h2        *h2client    // HTTP/2 cleartext, made at its first use
	h2once    sync.Once
}

func (e *endpoint) down(now time.Time) bool {
	d := e.downUntil.Load()
	return d != 0 && now.UnixNano() < d
}

func (e *endpoint) close() {
	e.pool.close()
	e.h2once.Do(func() {})
	if e.h2 != nil {
		e.h2.close()
	}
}
