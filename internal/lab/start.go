package lab

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// settle is how long an assignment may take to be in force wherever flags are served. Before it, participants may be given what
// the flag gives without the experiment, which would look like a mismatch of shares.
const settle = 5 * time.Second

// Start begins a run. The one that is running already is the answer when there is one. Baseline is what is known of the primary
// metric, for the plan of the sample's size; nil when nothing is.
func (l *Lab) Start(ctx context.Context, actor, name string, baseline *Baseline, now time.Time) (Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return retry(ctx, func() (Run, error) { return l.start(ctx, actor, name, baseline, now) })
}

func (l *Lab) start(ctx context.Context, actor, name string, baseline *Baseline, now time.Time) (Run, error) {
	head, err := l.Store.Get(ctx, kindHead, headName) // before anything is judged: whoever starts meanwhile makes this one stale
	if err != nil && !errs.Is(err, errs.Missing) {
		return Run{}, err
	}
	run, rev, err := l.get(ctx, name)
	if err != nil || run.Phase == Running {
		return run, err
	}
	r, err := l.Catalog.Get(ctx, resource.KindExperiment, name)
	if err != nil {
		return run, err
	}
	spec, err := resource.As[resource.Experiment](r)
	if err != nil {
		return run, err
	}
	next := Run{Experiment: name, Number: run.Number + 1, Phase: Running, Spec: spec, Started: now.UTC(), Since: now.Add(settle).UTC(), By: actor}
	if next.Bucketing, err = l.mayStart(ctx, name, spec); err != nil {
		return run, err
	}
	// A salt of its own for each run: who had the variant before does not have it again by rule.
	if next.Assignment, err = l.assignment(ctx, spec, name, fmt.Sprintf("%s/%d", name, next.Number)); err != nil {
		return run, err
	}
	if next.Planned, err = planned(spec, baseline); err != nil {
		return run, err
	}
	if spec.Method == string(experiment.Welch) && next.Planned == 0 {
		return run, errs.E(errs.Invalid, "method welch is read once, at the planned number of users, and none is planned").
			Next("give spec.users, or what is known of the primary metric: ringfence experiment start %s --baseline …", name)
	}
	counted := store.Doc{Kind: kindHead, Name: headName, Rev: head.Rev, Body: fmt.Appendf(nil, `{"starts":%d}`, head.Rev+1)}
	return next, l.put(ctx, next, rev, "experiment.started", actor, map[string]any{"run": next.Number, "spec": spec, "planned": next.Planned}, now, counted)
}

// flagOf is the flag of an experiment; errs.Missing when it is not there, in that environment.
func (l *Lab) flagOf(ctx context.Context, spec resource.Experiment) (*flag.Definition, *flag.Document, error) {
	s := subject(spec)
	r, err := l.Catalog.Get(ctx, resource.KindFlagSet, s.Set)
	if err != nil {
		return nil, nil, err
	}
	doc, problems := flag.Of(r)
	if doc == nil {
		return nil, nil, errs.Wrap(errs.Internal, resource.Refuse(problems), "flag set %s is damaged", s.Set)
	}
	f := doc.Flags[s.Key]
	if f == nil || !doc.HasEnvironment(s.Environment) {
		return nil, nil, errs.E(errs.Missing, "there is no flag %s in environment %s", spec.Flag, s.Environment)
	}
	return f, doc, nil
}

// mayStart says why an experiment must not be begun now, and how its flag's set places users.
func (l *Lab) mayStart(ctx context.Context, name string, spec resource.Experiment) (exposure.Bucketing, error) {
	s := subject(spec)
	f, doc, err := l.flagOf(ctx, spec)
	if err != nil {
		return "", err
	}
	if !f.EnabledIn(s.Environment) {
		return "", errs.E(errs.Conflict, "flag %s is disabled or archived in %s", spec.Flag, s.Environment).Next("enable it first: ringfence flags enable %s", spec.Flag)
	}
	for i, a := range spec.Variants {
		if _, ok := f.Value(a.Variant); !ok {
			return "", errs.E(errs.Invalid, "spec.variants[%d]: flag %s has no variant %q, it has %v", i, spec.Flag, a.Variant, f.Variants())
		}
	}
	variant, inFlight, err := l.Flags.Shown(ctx, s.String())
	switch {
	case err != nil:
		return "", err
	case inFlight != "":
		return "", errs.E(errs.Conflict, "rollout %s of the flag is in flight: who gets what is not left to chance", inFlight).Next("wait for its end, or take it back")
	case variant != "" && variant != f.Baseline(s.Environment):
		return "", errs.E(errs.Conflict, "everyone has variant %s of the flag by a rollout", variant).Next("switch it off first: ringfence flags off %s --reason …", spec.Flag)
	}
	return doc.Bucketing, l.apart(ctx, name, spec)
}

// apart refuses an experiment that would share users with one that it must not share them with, or whose exposures could not
// be told from another flag's.
func (l *Lab) apart(ctx context.Context, name string, spec resource.Experiment) error {
	runs, _, err := l.runs(ctx)
	if err != nil {
		return err
	}
	for _, o := range runs {
		if o.Phase != Running || o.Experiment == name {
			continue
		}
		a, b := spec.Group, o.Spec.Group
		switch {
		case subject(o.Spec) == subject(spec):
			return errs.E(errs.Conflict, "experiment %s runs on flag %s already", o.Experiment, spec.Flag).Next("end it first: ringfence experiment stop %s", o.Experiment)
		case o.Spec.Key() == spec.Key() && subject(o.Spec).Environment == subject(spec).Environment:
			return errs.E(errs.Conflict, "experiment %s runs on a flag of the same key %s: exposures are told by the key alone", o.Experiment, spec.Key())
		case a != nil && b != nil && a.Name == b.Name && a.From < b.To && b.From < a.To:
			return errs.E(errs.Conflict, "experiment %s has the users from %g to %g %% of group %s", o.Experiment, b.From, b.To, b.Name).Next("take a part of the group that is free")
		}
	}
	return nil
}

// assignment says who takes part, and with what.
func (l *Lab) assignment(ctx context.Context, spec resource.Experiment, name, salt string) (flag.Assignment, error) {
	a := flag.Assignment{Experiment: name, Salt: salt, Share: cmp.Or(spec.Share, 100)}
	for _, v := range spec.Variants {
		a.Variants = append(a.Variants, flag.Weight{Variant: v.Variant, Weight: cmp.Or(v.Weight, 1)})
	}
	if g := spec.Group; g != nil {
		a.Group = &flag.Slice{Salt: "group/" + g.Name, From: g.From, To: g.To}
	}
	if h := spec.Holdout; h != nil {
		a.Holdouts = []flag.Holdout{{Salt: "holdout/" + h.Name, Percent: h.Percent}}
	}
	if spec.Audience.Everyone() {
		return a, nil
	}
	segments := map[string]resource.Segment{}
	for after := ""; ; {
		rs, err := l.Catalog.List(ctx, resource.KindSegment, after, 0)
		if err != nil {
			return a, err
		}
		if len(rs) == 0 {
			break
		}
		for _, r := range rs {
			if segments[r.Metadata.Name], err = resource.As[resource.Segment](r); err != nil {
				return a, err
			}
		}
		after = rs[len(rs)-1].Metadata.Name
	}
	var err error
	a.Audience, err = exposure.Expand("audience/"+salt, spec.Audience, segments)
	return a, err
}

// Baseline is what is known of the primary metric in the control before a run.
type Baseline struct {
	Mean   float64 `json:"mean" doc:"of a proportion, the share"`
	StdDev float64 `json:"stddev,omitempty" minimum:"0" doc:"of each user's value; not for a proportion"`
}

// planned is the size of the sample: what the declaration says, or what its minimum effect needs, or 0 when nothing is known.
func planned(spec resource.Experiment, baseline *Baseline) (int64, error) {
	if spec.Users > 0 {
		return spec.Users * int64(len(spec.Variants)), nil
	}
	if baseline == nil {
		return 0, nil
	}
	return specOf(spec, 0).Size(baseline.Mean, baseline.StdDev, cmp.Or(spec.Power, experiment.DefaultPower))
}
