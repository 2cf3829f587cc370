package controller

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// outcome is what came of a step.
type outcome int

const (
	waiting outcome = iota // a rollout is in flight, and nothing follows now
	moved                  // something was recorded: look again
	idle                   // nothing is in flight, and all is as declared
)

// step moves one service by one decision: observe, decide, record, act.
func (c *Controller) step(ctx context.Context, sit situation, still bool, now time.Time) (outcome, error) {
	d := decision{live: sit.live.value, state: sit.rollout.value}
	if sit.active() {
		ev := c.observe(ctx, sit, now)
		d.events = rollout.Next(d.state, ev, now)
		if outward(d.events) {
			var err error
			if d.events, err = c.confirm(ctx, &sit, ev, now); err != nil {
				return waiting, err
			}
		}
		d.state = rollout.FoldAll(d.state, d.events)
		c.expect(d.state, ev, now)
	}
	if still && len(d.events) == 0 {
		return sit.patience(), nil // it was written as it shall be
	}
	switch changed, err := c.commit(ctx, sit, d); {
	case err != nil:
		return waiting, err
	case changed:
		return moved, nil
	}
	return sit.patience(), nil
}

func outward(events []rollout.Event) bool {
	return slices.ContainsFunc(events, func(e rollout.Event) bool { return e.Type == rollout.EvExposed })
}

// confirm decides again on the freezes, the groups and the line of now: what was read before the evidence was gathered,
// or is remembered, may be older than somebody's word that nothing moves.
func (c *Controller) confirm(ctx context.Context, sit *situation, ev rollout.Evidence, now time.Time) ([]rollout.Event, error) {
	var err error
	if sit.spec, err = c.Catalog.Resolve(ctx, sit.live.value.Service); errs.Is(err, errs.Missing) {
		return nil, errs.Wrap(errs.Conflict, err, "service %s", sit.live.value.Service) // look again: it was deleted
	} else if err != nil {
		return nil, err
	}
	if sit.line, err = c.Line(ctx); err != nil {
		return nil, err
	}
	ev.Holds, ev.Groups = c.holds(*sit, now), sit.spec.Groups
	return rollout.Next(sit.rollout.value, ev, now), nil
}

// patience is the outcome of a step from which nothing followed.
func (s situation) patience() outcome {
	if s.inFlight() {
		return waiting
	}
	return idle
}

// decision is what a step or a command leads to: the service's documents as they shall be, and why.
type decision struct {
	live   Live
	state  rollout.State
	events []rollout.Event

	gone       rollout.State // the rollout that was given up for state, if any
	goneEvents []rollout.Event

	needs []string // databases whose schemas it counts on: a step of theirs that is decided at the same time is decided again, or this is
}

// commit records a decision with the Desired that follows from it, then tells the unit.
// It reports whether there was anything to record.
func (c *Controller) commit(ctx context.Context, sit situation, d decision) (bool, error) {
	w, err := sit.write(d)
	if err != nil || len(w.Puts) == 0 {
		return false, err
	}
	if _, err := c.Store.Commit(ctx, w); err != nil {
		return false, err
	}
	for _, e := range d.events {
		c.Logger.Info(e.Type, "rollout", d.state.ID, "ring", e.Ring, "reason", e.Reason)
	}
	for unit := range sit.desired {
		c.Fleet.Publish(unit)
	}
	return true, nil
}

// write builds the transaction; it has no puts when the decision changes nothing.
func (s situation) write(d decision) (store.Write, error) {
	d.live = d.live.concluded(d.state)
	var b writing
	switch {
	case d.state.ID == "":
	case d.state.ID == s.rollout.value.ID:
		b.putRollout(s.rollout.rev, s.rollout.body, d.state, d.events)
	default:
		if d.gone.ID != "" {
			b.putRollout(s.rollout.rev, s.rollout.body, d.gone, d.goneEvents)
		}
		b.putRollout(0, nil, d.state, d.events)
	}
	s.place(&b, &d)
	was := s.live.body
	if len(b.Puts) > 0 {
		was = nil // replaced in any case: what was decided on older documents is refused
	}
	b.put(KindLive, d.live.Service, s.live.rev, was, d.live)
	if len(b.Puts) > 0 {
		s.claim(&b, d.needs)
	}
	return b.Write, b.err
}

// place writes what each unit shall do for the service. Where it shall not run any more, it goes.
func (s situation) place(b *writing, d *decision) {
	units, left := s.units(), s.left()
	if d.live.Stable == "" && d.state.ID == "" { // never released: nothing is placed
		units = s.live.value.placed()
	}
	for _, unit := range slices.Concat(units, left) {
		was := s.desired[unit]
		is := s.desire(unit, d.live, d.state)
		if s.moved && slices.Contains(left, unit) {
			is = fleet.Service{Name: d.live.Service, Generation: was.value.Generation, Gone: true}
		}
		if b.differs(was.body, is) {
			is.Generation++
			b.put(KindDesired, unit+"/"+d.live.Service, was.rev, was.body, is)
		}
	}
	if len(units) > 0 && d.live.Stable+d.state.ID != "" {
		d.live.Unit, d.live.Units = "", slices.Clone(units)
		if !s.moved {
			d.live.Units = append(d.live.Units, left...)
		}
	}
}

// writing collects the puts and events of a transaction.
type writing struct {
	store.Write
	err error
}

func (b *writing) put(kind, name string, rev int64, was []byte, is any) {
	body, err := json.Marshal(is)
	b.err = cmp.Or(b.err, err)
	if !bytes.Equal(was, body) {
		b.Puts = append(b.Puts, store.Doc{Kind: kind, Name: name, Rev: rev, Body: body})
	}
}

func (b *writing) differs(was []byte, is any) bool {
	body, err := json.Marshal(is)
	b.err = cmp.Or(b.err, err)
	return !bytes.Equal(was, body)
}

func (b *writing) putRollout(rev int64, was []byte, state rollout.State, events []rollout.Event) {
	name, err := rolloutName(state.ID)
	b.err = cmp.Or(b.err, err)
	b.put(KindRollout, name, rev, was, state)
	recorded, err := record(state.ID, events)
	b.err = cmp.Or(b.err, err)
	b.Events = append(b.Events, recorded...)
}

// retire says goodbye to a service that was deleted: its unit stops it. Its rollouts stay on the record; one that
// was begun just when the service was deleted is given up.
func (c *Controller) retire(ctx context.Context, live versioned[Live], now time.Time) error {
	service, units := live.value.Service, live.value.placed()
	if len(units) == 0 { // nothing runs of it
		return nil
	}
	var b writing
	for _, unit := range units {
		name := unit + "/" + service
		desired, err := readOrNew[fleet.Service](ctx, c.Store, KindDesired, name)
		if err != nil {
			return err
		}
		b.put(KindDesired, name, desired.rev, nil, fleet.Service{Name: service, Generation: desired.value.Generation + 1, Gone: true})
	}
	if err := c.giveUp(ctx, &b, live.value.Rollout, now); err != nil {
		return err
	}
	b.put(KindLive, service, live.rev, nil, Live{Service: service, Count: live.value.Count})
	gone, err := audit.New(now, "service.retired", "system:controller", "service/"+service, map[string]any{"units": units, "reason": "the service was deleted"})
	if err != nil {
		return err
	}
	b.Events = append(b.Events, gone)
	if b.err != nil {
		return b.err
	}
	if _, err := c.Store.Commit(ctx, b.Write); err != nil {
		return err
	}
	c.forget(service)
	for _, unit := range units {
		c.Fleet.Publish(unit)
	}
	return nil
}

func (c *Controller) giveUp(ctx context.Context, b *writing, id string, now time.Time) error {
	if id == "" {
		return nil
	}
	v, err := c.readRollout(ctx, id)
	if err != nil || v.value.Phase.Ended() {
		return err
	}
	e := rollout.Event{Type: rollout.EvSuperseded, Time: now, Reason: "the service was deleted"}
	b.putRollout(v.rev, v.body, rollout.Fold(v.value, e), []rollout.Event{e})
	return nil
}

// InUse says why a resource must not be deleted now; nil when it may be.
func (c *Controller) InUse(ctx context.Context, kind, name string) error {
	if kind != resource.KindService {
		return nil
	}
	sit, err := c.situation(ctx, name)
	if err != nil || !sit.inFlight() {
		return err
	}
	return errs.E(errs.Conflict, "rollout %s of %s is in flight", sit.rollout.value.ID, name).Next("abort it first: ringfence rollout abort %s", name)
}

// desire derives what a unit shall run, at the generation of what it runs now.
func (s situation) desire(unit string, live Live, state rollout.State) fleet.Service {
	d := fleet.Service{
		Name: live.Service, Generation: s.desired[unit].value.Generation, Route: s.spec.Service.Route,
		Rings: s.spec.Exposure, Salt: s.spec.Salt, Exposure: make([]string, len(s.spec.Exposure)),
	}
	gates := rollout.Planned(s.spec).Gates
	keep := []string{}
	switch {
	case state.ID == "":
	case state.Phase.Ended(): // the plan of now applies, not that of then
		keep = append(keep, live.In(unit))
		if standby := state.BeforeIn(unit); state.Standing() && standby != "" && standby != keep[0] {
			keep = append(keep, standby)
		}
		for i := range d.Exposure {
			d.Exposure[i] = live.In(unit)
		}
	default:
		want := state.Wanted(unit)
		keep, d.Exposure, d.Rings, d.Salt = want.Keep, want.Exposure, state.Members, state.Salt
		gates = append(gates, state.Gates...) // of the plan of then, which judge it
	}
	if s.spec.Kind == rollout.KindFlag {
		d.Ramp, d.Slots = s.ramp(state), []fleet.Slot{} // the unit serves variants itself
		d.SlowOver = slowOver(gates)
		return d
	}
	d.Schema = s.schema()
	d.Rings = fleet.RingsIn(d.Rings, unit)
	d.SlowOver = slowOver(gates)
	for _, version := range keep {
		if slot, ok := live.Slots[version]; ok {
			slot.Instances, slot.Scale = s.spec.Service.Run.Instances, s.spec.Service.Run.Scale
			d.Slots = append(d.Slots, slot)
		}
	}
	return d
}

// ramp is what of a flag's exposure is on trial.
func (s situation) ramp(state rollout.State) *fleet.Ramp {
	r := &fleet.Ramp{Counts: s.spec.Counts, Ring: -1, From: state.From, To: state.To, Rollout: state.ID, Base: state.Base}
	if state.Control > 0 && (state.Phase == rollout.Exposing || state.Phase == rollout.Baking) {
		// Its own salt for each ring: who goes without in one does not in the next.
		r.Ring, r.Control, r.Salt = state.Ring, state.Control, state.ID+"/"+state.Rings[state.Ring].Name
	}
	return r
}

// slowOver collects the latencies that gates ask about; the gateway counts requests slower than these.
func slowOver(gates []rollout.Gate) []fleet.Dur {
	var over []fleet.Dur
	for _, g := range gates {
		if s, err := strconv.ParseFloat(g.Over, 64); err == nil {
			over = append(over, fleet.Dur(math.Round(s*float64(time.Second))))
		}
	}
	slices.Sort(over)
	return slices.Compact(over)
}

func (c *Controller) readRollout(ctx context.Context, id string) (versioned[rollout.State], error) {
	name, err := rolloutName(id)
	if err != nil {
		return versioned[rollout.State]{}, err
	}
	v, err := read[rollout.State](ctx, c.Store, KindRollout, name)
	if errs.Is(err, errs.Missing) {
		err = errs.E(errs.Missing, "there is no rollout %q", id)
	}
	return v, err
}
