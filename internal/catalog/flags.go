package catalog

import (
	"context"
	"maps"
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// FlagSet returns a set of flags with the labels of its resource.
func (c *Catalog) FlagSet(ctx context.Context, name string) (*flag.Document, resource.Metadata, error) {
	r, err := c.Get(ctx, resource.KindFlagSet, name)
	if err != nil {
		return nil, r.Metadata, err
	}
	doc, problems := flag.Of(r)
	if len(problems) > 0 {
		return nil, r.Metadata, errs.Wrap(errs.Internal, resource.Refuse(problems), "flag set %s is damaged", name)
	}
	return doc, r.Metadata, nil
}

// flagChanges tells, of sets that are there already, what must not come with an update. A problem's Index is the position in
// what is there and does not change, then set.
func flagChanges(s state, set []resource.Resource, stay int) []resource.Problem {
	var problems []resource.Problem
	for i, r := range set {
		before := slices.IndexFunc(s.set, func(o resource.Resource) bool { return o.Key() == r.Key() })
		if r.Kind != resource.KindFlagSet || before < 0 {
			continue
		}
		old, _ := flag.Of(s.set[before])
		now, _ := flag.Of(r)
		for _, p := range flag.CheckChange(old, now) {
			p.Index, p.Kind, p.Name, p.Path = stay+i, r.Kind, r.Metadata.Name, "spec."+p.Path
			problems = append(problems, p)
		}
	}
	return problems
}

// resolveFlag returns a flag's exposure in the shape of a service: its variants are versions, and wherever flags are served is
// its one unit.
func (c *Catalog) resolveFlag(ctx context.Context, name string) (resource.Resolved, error) {
	var none resource.Resolved
	f, subject, meta, err := c.exposed(ctx, name)
	if err != nil {
		return none, err
	}
	plan := f.Plan(subject.Environment)
	if plan == nil {
		return none, errs.E(errs.Missing, "flag %s/%s is not exposed by rings", subject.Set, subject.Key).
			Next("Give it an exposure with a plan and a variant.")
	}
	svc := resource.Service{Plan: plan.Plan, Unit: flag.Unit, Owner: f.Owner, Run: resource.Run{Command: []string{"flag"}, Instances: 1}}
	resolved, err := c.resolve(ctx, name, svc, meta.Labels)
	if err != nil {
		return none, err
	}
	resolved.Kind, resolved.Baseline, resolved.Control, resolved.Counts = rollout.KindFlag, f.Baseline(subject.Environment), plan.Control, f.Counts
	if f.Counts == "" {
		resolved.Gates = slices.DeleteFunc(slices.Clone(resolved.Gates), unseen)
	}
	if f.Counts != "" { // what stops the service's changes stops its flags'
		if resolved.Freezes, err = c.freezesOf(ctx, f.Counts, resolved.Freezes); err != nil {
			return none, err
		}
	}
	if plan.Ring == "" {
		return resolved, nil
	}
	reach := slices.IndexFunc(resolved.Rings, func(r resource.Ring) bool { return r.Name == plan.Ring })
	if reach < 0 {
		return none, errs.E(errs.Conflict, "plan %s has no ring %s, which flag %s/%s is to reach", plan.Plan, plan.Ring, subject.Set, subject.Key)
	}
	if reach < len(resolved.Rings)-1 {
		resolved.Reach = reach + 1
	}
	return resolved, nil
}

// freezesOf adds those that concern a service.
func (c *Catalog) freezesOf(ctx context.Context, service string, more []resource.NamedFreeze) ([]resource.NamedFreeze, error) {
	r, err := c.Get(ctx, resource.KindService, service)
	if err != nil {
		return nil, damaged(err)
	}
	all, err := c.freezes(ctx, service, r.Metadata.Labels)
	for _, f := range more {
		if !slices.ContainsFunc(all, func(o resource.NamedFreeze) bool { return o.Name == f.Name }) {
			all = append(all, f)
		}
	}
	return all, err
}

// reaches tells, of what is set from stay on, which flags are to reach a ring that their plan does not have. A problem's Index is
// the position in whole.
func reaches(whole []resource.Resource, stay int) []resource.Problem {
	rings, plans := map[string][]resource.Ring{}, false
	for i, r := range whole {
		if plan, err := resource.As[resource.RingPlan](r); err == nil {
			rings[r.Metadata.Name], plans = plan.Rings, plans || i >= stay
		}
	}
	var problems []resource.Problem
	for i, r := range whole {
		if r.Kind != resource.KindFlagSet || i < stay && !plans {
			continue
		}
		doc, _ := flag.Of(r)
		if doc == nil {
			continue
		}
		check := func(p *flag.Plan, path string) {
			if p == nil || p.Ring == "" || rings[p.Plan] == nil || slices.ContainsFunc(rings[p.Plan], func(r resource.Ring) bool { return r.Name == p.Ring }) {
				return
			}
			problems = append(problems, resource.Problem{Index: i, Kind: r.Kind, Name: r.Metadata.Name, Path: path + ".exposure.ring",
				Msg: "plan " + p.Plan + " has no ring " + p.Ring, Expected: "a ring of the plan"})
		}
		for _, key := range doc.Keys() {
			f, at := doc.Flags[key], resource.Field("spec.flags", key)
			check(f.Exposure, at)
			for _, env := range slices.Sorted(maps.Keys(f.Environments)) {
				check(f.Environments[env].Exposure, resource.Field(at+".environments", env))
			}
		}
	}
	return problems
}

// unseen reports whether a gate judges what only a gateway sees: how long requests take.
func unseen(g resource.Gate) bool {
	return g.Signal == health.SignalLatency || g.Signal == health.SignalQuantile
}

// exposedFlag is a definition with what its set says for all.
type exposedFlag struct {
	*flag.Definition
	Counts string
}

func (c *Catalog) exposed(ctx context.Context, name string) (exposedFlag, flag.Subject, resource.Metadata, error) {
	subject, err := flag.ParseSubject(name)
	if err != nil {
		return exposedFlag{}, subject, resource.Metadata{}, err
	}
	doc, meta, err := c.FlagSet(ctx, subject.Set)
	if err != nil {
		return exposedFlag{}, subject, meta, err
	}
	f := doc.Flags[subject.Key]
	if f == nil || !doc.HasEnvironment(subject.Environment) {
		return exposedFlag{}, subject, meta, errs.E(errs.Missing, "there is no flag %s/%s in environment %s", subject.Set, subject.Key, subject.Environment)
	}
	return exposedFlag{f, doc.Service}, subject, meta, nil
}

// variant is a variant in the shape of a release.
func (c *Catalog) variant(ctx context.Context, name, variant string) (resource.Release, error) {
	f, subject, _, err := c.exposed(ctx, name)
	if err != nil {
		return resource.Release{}, err
	}
	if _, ok := f.Value(variant); !ok && variant != f.Baseline(subject.Environment) {
		return resource.Release{}, errs.E(errs.Missing, "flag %s/%s has no variant %q, it has %v", subject.Set, subject.Key, variant, f.Variants())
	}
	return resource.Release{Service: name, Version: variant}, nil
}

// Shown says which variant rollouts have left everyone with, by the name of a flag's exposure, and which rollout of it is in
// flight; nothing when there was none.
type Shown func(ctx context.Context, name string) (variant, inFlight string, err error)

// withdrawn refuses that a flag loses its exposure, or a variant, while that is shown or on its way: what it gives would change for everyone at once.
func (c *Catalog) withdrawn(ctx context.Context, s state, set []resource.Resource) error {
	for _, r := range set {
		if r.Kind != resource.KindFlagSet {
			continue
		}
		doc, ok := s.docs[r.Key()]
		if !ok {
			continue
		}
		before, err := decode(doc)
		if err != nil {
			return err
		}
		old, _ := flag.Of(before)
		now, _ := flag.Of(r)
		if err := c.keeps(ctx, r.Metadata.Name, old, now); err != nil {
			return err
		}
	}
	return nil
}

// lost are the variants that a flag does not have any more.
func lost(f, after *flag.Definition) []string {
	return slices.DeleteFunc(slices.Clone(f.Variants()), func(name string) bool { _, still := after.Value(name); return still })
}

// keeps is withdrawn for one set; now is nil when the set goes.
func (c *Catalog) keeps(ctx context.Context, set string, old, now *flag.Document) error {
	if c.Shown == nil || old == nil {
		return nil
	}
	for _, key := range old.Keys() {
		f := old.Flags[key]
		for _, env := range old.EnvironmentsOf(f) {
			var after *flag.Definition
			if now != nil {
				after = now.Flags[key]
			}
			stays := after != nil && after.Plan(env) != nil
			if f.Plan(env) == nil || stays && len(lost(f, after)) == 0 {
				continue
			}
			name := flag.Subject{Set: set, Key: key, Environment: env}.String()
			variant, inFlight, err := c.Shown(ctx, name)
			switch {
			case err != nil:
				return err
			case inFlight != "":
				return errs.E(errs.Conflict, "rollout %s of flag %s/%s is in flight", inFlight, set, key).Next("switch it off first: ringfence flags off %s/%s --reason …", set, key)
			case variant == "" || variant == f.Baseline(env) || after != nil && after.Baseline(env) == variant:
			case stays && !slices.Contains(lost(f, after), variant):
			default:
				return errs.E(errs.Conflict, "everyone in %s has variant %s of flag %s/%s, which would end at once", env, variant, set, key).
					Next("make it the default variant in the same change, or switch it off first: ringfence flags off %s/%s --reason …", set, key)
			}
		}
	}
	return nil
}
