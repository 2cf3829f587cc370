package controller

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
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

// stageCase is the evidence gathered in one stage: a process for each gate and how far it has read.
type stageCase struct {
	mu    sync.Mutex
	key   string
	gates []gateCase
}

type gateCase struct {
	rollout.Trial
	split split     // users of each side that the trial knows of
	read  time.Time // end of the last sample that was added
	hurt  time.Time // start of the first sample with a bad event: no bad event was earlier

	unwatched time.Duration // of the bake
}

// observe gathers what is seen of the rollout in flight. What cannot be seen is left out, which holds.
func (c *Controller) observe(ctx context.Context, sit situation, now time.Time) rollout.Evidence {
	state := sit.rollout.value
	status, at := c.Fleet.Observe(sit.unit(), state.Service)
	ev := rollout.Evidence{Seen: now.Sub(at) < reportAge}
	// Not "at least": a unit that is ahead of a control plane restored from a backup has other things in force.
	ev.InForce = ev.Seen && sit.desired.rev > 0 && status.Generation == sit.desired.value.Generation
	for _, slot := range status.Slots {
		in := rollout.Instances{Ready: slot.Ready, Wanted: slot.Wanted, Failure: slot.Failure}
		switch slot.Version {
		case state.To:
			ev.To = in
		case state.From:
			ev.From = in
		}
	}
	if !ev.Seen {
		ev.To, ev.From = rollout.Instances{}, rollout.Instances{}
	}
	if len(state.Stages) == 0 || state.From == "" {
		return ev
	}
	ev.Users = usersOf(status, state)
	if state.Phase == rollout.Exposing || state.Phase == rollout.Baking {
		var users split
		if ev.InForce { // earlier counts are of the exposure before
			users = splitOf(status, state)
		}
		c.judge(ctx, state, users, now, &ev)
	}
	return ev
}

func usersOf(status fleet.ServiceStatus, state rollout.State) int64 {
	var n int64
	for _, u := range status.Users {
		if u.Version == state.To && u.Ring == state.Stages[len(state.Stages)-1].Ring {
			n += u.Users
		}
	}
	return n
}

// judge adds the samples since the last look to the stage's case and judges every gate.
func (c *Controller) judge(ctx context.Context, state rollout.State, users split, now time.Time, ev *rollout.Evidence) {
	sc := c.caseOf(state)
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for i := range sc.gates {
		g := &sc.gates[i]
		stale := ""
		if err := g.add(ctx, c.Metrics, state, users, now); err != nil {
			stale = "the metrics cannot be read: " + err.Error()
		} else if now.Sub(g.read) > sampleAge {
			stale = fmt.Sprintf("no metrics since %s", g.read.Format(time.RFC3339))
		}
		j := g.Judgement()
		if stale != "" && j.Verdict == health.Pass {
			j.Verdict, j.Reasons = health.Hold, append(j.Reasons, stale)
		}
		if j.Verdict == health.Fail && ev.HurtAt.IsZero() {
			ev.HurtAt = g.hurt
		}
		ev.Gates = append(ev.Gates, j)
		ev.Unwatched = max(ev.Unwatched, g.unwatched)
	}
}

// caseOf returns the evidence of the current stage, empty when this process has not followed it so far.
func (c *Controller) caseOf(state rollout.State) *stageCase {
	c.mu.Lock()
	defer c.mu.Unlock()
	stage := state.Stages[len(state.Stages)-1]
	key := state.ID + "/" + strconv.Itoa(len(state.Stages))
	if sc := c.cases[state.Service]; sc != nil && sc.key == key {
		return sc
	}
	sc := &stageCase{key: key}
	for _, t := range state.Trials() {
		sc.gates = append(sc.gates, gateCase{Trial: t, read: stage.Exposed})
	}
	c.cases[state.Service] = sc
	return sc
}

// forget drops the evidence kept for a service, which is not followed any more.
func (c *Controller) forget(service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cases, service)
	delete(c.rests, service)
}

func (g *gateCase) add(ctx context.Context, m Metrics, state rollout.State, users split, now time.Time) error {
	samples, ends, err := m.Counts(ctx, state.Service, state.To, state.From, g.Gate.Over, g.read, now)
	if err != nil {
		return err
	}
	g.split.addTo(samples, users)
	baking := state.Stages[len(state.Stages)-1].Baking
	for i, s := range samples {
		if g.hurt.IsZero() && s.Canary != nil && s.Canary.Bad > 0 {
			g.hurt = g.read
		}
		if from := latest(g.read, baking); !baking.IsZero() {
			g.unwatched += max(0, ends[i].Sub(from)-watchGap)
		}
		g.read = ends[i]
		if err := g.Add(s); err != nil {
			return err
		}
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
