package controller

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Release starts the rollout of a version that the catalog holds. When that version's rollout is in flight
// already, or it is stable, that is returned instead, so that a retry is harmless. With replace, a rollout
// of another version in flight is given up for it; without, that is errs.Conflict.
func (c *Controller) Release(ctx context.Context, actor, service, version string, replace bool, now time.Time) (rollout.State, error) {
	var state rollout.State
	err := c.retry(ctx, service, func(sit situation) (decision, error) {
		rel, err := c.Catalog.Release(ctx, service, version)
		if err != nil {
			return decision{}, err
		}
		d, err := sit.start(rel, actor, replace, now)
		state = d.state
		return d, err
	})
	return state, err
}

// start decides what releasing rel leads to.
func (s situation) start(rel resource.Release, actor string, replace bool, now time.Time) (decision, error) {
	d := decision{live: s.live.value, state: s.rollout.value}
	same := d.state.To == rel.Version && d.state.Phase != rollout.RollingBack
	switch {
	case same && (s.inFlight() || d.state.Phase == rollout.Succeeded):
		return d, nil
	case d.live.Stable == rel.Version:
		return d, errs.E(errs.Conflict, "%s is the stable version of %s already", rel.Version, d.live.Service)
	case s.inFlight() && !replace:
		return d, errs.E(errs.Conflict, "rollout %s of %s is in flight (%s)", d.state.ID, d.state.To, d.state.Phase).
			Next("wait for it, abort it, or give it up with --replace")
	case s.inFlight() && d.state.Leaves() == rel.Version:
		return d, errs.E(errs.Conflict, "rollout %s takes %s back", d.state.ID, rel.Version)
	}
	d.live.Unit = s.unit()
	d.live.Count++
	d.live.Rollout = RolloutID(d.live.Service, d.live.Count)
	if s.inFlight() {
		var err error
		if d.goneEvents, err = rollout.Supersede(d.state, actor, d.live.Rollout, now); err != nil {
			return d, err
		}
		d.gone = rollout.FoldAll(d.state, d.goneEvents)
		d.live.Stable = d.state.Leaves()
	}
	d.live.Slots = d.live.slotsFor(slotOf(s.spec, rel))
	var started rollout.Event
	d.state, started = rollout.Start(s.newState(d.live, rel, actor), now)
	d.events = []rollout.Event{started}
	return d, nil
}

// slotsFor keeps how to run the stable version and adds the new one.
func (l Live) slotsFor(next fleet.Slot) map[string]fleet.Slot {
	slots := map[string]fleet.Slot{next.Version: next}
	if l.Stable != "" {
		slots[l.Stable] = l.Slots[l.Stable]
	}
	return slots
}

func (s situation) newState(live Live, rel resource.Release, actor string) rollout.State {
	st := rollout.Planned(s.spec)
	st.ID, st.Service, st.From, st.To, st.By = live.Rollout, live.Service, live.Stable, rel.Version, actor
	return st
}

// slotOf pins how a version is run, so that what was tried in the inner rings is what reaches the outer ones.
func slotOf(spec resource.Resolved, rel resource.Release) fleet.Slot {
	env := maps.Clone(spec.Service.Run.Env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, rel.Env)
	return fleet.Slot{
		Version: rel.Version, Digest: rel.Digest, Command: spec.Service.Run.Command, Env: env, Dir: spec.Service.Run.Dir,
		Instances: spec.Service.Run.Instances, Ready: spec.Service.Ready, Drain: spec.Service.Drain, StopGrace: spec.Service.StopGrace,
	}
}

// Command does what a person asks of a rollout, given by its ID or by its service's name for the newest one.
func (c *Controller) Command(ctx context.Context, verb rollout.Verb, actor, which, reason string, now time.Time) (rollout.State, error) {
	current, err := c.Find(ctx, which)
	if err != nil {
		return current, err
	}
	if other, err := c.readRollout(ctx, which); err == nil && other.value.ID != current.ID {
		return current, errs.E(errs.Conflict, "%s is a service, and also a rollout of %s", which, other.value.Service).
			Next("name the rollout %s, or the service %s", current.ID, other.value.Service)
	}
	err = c.retry(ctx, current.Service, func(sit situation) (decision, error) {
		d := decision{live: sit.live.value, state: sit.rollout.value}
		if d.state.ID != current.ID {
			return d, errs.E(errs.Conflict, "%s is over: %s has the newest rollout %s", current.ID, current.Service, d.state.ID)
		}
		d.events, err = rollout.Command(d.state, verb, actor, reason, now)
		d.state = rollout.FoldAll(d.state, d.events)
		current = d.state
		return d, err
	})
	return current, err
}

// retry decides and commits, again when another writer was faster, then wakes the loop.
func (c *Controller) retry(ctx context.Context, service string, decide func(situation) (decision, error)) error {
	for {
		sit, err := c.situation(ctx, service)
		if err != nil {
			return err
		}
		d, err := decide(sit)
		if err != nil {
			return err
		}
		_, err = c.commit(ctx, sit, d)
		if errs.Is(err, errs.Conflict) && ctx.Err() == nil {
			continue
		}
		c.Wake()
		return err
	}
}

// Find returns a rollout by its ID, or a service's newest one by the service's name.
func (c *Controller) Find(ctx context.Context, which string) (rollout.State, error) {
	live, err := read[Live](ctx, c.Store, KindLive, which)
	if err == nil && live.value.Rollout != "" {
		which = live.value.Rollout
	}
	v, err := c.readRollout(ctx, which)
	if errs.Is(err, errs.Missing) {
		err = errs.E(errs.Missing, "there is no rollout %q, and no service of that name with one", which)
	}
	return v.value, err
}

// List returns a service's rollouts, newest first; those of all services when service is "".
func (c *Controller) List(ctx context.Context, service string) ([]rollout.State, error) {
	prefix := ""
	if service != "" {
		prefix = service + "/"
	}
	docs, err := listAll[rollout.State](ctx, c.Store, KindRollout, prefix)
	all := make([]rollout.State, len(docs))
	for i, d := range docs {
		all[i] = d.value
	}
	slices.SortFunc(all, func(a, b rollout.State) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID))
	})
	return all, err
}

// Live returns what of a service is in production; the zero Live when nothing was released yet.
func (c *Controller) Live(ctx context.Context, service string) (Live, error) {
	v, err := readOrNew[Live](ctx, c.Store, KindLive, service)
	v.value.Service = service
	return v.value, err
}

// Waiting says in one sentence what a rollout is waiting for now, with the evidence so far.
func (c *Controller) Waiting(ctx context.Context, id string, now time.Time) (string, rollout.Evidence, error) {
	v, err := c.readRollout(ctx, id)
	if err != nil {
		return "", rollout.Evidence{}, err
	}
	state := v.value
	sit, err := c.situation(ctx, state.Service)
	if errs.Is(err, errs.Missing) || err == nil && sit.rollout.value.ID != state.ID {
		return state.Reason, rollout.Evidence{}, nil // it is over
	}
	if err != nil {
		return "", rollout.Evidence{}, err
	}
	state = sit.rollout.value
	ev := c.observe(ctx, sit, now)
	return state.Waiting(ev, now), ev, nil
}
