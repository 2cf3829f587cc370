package lab

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
)

// Actor is who acts when nobody asked for it.
const Actor = "system:lab"

// Run reads every experiment that runs at each interval until ctx ends.
func (l *Lab) Run(ctx context.Context) error {
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	for {
		l.lookAll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (l *Lab) lookAll(ctx context.Context) {
	runs, _, err := l.runs(ctx)
	if err != nil {
		l.Logger.Error("cannot look at the experiments", "err", err)
		return
	}
	for _, r := range runs {
		if r.Phase != Running || ctx.Err() != nil {
			continue
		}
		if err := l.Look(ctx, r.Experiment, l.Now()); err != nil && !errs.Is(err, errs.Conflict) && ctx.Err() == nil {
			l.Logger.Error("an experiment cannot be read; it is tried again", "experiment", r.Experiment, "err", err)
		}
	}
}

// Look reads a run, records what it comes to when that is something else than before, and ends it when a guardrail is harmed.
func (l *Lab) Look(ctx context.Context, name string, now time.Time) error {
	run, rev, err := l.get(ctx, name)
	if err != nil || run.Phase != Running {
		return err
	}
	report, err := l.read(ctx, run, 0, now)
	if err != nil {
		return err
	}
	was := run.Reading
	run.Reading, run.Read = report.Report.Reading, now.UTC()
	if over := run.Started.Add(run.Spec.MaxDuration.D(defaultWeeks)); now.After(over) && run.Reading.Decision == experiment.KeepRunning {
		run.Reading.Decision, run.Reading.Why = experiment.Stop, "its time is over: "+run.Reading.Why
	}
	if why := harmed(*report.Report); why != "" {
		run.Phase, run.Ended, run.EndedBy, run.Reason = Ended, now.UTC(), Actor, why
		return l.put(ctx, run, rev, "experiment.ended", Actor, evidence(run, report), now)
	}
	if was.Decision == run.Reading.Decision && was.Variant == run.Reading.Variant {
		if was.Why == run.Reading.Why {
			return nil
		}
		return l.put(ctx, run, rev, "", "", nil, now) // only the numbers moved: told to who looks, not on the record
	}
	return l.put(ctx, run, rev, "experiment.read", Actor, evidence(run, report), now)
}

// evidence is what a decision was made on.
func evidence(run Run, r Report) map[string]any {
	return map[string]any{"run": run.Number, "reason": cmp.Or(run.Reason, run.Reading.Why), "reading": run.Reading, "report": r.Report}
}

// harmed names the guardrail that a treatment harms, "" when none is.
func harmed(r experiment.Report) string {
	if r.Mismatch.Broken || r.Multiple.Broken {
		return ""
	}
	for _, m := range r.Metrics {
		for _, c := range m.Treatments {
			if m.Role == experiment.Guardrail && c.State == experiment.Harmed {
				return fmt.Sprintf("guardrail %s is harmed by variant %s: everyone has what the flag gives without the experiment", m.Name, c.Variant)
			}
		}
	}
	return ""
}
