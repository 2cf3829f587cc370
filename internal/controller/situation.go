package controller

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/layer"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// situation is everything a step of one service is decided on.
type situation struct {
	spec    resource.Resolved
	live    versioned[Live]
	rollout versioned[rollout.State]
	desired map[string]versioned[fleet.Service] // by unit
	line    rollout.Line
	budgets *rollout.Restraint    // what low error budgets ask
	rests   map[string]fleet.Rest // by unit: those in maintenance
	layers  map[string]versioned[layer.State]
	moved   bool // where it shall run it runs, so that it may leave where it shall not
}

// units is where the service shall run. A rollout in flight keeps the units it began with: one that is added or
// removed meanwhile waits. What is taken back does not wait for a unit in which the service shall not run any more.
func (s situation) units() []string {
	if s.inFlight() && s.rollout.value.Phase == rollout.RollingBack {
		placed := s.live.value.placed()
		still := slices.DeleteFunc(slices.Clone(unitsOf(s.spec)), func(u string) bool { return !slices.Contains(placed, u) })
		if len(still) > 0 {
			return still
		}
	}
	if st := s.rollout.value; s.inFlight() && len(st.Units) > 0 {
		return st.Units
	}
	return unitsOf(s.spec)
}

func unitsOf(spec resource.Resolved) []string {
	if len(spec.Service.Units) > 0 {
		return spec.Service.Units
	}
	return []string{cmp.Or(spec.Service.Unit, "local")}
}

// left are units in which it ran and shall not run any more.
func (s situation) left() []string {
	return slices.DeleteFunc(slices.Clone(s.live.value.placed()), func(u string) bool { return slices.Contains(s.units(), u) })
}

func (s situation) inFlight() bool {
	return s.live.value.Rollout != "" && !s.rollout.value.Phase.Ended()
}

// active reports whether something may follow by itself: a rollout is in flight, or its predecessor stands by.
func (s situation) active() bool { return s.inFlight() || s.rollout.value.Standing() }

func (c *Controller) situation(ctx context.Context, service string) (situation, error) {
	s := situation{desired: map[string]versioned[fleet.Service]{}}
	var err error
	// Live first: every write replaces it, so that its revision tells whether what is read after it still holds.
	if s.live, err = readOrNew[Live](ctx, c.Store, KindLive, service); err != nil {
		return s, err
	}
	s.live.value.Service = service
	if s.spec, err = c.Catalog.Resolve(ctx, service); err != nil {
		return s, err
	}
	s.live.value = s.live.value.from(s.spec.Baseline)
	if id := s.live.value.Rollout; id != "" {
		if s.rollout, err = c.readRollout(ctx, id); err != nil {
			return s, err
		}
	}
	if s.active() {
		if s.line, err = c.Line(ctx); err != nil {
			return s, err
		}
		if s.budgets, err = c.restraint(ctx, service); err != nil {
			return s, err
		}
		if s.rests, err = c.atRest(ctx, s.units()); err != nil {
			return s, err
		}
	}
	if err := c.readLayers(ctx, &s); err != nil {
		return s, err
	}
	for _, unit := range slices.Concat(s.units(), s.left()) {
		if s.desired[unit], err = readOrNew[fleet.Service](ctx, c.Store, KindDesired, unit+"/"+service); err != nil {
			return s, err
		}
	}
	s.moved = len(s.left()) > 0 && !s.inFlight() && c.runs(s)
	return s, nil
}

// runs reports whether the service is ready in all units in which it shall run.
func (c *Controller) runs(s situation) bool {
	now := time.Now()
	for _, unit := range s.units() {
		status, at := c.Fleet.Observe(unit, s.spec.Name)
		slot := slotOfStatus(status, s.live.value.In(unit))
		if now.Sub(at) >= reportAge || status.Generation != s.desired[unit].value.Generation || slot.Wanted == 0 || slot.Ready < slot.Wanted {
			return false
		}
	}
	return true
}

// holds are what keeps anything of the service from moving outward now.
func (c *Controller) holds(sit situation, now time.Time) []rollout.Hold {
	var holds []rollout.Hold
	if sit.line.Stopped {
		holds = append(holds, rollout.Hold{Kind: rollout.HoldLine, Reason: sit.line.Reason + " (" + sit.line.By + ")"})
	}
	if beyond(sit) {
		name := sit.spec.Rings[sit.spec.Reach-1].Name
		holds = append(holds, rollout.Hold{Kind: rollout.HoldReach, Name: name, Reason: "it is declared to reach ring " + name + " and no further"})
	}
	holds = append(holds, resting(sit)...)
	if c.Calendar == nil {
		return holds
	}
	for _, f := range sit.spec.Freezes {
		if until, ok := c.Calendar.Active(f.When, now); ok {
			holds = append(holds, rollout.Hold{Kind: rollout.HoldFreeze, Name: f.Name, Reason: f.Reason, Until: until})
		}
	}
	return holds
}

// beyond reports whether a flag's next ring is none that it is declared to reach. Rings are told by their names: the plan may have
// others now than when the rollout began, and a lane has its own.
func beyond(sit situation) bool {
	state, next := sit.rollout.value, sit.rollout.value.Ring+1
	if sit.spec.Reach == 0 || !sit.inFlight() || state.Lane == rollout.Redeploy || next >= len(state.Rings) {
		return false
	}
	return !slices.ContainsFunc(sit.spec.Rings[:sit.spec.Reach], func(r resource.Ring) bool { return r.Name == state.Rings[next].Name })
}

// atRest reads which units are in maintenance.
func (c *Controller) atRest(ctx context.Context, units []string) (map[string]fleet.Rest, error) {
	rests := map[string]fleet.Rest{}
	for _, unit := range units {
		doc, err := readOrNew[fleet.Rest](ctx, c.Store, fleet.KindRest, unit)
		if err != nil {
			return nil, err
		}
		if doc.rev > 0 {
			rests[unit] = doc.value
		}
	}
	return rests, nil
}

// resting are the units in maintenance that the next ring has members in: nothing new is brought there.
func resting(sit situation) (holds []rollout.Hold) {
	state := sit.rollout.value
	next := state.Ring + 1
	for _, unit := range sit.units() {
		rest, resting := sit.rests[unit]
		if !resting || next < len(state.Members) && len(state.Members[next].Units) > 0 && !slices.Contains(state.Members[next].Units, unit) {
			continue
		}
		holds = append(holds, rollout.Hold{Kind: rollout.HoldUnit, Name: unit, Reason: rest.Reason + " (" + rest.By + ")"})
	}
	return holds
}

// restraint is what low error budgets ask of a service's changes, nil for nothing.
func (c *Controller) restraint(ctx context.Context, service string) (*rollout.Restraint, error) {
	doc, err := readOrNew[rollout.Restraint](ctx, c.Store, KindRestraint, service)
	if err != nil || doc.rev == 0 {
		return nil, err
	}
	return &doc.value, nil
}
