package lab

import (
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

// Look reads a run, records what it comes to when that is something else than before, and ends it when a guardrail is harmed or its
// flag no longer gives what is compared.
func (l *Lab) Look(ctx context.Context, name string, now time.Time) error {
	run, rev, err := l.get(ctx, name)
	if err != nil || run.Phase != Running {
		return err
	}
	switch why, err := l.pulled(ctx, run); {
	case err != nil:
		return err
	case why != "":
		_, err = l.end(ctx, run, rev, Actor, why, now)
		return err
	}
	report, err := l.read(ctx, run, 0, now)
	if err != nil {
		return err
	}
	was := run.Reading
	run.keep(report, now)
	if why := harmed(*report.Report); why != "" {
		_, err = l.conclude(ctx, run, rev, Actor, why, now)
		return err
	}
	if was.Decision == run.Reading.Decision && was.Variant == run.Reading.Variant {
		if was.Why == run.Reading.Why {
			return nil
		}
		return l.put(ctx, run, rev, "", "", nil, now) // only the numbers moved: told to who looks, not on the record
	}
	return l.put(ctx, run, rev, "experiment.read", Actor, evidence(run), now)
}

// pulled says why the flag no longer gives what the experiment compares, "" when it does. A flag that was switched off comes back
// without the experiment.
func (l *Lab) pulled(ctx context.Context, run Run) (string, error) {
	s := subject(run.Spec)
	f, doc, err := l.flagOf(ctx, run.Spec)
	switch {
	case errs.Is(err, errs.Missing):
		return "the flag is not there any more", nil
	case err != nil:
		return "", err
	case !f.EnabledIn(s.Environment):
		return "the flag was switched off", nil
	case run.Bucketing != "" && doc.Bucketing != run.Bucketing:
		return "the flag's set places users anew, and they have other variants than before", nil
	}
	for _, a := range run.Spec.Variants {
		if _, ok := f.Value(a.Variant); !ok {
			return "the flag has no variant " + a.Variant + " any more", nil
		}
	}
	return "", nil
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
