package agent

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// drainLimit is how long requests that go on keep a unit from resting once it is no longer sent new ones.
const drainLimit = 5 * time.Minute

// returnLimit is how long a unit that returns waits for all versions to be ready: one that cannot start any more must not keep
// the others from their users.
const returnLimit = 2 * time.Minute

// rest is where the unit is on its way into a maintenance or out of it. Guarded by Agent.mu.
type rest struct {
	wanted *fleet.Rest
	phase  string
	since  time.Time
}

// drain reports whether nobody shall be served here.
func (r rest) drain() bool { return r.wanted != nil && r.wanted.Drain }

// next is the phase that follows, given what is in flight and whether every version has a ready instance.
func (r rest) next(inFlight int64, ready bool, now time.Time) string {
	passed := now.Sub(r.since)
	switch r.phase {
	case fleet.Serving:
		if r.drain() {
			return fleet.Leaving
		}
	case fleet.Leaving:
		if !r.drain() {
			return fleet.Serving
		}
		if wait := r.wanted.Wait.D(fleet.DefaultWait); passed >= wait && (inFlight == 0 || passed >= wait+drainLimit) {
			return fleet.Resting
		}
	case fleet.Resting:
		if !r.drain() {
			return fleet.Returning
		}
	case fleet.Returning:
		if r.drain() {
			return fleet.Leaving
		}
		if ready || passed >= returnLimit {
			return fleet.Serving
		}
	}
	return r.phase
}

// turn takes the unit as far into its maintenance, or out of it, as it may go now.
func (a *Agent) turn(ctx context.Context, now time.Time) {
	a.order.Lock()
	defer a.order.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for ctx.Err() == nil {
		next := a.rest.next(a.inFlight(), a.allReady(), now)
		if next == a.rest.phase {
			return
		}
		a.Logger.Info("maintenance of the unit", "before", a.rest.phase, "now", next)
		a.rest.phase, a.rest.since = next, now
		a.Gateway.Rest(next != fleet.Serving)
		a.Workload.Apply(a.slots())
		if err := a.save(a.services, a.rest); err != nil {
			a.Logger.Warn("the maintenance is not on disk: a restart begins it again", "err", err)
		}
		a.Changed()
	}
}

// slots are what shall run: nothing while the unit rests.
func (a *Agent) slots() map[string][]fleet.Slot {
	slots := make(map[string][]fleet.Slot, len(a.services))
	for _, s := range a.services {
		if a.rest.phase == fleet.Resting {
			slots[s.Name] = nil
			continue
		}
		slots[s.Name] = s.Slots
	}
	return slots
}

func (a *Agent) inFlight() (n int64) {
	for _, s := range a.services {
		for _, slot := range s.Slots {
			n += a.Gateway.InFlight(s.Name, slot.Version)
		}
	}
	return n
}

func (a *Agent) allReady() bool {
	for _, s := range a.services {
		ready := map[string]bool{}
		for _, slot := range a.Workload.Status(s.Name) {
			ready[slot.Version] = slot.Ready > 0
		}
		for _, slot := range s.Slots {
			if !ready[slot.Version] {
				return false
			}
		}
	}
	return true
}
