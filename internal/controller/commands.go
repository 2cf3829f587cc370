package controller

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
)

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
	return c.Direct(ctx, verb, actor, current, reason, now)
}

// Direct is Command of a rollout at hand, whatever others are named.
func (c *Controller) Direct(ctx context.Context, verb rollout.Verb, actor string, current rollout.State, reason string, now time.Time) (rollout.State, error) {
	return c.decide(ctx, current, func(sit situation) ([]rollout.Event, error) {
		if err := sit.mayReturn(verb); err != nil {
			return nil, err
		}
		return rollout.Command(sit.rollout.value, verb, actor, reason, now)
	})
}

// Approve gives, or refuses, an approval for the ring that a rollout enters next; an empty ring is that one.
func (c *Controller) Approve(ctx context.Context, actor, which, ring, reason string, refuse bool, now time.Time) (rollout.State, error) {
	return c.Consent(ctx, actor, which, rollout.Consent{Ring: ring, Reason: reason, Refuse: refuse}, now)
}

// Consent is Approve of what was seen.
func (c *Controller) Consent(ctx context.Context, actor, which string, said rollout.Consent, now time.Time) (rollout.State, error) {
	current, err := c.Find(ctx, which)
	if err != nil {
		return current, err
	}
	return c.decide(ctx, current, func(sit situation) ([]rollout.Event, error) {
		if err := sit.rollout.value.Agrees(said); err != nil {
			return nil, err
		}
		return rollout.Approve(sit.rollout.value, said.Ring, actor, said.Reason, said.Refuse, sit.spec.Groups, now)
	})
}

// decide records what a person decided of a rollout, which has to be its service's newest.
func (c *Controller) decide(ctx context.Context, current rollout.State, decide func(situation) ([]rollout.Event, error)) (rollout.State, error) {
	err := c.retry(ctx, current.Service, func(sit situation) (decision, error) {
		d := decision{live: sit.live.value, state: sit.rollout.value}
		if d.state.ID != current.ID {
			return d, errs.E(errs.Conflict, "%s is over: %s has the newest rollout %s", current.ID, current.Service, d.state.ID)
		}
		var err error
		d.events, err = decide(sit)
		d.state = rollout.FoldAll(d.state, d.events)
		if len(d.events) > 0 {
			d.needs = sit.returnsOn()
		}
		current = d.state
		return d, err
	})
	return current, err
}

// Inbox lists the approvals that rollouts in flight wait for, or will wait for once their current ring has baked.
func (c *Controller) Inbox(ctx context.Context) ([]rollout.Asking, error) {
	lives, err := c.lives(ctx)
	if err != nil {
		return nil, err
	}
	list := []rollout.Asking{}
	for _, l := range lives {
		if l.value.Rollout == "" {
			continue
		}
		sit, err := c.situation(ctx, l.value.Service)
		if errs.Is(err, errs.Missing) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ring, missing := sit.rollout.value.Pending(sit.spec.Groups); missing != "" {
			list = append(list, rollout.Asking{Rollout: sit.rollout.value, Ring: ring, Missing: missing})
		}
	}
	return list, nil
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

// Newest returns a service's newest rollout; errs.Missing when there was none. Unlike Find, it takes no name for a rollout's ID.
func (c *Controller) Newest(ctx context.Context, service string) (rollout.State, error) {
	live, err := read[Live](ctx, c.Store, KindLive, service)
	if err == nil && live.value.Rollout == "" {
		err = errs.E(errs.Missing, "there is no rollout of %s", service)
	}
	if err != nil {
		return rollout.State{}, err
	}
	v, err := c.readRollout(ctx, live.value.Rollout)
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

// Shown says what rollouts have left everyone with, by the name of a flag's exposure or a service, and which one is in flight; no
// version where that is what the flag gives by its definition.
func (c *Controller) Shown(ctx context.Context, name string) (version, inFlight string, err error) {
	live, err := c.Live(ctx, name)
	if err != nil || live.Rollout == "" {
		return live.Stable, "", err
	}
	s, err := c.readRollout(ctx, live.Rollout)
	if s.value.Defined(live.Stable) {
		live.Stable = ""
	}
	if err != nil || s.value.Phase.Ended() {
		return live.Stable, "", err
	}
	return live.Stable, live.Rollout, nil
}
