package controller

import (
	"cmp"
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

const (
	// reportAge is how old a unit's last report may be before the unit counts as unseen.
	reportAge = 5 * time.Second
	// sampleAge is how old the last sample may be before a passing verdict becomes a hold.
	sampleAge = 30 * time.Second
	// watchGap is how far apart samples may be for the time between them to count as watched in full. Beyond it the
	// control plane was away, or the clock was set forward: neither may end a bake.
	watchGap = 5 * time.Minute
)

// observe gathers what is seen of the rollout. What cannot be seen is left out, which holds.
func (c *Controller) observe(ctx context.Context, sit situation, now time.Time) rollout.Evidence {
	state := sit.rollout.value
	seen := c.look(sit, now)
	ev := rollout.Evidence{Seen: seen.seen, InForce: seen.inForce, To: seen.to, From: seen.from, Returns: seen.returns, Holds: c.holds(sit, now), Groups: sit.spec.Groups, Restraint: sit.budgets, Stranded: sit.stranded()}
	ev.Refused = c.refused(ctx, state)
	if state.From == "" {
		return ev
	}
	if len(state.Stages) > 0 {
		ev.Users = usersOf(seen.users, state)
	}
	if state.Phase == rollout.Exposing || state.Phase == rollout.Baking {
		var users split
		if ev.InForce { // earlier counts are of the exposure before
			users = splitOf(seen.compared, state)
		}
		c.judge(ctx, sit, seen, users, now, &ev)
	}
	if next := state.Leaving(ev, now); next >= 0 {
		c.ask(ctx, sit, seen, next, now, &ev)
	}
	return ev
}

// sight is what the units report of a rollout, taken together.
type sight struct {
	seen, inForce bool
	returns       bool // of the units that report, all can return
	to, from      rollout.Instances
	users         []fleet.UserCount
	compared      []fleet.UserCount // of these, where the rings decide who has the new version: not where all had it before
	instances     []string          // addresses of ready instances of the new version
}

// look puts together what the units say that the rollout concerns. Where users have the new version, or may have to
// return to the one before, a unit without a ready instance counts as if none were ready anywhere.
func (c *Controller) look(sit situation, now time.Time) sight {
	state := sit.rollout.value
	s := sight{seen: true, inForce: true}
	toDark, fromDark, stuck, some := false, false, false, false
	for _, unit := range sit.units() {
		wanted, exposed := state.Concerns(unit)
		if !wanted && !exposed && !state.Phase.Ended() {
			continue
		}
		if sit.rests[unit].Drain { // nobody is served there: it has nothing to say of either version
			continue
		}
		status, at := c.Fleet.Observe(unit, state.Service)
		desired := sit.desired[unit]
		fresh := now.Sub(at) < reportAge
		s.seen = s.seen && fresh
		// Not "at least": a unit that is ahead of a control plane restored from a backup has other things in force.
		inForce := fresh && desired.rev > 0 && status.Generation == desired.value.Generation
		s.inForce = s.inForce && inForce
		s.users = append(s.users, status.Users...)
		if state.BeforeIn(unit) != state.To {
			s.compared = append(s.compared, status.Users...)
		}
		if !fresh {
			continue
		}
		to, from := slotOfStatus(status, state.To), slotOfStatus(status, state.BeforeIn(unit))
		if wanted {
			s.to = plus(s.to, to)
			s.instances = append(s.instances, ready(status, state.To)...)
			toDark = toDark || exposed && to.Ready == 0
		}
		s.from = plus(s.from, from)
		dark := state.BeforeIn(unit) != "" && from.Ready == 0
		fromDark, stuck, some = fromDark || dark, stuck || dark || !inForce, true
	}
	s.returns = some && !stuck
	if !s.seen {
		s.to, s.from = rollout.Instances{}, rollout.Instances{}
	}
	if toDark {
		s.to.Ready = 0
	}
	if fromDark {
		s.from.Ready = 0
	}
	return s
}

func slotOfStatus(status fleet.ServiceStatus, version string) rollout.Instances {
	for _, slot := range status.Slots {
		if slot.Version == version {
			return rollout.Instances{Ready: slot.Ready, Wanted: slot.Wanted, Failure: slot.Failure}
		}
	}
	return rollout.Instances{}
}

func ready(status fleet.ServiceStatus, version string) []string {
	var addresses []string
	for _, slot := range status.Slots {
		for _, in := range slot.Instances {
			if slot.Version == version && in.Ready {
				addresses = append(addresses, in.Address)
			}
		}
	}
	return addresses
}

func plus(a, b rollout.Instances) rollout.Instances {
	return rollout.Instances{Ready: a.Ready + b.Ready, Wanted: a.Wanted + b.Wanted, Failure: cmp.Or(a.Failure, b.Failure)}
}

func usersOf(users []fleet.UserCount, state rollout.State) int64 {
	var n int64
	for _, u := range users {
		if u.Version == state.To && u.Ring == state.Stages[len(state.Stages)-1].Ring {
			n += u.Users
		}
	}
	return n
}

// refused says why the next ring may not get the new version. What cannot be found out holds.
func (c *Controller) refused(ctx context.Context, state rollout.State) map[string]string {
	next := state.Ring + 1
	same := resource.SlotOf(state.From).Version == resource.SlotOf(state.To).Version // a config alone ships no artifact
	if c.Admitted == nil || same || state.Phase.Ended() || state.Phase == rollout.RollingBack || next >= len(state.Rings) {
		return nil
	}
	names := make([]string, 0, len(state.Rings))
	for _, r := range state.Rings[next:] {
		names = append(names, r.Name)
	}
	why, err := c.Admitted(ctx, state.Service, state.To, names)
	if err != nil {
		why = map[string]string{}
		for _, name := range names {
			why[name] = "whether it may ship cannot be found out: " + err.Error()
		}
	}
	return why
}
