package catalog

import (
	"context"
	"fmt"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// Resolve returns a service, or the exposure of a flag, with its plan and segments put in and every default filled in.
func (c *Catalog) Resolve(ctx context.Context, service string) (resource.Resolved, error) {
	if flag.IsSubject(service) {
		return c.resolveFlag(ctx, service)
	}
	r, err := c.Get(ctx, resource.KindService, service)
	if err != nil {
		return resource.Resolved{}, err
	}
	svc, err := resource.As[resource.Service](r)
	if err != nil {
		return resource.Resolved{}, err
	}
	return c.resolve(ctx, service, svc, r.Metadata.Labels)
}

func (c *Catalog) resolve(ctx context.Context, name string, svc resource.Service, labels map[string]string) (resource.Resolved, error) {
	r, err := c.Get(ctx, resource.KindRingPlan, svc.Plan)
	if err != nil {
		return resource.Resolved{}, damaged(err)
	}
	plan, err := resource.As[resource.RingPlan](r)
	if err != nil {
		return resource.Resolved{}, err
	}
	docs, err := c.every(ctx, resource.KindSegment, "")
	if err != nil {
		return resource.Resolved{}, err
	}
	all, err := decodeAll(docs)
	if err != nil {
		return resource.Resolved{}, err
	}
	resolved, err := Resolve(name, svc, plan, segmentsOf(all))
	if err != nil {
		return resolved, err
	}
	resolved.Labels = labels
	if resolved.Freezes, err = c.freezes(ctx, name, labels); err != nil {
		return resolved, err
	}
	resolved.Groups, err = c.groups(ctx, resolved.Rings)
	return resolved, err
}

// damaged is for what cannot be missing, as nothing is deleted that is referred to. That the service is missing means
// something else: it was deleted.
func damaged(err error) error {
	if errs.Is(err, errs.Missing) {
		return errs.Wrap(errs.Internal, err, "the catalog is damaged")
	}
	return err
}

// freezes are those that concern a service, at some time or other.
func (c *Catalog) freezes(ctx context.Context, service string, labels map[string]string) ([]resource.NamedFreeze, error) {
	docs, err := c.every(ctx, resource.KindFreeze, "")
	if err != nil {
		return nil, err
	}
	all, err := decodeAll(docs)
	if err != nil {
		return nil, err
	}
	var list []resource.NamedFreeze
	for _, r := range all {
		f, err := resource.As[resource.Freeze](r)
		if err != nil {
			return nil, err
		}
		if f.Concerns(service, labels) {
			list = append(list, resource.NamedFreeze{Name: r.Metadata.Name, Freeze: f})
		}
	}
	return list, nil
}

// groups are the members of the groups that approve for some ring.
func (c *Catalog) groups(ctx context.Context, rings []resource.Ring) (map[string][]string, error) {
	groups := map[string][]string{}
	for _, ring := range rings {
		if ring.Approval == nil {
			continue
		}
		for _, name := range ring.Approval.Named() {
			r, err := c.Get(ctx, resource.KindGroup, name)
			if err != nil {
				return nil, damaged(err)
			}
			g, err := resource.As[resource.Group](r)
			if err != nil {
				return nil, err
			}
			groups[name] = g.Members
		}
	}
	return groups, nil
}

// Resolve puts a service together with its plan and segments.
//
// The salt is the plan's name: services that share a plan share its rings, so that a user who is early in one is early in
// all of them, while plans of other names choose other users. A plan that is edited keeps its users.
func Resolve(name string, svc resource.Service, plan resource.RingPlan, segments map[string]resource.Segment) (resource.Resolved, error) {
	svc, plan = svc.Defaults(), plan.Defaults()
	rings, problems := expand(svc.Plan, plan, segments)
	if len(problems) > 0 {
		return resource.Resolved{}, errs.E(errs.Invalid, "plan %s: %s", svc.Plan, problems[0].Text())
	}
	return resource.Resolved{Name: name, Service: svc, Plan: svc.Plan, Rings: plan.Rings, Exposure: rings, Salt: svc.Plan, Gates: plan.Gates, Standby: plan.Standby}, nil
}

// expand gives the rings as data planes get them, and proves that they compile there.
func expand(salt string, plan resource.RingPlan, segments map[string]resource.Segment) ([]fleet.Ring, []resource.Problem) {
	var problems []resource.Problem
	rings := make([]fleet.Ring, len(plan.Rings))
	for i, r := range plan.Rings {
		var err error
		if rings[i], err = exposure.ExpandRing(salt, r, segments); err != nil {
			problems = append(problems, resource.Problem{Path: fmt.Sprintf("spec.rings[%d].audience", i), Msg: err.Error()})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	if _, err := exposure.Compile(salt, rings); err != nil {
		return nil, []resource.Problem{{Path: "spec.rings", Msg: err.Error()}}
	}
	return rings, nil
}

func segmentsOf(set []resource.Resource) map[string]resource.Segment {
	segments := map[string]resource.Segment{}
	for _, r := range set {
		if seg, err := resource.As[resource.Segment](r); err == nil {
			segments[r.Metadata.Name] = seg
		}
	}
	return segments
}

// compiles finds plans whose rings cannot be used, though each audience is right on its own: too large with all
// segments put in, for instance. Only those that may have changed are tried. An Index is the position in set.
func compiles(set []resource.Resource, changed func(int) bool) []resource.Problem {
	var problems []resource.Problem
	segments := segmentsOf(set)
	for i, r := range set {
		if !changed(i) {
			continue
		}
		plan, err := resource.As[resource.RingPlan](r)
		if err != nil {
			continue // of another kind
		}
		_, ps := expand(r.Metadata.Name, plan, segments)
		for _, p := range ps {
			p.Index, p.Kind, p.Name = i, r.Kind, r.Metadata.Name
			problems = append(problems, p)
		}
	}
	return problems
}
