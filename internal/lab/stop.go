package lab

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Stop ends a run. With a variant to ship, that is then shown to everyone by the flag's ring plan. Asked for again, what was left
// undone is done.
func (l *Lab) Stop(ctx context.Context, actor, name, ship, reason string, now time.Time) (Run, error) {
	return retry(ctx, func() (Run, error) { return l.stop(ctx, actor, name, ship, reason, now) })
}

func (l *Lab) stop(ctx context.Context, actor, name, ship, reason string, now time.Time) (Run, error) {
	run, rev, err := l.get(ctx, name)
	switch {
	case err != nil:
		return run, err
	case run.Phase == Draft:
		return run, errs.E(errs.Conflict, "experiment %s has not begun", name).Next("begin it: ringfence experiment start %s", name)
	case run.Phase == Ended && run.Shipped == ship:
		return run, nil
	}
	if ship != "" {
		if err := l.mayShip(ctx, run, ship); err != nil {
			return run, err
		}
	}
	if run.Phase == Running {
		if run, err = l.end(ctx, run, rev, actor, reason, now); err != nil {
			return run, err
		}
		rev++
	}
	if ship == "" {
		return run, nil
	}
	if _, err := l.Flags.Expose(ctx, actor, rollout.Order{Service: subject(run.Spec).String(), Version: ship}, now); err != nil {
		e := errs.Wrap(errs.KindOf(err), err, "the experiment has ended, and %s is not shown to everyone", ship)
		return run, e.Next("%s", cmp.Or(errs.HintOf(err), "ask again"))
	}
	run.Shipped = ship
	return run, l.put(ctx, run, rev, "experiment.shipped", actor, map[string]any{"run": run.Number, "variant": ship}, now)
}

// mayShip says, before anything has ended, why a variant cannot be shown to everyone.
func (l *Lab) mayShip(ctx context.Context, run Run, ship string) error {
	if !slices.ContainsFunc(run.Spec.Variants, func(a resource.ExperimentArm) bool { return a.Variant == ship }) {
		return errs.E(errs.Invalid, "%q is no variant of experiment %s", ship, run.Experiment)
	}
	f, _, err := l.flagOf(ctx, run.Spec)
	if err != nil {
		return err
	}
	if f.Plan(subject(run.Spec).Environment) == nil {
		return errs.E(errs.Conflict, "flag %s is not exposed by rings, so nothing can be shipped by them", run.Spec.Flag).
			Next("give it an exposure with a plan and a variant, or end the experiment alone and make %s the default variant", ship)
	}
	if why := f.Rampable(ship); why != "" {
		return errs.E(errs.Invalid, "variant %q: %s", ship, why)
	}
	return nil
}

// lastLook is how long a run that is to end is read for: it ends also when it cannot be.
const lastLook = 5 * time.Second

// end ends a run, with what it came to.
func (l *Lab) end(ctx context.Context, run Run, rev int64, actor, reason string, now time.Time) (Run, error) {
	look, cancel := context.WithTimeout(ctx, lastLook)
	report, err := l.read(look, run, 0, now)
	cancel()
	if err != nil {
		l.Logger.Warn("an experiment ends unread: what it last came to stands", "experiment", run.Experiment, "err", err)
	} else {
		run.keep(report, now)
	}
	return l.conclude(ctx, run, rev, actor, reason, now)
}

// conclude ends a run as it was read.
func (l *Lab) conclude(ctx context.Context, run Run, rev int64, actor, reason string, now time.Time) (Run, error) {
	run.Phase, run.Ended, run.EndedBy, run.Reason = Ended, now.UTC(), actor, reason
	return run, l.put(ctx, run, rev, "experiment.ended", actor, evidence(run), now)
}

// keep notes what was read.
func (r *Run) keep(report Report, now time.Time) {
	r.Reading, r.Report, r.Read = report.Report.Reading, report.Report, now.UTC()
}

// evidence is what a decision was made on.
func evidence(run Run) map[string]any {
	return map[string]any{"run": run.Number, "reason": cmp.Or(run.Reason, run.Reading.Why), "reading": run.Reading, "report": run.Report}
}
