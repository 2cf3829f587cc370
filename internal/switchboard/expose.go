package switchboard

import (
	"context"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Expose begins to show a variant to users, ring by ring. The order's Service is the flag's subject; without a Version it is the
// variant that the flag declares. Asking for what is in flight or done already answers with that.
func (b *Board) Expose(ctx context.Context, actor string, o rollout.Order, now time.Time) (rollout.State, error) {
	s, err := flag.ParseSubject(o.Service)
	if err != nil {
		return rollout.State{}, err
	}
	f, _, err := b.find(ctx, s)
	if err != nil {
		return rollout.State{}, err
	}
	plan := f.Plan(s.Environment)
	switch {
	case plan == nil:
		return rollout.State{}, errs.E(errs.Conflict, "flag %s/%s is not exposed by rings", s.Set, s.Key).Next("give it an exposure with a plan and a variant, and apply the set")
	case f.Archived:
		return rollout.State{}, errs.E(errs.Conflict, "flag %s/%s is archived", s.Set, s.Key).Next("take it out of the archive first: ringfence flags restore %s/%s", s.Set, s.Key)
	case !f.EnabledIn(s.Environment):
		return rollout.State{}, errs.E(errs.Conflict, "flag %s/%s is disabled in %s", s.Set, s.Key, s.Environment).Next("enable it first: ringfence flags enable %s/%s", s.Set, s.Key)
	}
	if b.Experiments != nil {
		if err := b.Experiments.Holds(ctx, s); err != nil {
			return rollout.State{}, err
		}
	}
	if o.Service = s.String(); o.Version == "" {
		o.Version = plan.Variant
	}
	if why := f.Rampable(o.Version); why != "" {
		return rollout.State{}, errs.E(errs.Invalid, "variant %q: %s", o.Version, why)
	}
	o.NoConfig = true
	return b.Rollouts.Release(ctx, actor, o, now)
}

// Off is what came of switching a flag off.
type Off struct {
	Flag     string         `json:"flag"`
	Did      string         `json:"did" enum:"rolled-back,returned,disabled,nothing" doc:"what was done: the rollout in flight is rolled back, everyone is returned to what the flag gave before it was exposed, or it is disabled"`
	Rollout  *rollout.State `json:"rollout,omitempty"`
	Disabled bool           `json:"disabled,omitempty"`
}

// Off takes a flag's variant back from everyone at once.
func (b *Board) Off(ctx context.Context, actor string, s flag.Subject, reason string, now time.Time) (Off, error) {
	off := Off{Flag: s.String()}
	if strings.TrimSpace(reason) == "" {
		return off, errs.E(errs.Invalid, "reason: missing, expected why it is switched off")
	}
	f, _, err := b.find(ctx, s)
	if err != nil {
		return off, err
	}
	last, ok, err := b.newest(ctx, s.String())
	if err != nil {
		return off, err
	}
	baseline := f.Baseline(s.Environment)
	switch {
	case ok && !last.Phase.Ended() && !last.Defined(last.To):
		last, err = b.Rollouts.Direct(ctx, rollout.Rollback, actor, last, reason, now)
		off.Did = "rolled-back"
	case f.Plan(s.Environment) != nil && shown(last, ok, baseline) != baseline: // also while it is being returned to that: at once, then
		last, err = b.Rollouts.Release(ctx, actor, rollout.Order{Service: s.String(), Version: baseline, NoConfig: true, Lane: rollout.Redeploy, Through: true, Force: true, Why: reason}, now)
		off.Did = "returned"
	case !f.EnabledIn(s.Environment):
		off.Did, off.Disabled = "nothing", true
		return off, nil
	default:
		off.Did, off.Disabled = "disabled", true
		_, err = b.State(ctx, actor, s, false, reason, now)
		return off, err
	}
	off.Rollout = &last
	return off, err
}

// State enables a flag in an environment, or disables it, which needs no review.
func (b *Board) State(ctx context.Context, actor string, s flag.Subject, enabled bool, reason string, now time.Time) (Edited, error) {
	state := "DISABLED"
	if enabled {
		state = "ENABLED"
	}
	patch := map[string]any{"state": state}
	f, doc, err := b.find(ctx, s)
	if err != nil {
		return Edited{}, err
	}
	if len(doc.Environments) > 0 || s.Environment != flag.Production || f.Environments[s.Environment].Enabled != nil {
		patch = map[string]any{"environments": map[string]any{s.Environment: patch}}
	}
	e := Edit{Set: s.Set, Patch: map[string]any{"flags": map[string]any{s.Key: patch}}, Reason: reason, unreviewed: !enabled}
	return b.Edit(ctx, actor, e, now)
}
