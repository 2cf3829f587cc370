package controller

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Release starts a rollout. When the same is in flight already, or is stable, that is returned instead, so that a retry
// is harmless. With Replace, or in a lane, a rollout of another version in flight is given up for it; else that is
// errs.Conflict.
func (c *Controller) Release(ctx context.Context, actor string, o rollout.Order, now time.Time) (rollout.State, error) {
	if strings.TrimSpace(o.Why) == "" && (o.Lane != "" || o.Force || o.Through) {
		return rollout.State{}, errs.E(errs.Invalid, "reason: missing, expected why it is forced, goes through a freeze or takes a lane")
	}
	var state rollout.State
	err := c.retry(ctx, o.Service, func(sit situation) (decision, error) {
		slot, err := c.slot(ctx, sit, &o)
		if err != nil {
			return decision{}, err
		}
		d, err := sit.start(slot, o, actor, now)
		state = d.state
		return d, err
	})
	return state, err
}

// slot is what is ordered: a release with, or without, a config. What the order leaves open stays as it is.
func (c *Controller) slot(ctx context.Context, sit situation, o *rollout.Order) (fleet.Slot, error) {
	want := resource.Slot{Version: o.Version, Config: o.Config, Schema: o.Schema}
	stable := resource.SlotOf(sit.live.value.Stable)
	if want.Version == "" {
		want.Version = stable.Version
	}
	if want.Config == "" && !o.NoConfig {
		want.Config = stable.Config
	}
	if want.Version == "" {
		return fleet.Slot{}, errs.E(errs.Conflict, "%s has no release yet that a config could go with", o.Service).Next("release a version first, with the config")
	}
	rel, err := c.Catalog.Release(ctx, o.Service, want.Version)
	if err != nil {
		return fleet.Slot{}, err
	}
	var cfg resource.Config
	if want.Config != "" {
		if cfg, err = c.Catalog.Config(ctx, o.Service, want.Config); err != nil {
			return fleet.Slot{}, err
		}
	}
	slot := slotOf(sit.spec, rel, cfg)
	return sit.layered(slot, rel, o.Schema, stable.Schema)
}

// start decides what releasing a slot leads to.
func (s situation) start(slot fleet.Slot, o rollout.Order, actor string, now time.Time) (decision, error) {
	s.live.value.Stable = s.named(s.live.value.Stable)
	d := decision{live: s.live.value, state: s.rollout.value}
	same := s.named(d.state.To) == slot.Version && d.state.Phase != rollout.RollingBack && (!s.inFlight() || o.Lane == "" || o.Lane == d.state.Lane)
	if same && (s.inFlight() || d.state.Phase == rollout.Succeeded && d.state.Spared == 0) {
		return d, nil
	}
	if err := s.mayStart(slot, o); err != nil {
		return d, err
	}
	entry := 0
	if o.Lane == rollout.Forward {
		if entry = d.state.Reached(s.spec.Exposure, s.spec.Salt); entry < 0 {
			return d, errs.E(errs.Conflict, "rollout %s went through other rings than plan %s has", d.state.ID, s.spec.Plan).
				Next("release it as a hotfix: %s --hotfix sev0 --reason …", s.again(slot))
		}
	}
	d.live.Unit, d.live.Units = "", s.units()
	d.live.Count++
	d.live.Rollout = RolloutID(d.live.Service, d.live.Count)
	if s.inFlight() {
		var err error
		if d.goneEvents, err = rollout.Preempt(d.state, actor, d.live.Rollout, o.Lane, o.Why, now); err != nil {
			return d, err
		}
		d.gone = rollout.FoldAll(d.state, d.goneEvents)
		d.live.Stable, d.live.Versions = s.named(d.state.Leaves()), d.state.LeavesUnits()
	}
	d.live.Slots = d.live.slotsFor(slot)
	d.needs = append(d.needs, databaseOf(slot))
	next := rollout.Planned(s.spec)
	next.ID, next.Service, next.From, next.To, next.By = d.live.Rollout, d.live.Service, d.live.Stable, slot.Version, actor
	next.Before, next.Why, next.Through, next.Entry = d.live.Versions, o.Why, o.Through, entry
	next.Units = s.units()
	if next.From == "" {
		o.Lane = "" // there is nobody to hurry for
	}
	next, err := next.Via(o.Lane, o.Hit, s.spec)
	if err != nil {
		return d, err
	}
	var started rollout.Event
	d.state, started = rollout.Start(next, now)
	back := rollout.Return(d.state, now)
	d.state, d.events = rollout.FoldAll(d.state, back), append([]rollout.Event{started}, back...)
	return d, nil
}

// named is a version, or by its name of now what a flag gives by its definition.
func (s situation) named(version string) string {
	if s.rollout.value.Defined(version) {
		return s.spec.Baseline
	}
	return version
}

// again is the command that orders a slot.
func (s situation) again(slot fleet.Slot) string {
	if s.spec.Kind == rollout.KindFlag {
		set, key, _ := strings.Cut(strings.TrimPrefix(s.spec.Name, "flag:"), ":")
		return "ringfence flags expose " + set + "/" + strings.ReplaceAll(key, ":", "/") + " --variant " + slot.Version
	}
	return "ringfence release " + s.spec.Name + " --version " + resource.SlotOf(slot.Version).Version
}

// mayStart says why a slot must not be released now.
func (s situation) mayStart(slot fleet.Slot, o rollout.Order) error {
	live, state := s.live.value, s.rollout.value
	bad, taken := live.taken(slot.Version)
	switch {
	case live.Stable == slot.Version && len(live.Versions) == 0:
		return errs.E(errs.Conflict, "%s is the stable version of %s already", slot.Version, live.Service)
	case taken && !o.Force:
		return errs.E(errs.Conflict, "%s was taken back by %s: %s", slot.Version, bad.Rollout, bad.Reason).
			Next("release a fixed version, or force it with a reason: %s --force --reason …", s.again(slot))
	case o.Lane == rollout.Forward && (!s.inFlight() || state.Phase == rollout.RollingBack || state.Ring < 0):
		return errs.E(errs.Conflict, "there is nothing of %s to roll forward from: no rollout is in a ring", live.Service).
			Next("release it: %s", s.again(slot))
	case s.inFlight() && !o.Replace && !o.Lane.Preempts():
		return errs.E(errs.Conflict, "rollout %s of %s is in flight (%s)", state.ID, state.To, state.Phase).
			Next("wait for it, abort it, or give it up with --replace")
	case s.inFlight() && state.Phase == rollout.RollingBack && state.To == slot.Version, s.inFlight() && state.Leaves() == slot.Version:
		return errs.E(errs.Conflict, "rollout %s takes %s back", state.ID, slot.Version)
	}
	return nil
}

// Redeploy replaces what everyone has by what was last known good before it, straight to everyone.
func (c *Controller) Redeploy(ctx context.Context, actor, service, why string, now time.Time) (rollout.State, error) {
	if strings.TrimSpace(why) == "" {
		return rollout.State{}, errs.E(errs.Invalid, "reason: missing, expected why what runs is not good")
	}
	sit, err := c.situation(ctx, service)
	if err != nil {
		return rollout.State{}, err
	}
	live := sit.live.value
	if sit.inFlight() && sit.rollout.value.Lane == rollout.Redeploy {
		return sit.rollout.value, nil // a retry
	}
	if sit.inFlight() {
		return sit.rollout.value, errs.E(errs.Conflict, "rollout %s of %s is in flight; everyone else has %s", sit.rollout.value.ID, sit.rollout.value.To, live.Stable).
			Next("take it back first: ringfence rollout rollback %s", service)
	}
	good := slices.DeleteFunc(slices.Clone(live.Good), func(v string) bool { _, bad := live.taken(v); return v == live.Stable || bad })
	if len(good) == 0 {
		return rollout.State{}, errs.E(errs.Conflict, "no version of %s before %s is known to be good", service, live.Stable).Next("release a fixed version")
	}
	last := resource.SlotOf(good[len(good)-1])
	if slot, ok := live.Slots[good[len(good)-1]]; last.Schema != "" && (!ok || !sit.layers[databaseOf(slot)].value.Offers(last.Schema)) {
		last.Schema = "" // it is gone: the binary goes back on whatever it understands of what is left
	}
	return c.Release(ctx, actor, rollout.Order{Service: service, Version: last.Version, Config: last.Config, NoConfig: last.Config == "", Schema: last.Schema,
		Lane: rollout.Redeploy, Through: true, Why: why}, now)
}

// slotOf pins how a version is run, so that what was tried in the inner rings is what reaches the outer ones.
func slotOf(spec resource.Resolved, rel resource.Release, cfg resource.Config) fleet.Slot {
	env := map[string]string{}
	for _, layer := range []map[string]string{spec.Service.Run.Env, rel.Env, cfg.Env} {
		maps.Copy(env, layer)
	}
	return fleet.Slot{
		Version: resource.Slot{Version: rel.Version, Config: cfg.Version}.String(), Digest: rel.Digest, Command: spec.Service.Run.Command, Env: env,
		Files: cfg.Files, Dir: spec.Service.Run.Dir, Instances: spec.Service.Run.Instances, Scale: spec.Service.Run.Scale, Ready: spec.Service.Ready, Drain: spec.Service.Drain,
		StopGrace: spec.Service.StopGrace, Operations: rel.Operations(), Secrets: spec.Service.Secrets,
	}
}
