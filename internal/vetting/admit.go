package vetting

import (
	"context"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/admission"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/sbom"
	"github.com/ringfence/ringfence/internal/store"
)

// admissions are the demands that are meant for a service.
func (k *Keeper) admissions(ctx context.Context, service string) (names []string, specs []resource.Admission, err error) {
	all, err := k.list(ctx, resource.KindAdmission)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range all {
		spec, err := resource.As[resource.Admission](r)
		if err != nil {
			return nil, nil, err
		}
		if len(spec.Services) == 0 || slices.Contains(spec.Services, service) {
			names, specs = append(names, r.Metadata.Name), append(specs, spec)
		}
	}
	return names, specs, nil
}

// list is everything of a kind.
func (k *Keeper) list(ctx context.Context, kind string) ([]resource.Resource, error) {
	const page = 1000
	var all []resource.Resource
	after := ""
	for {
		more, err := k.Catalog.List(ctx, kind, after, page)
		all = append(all, more...)
		if err != nil || len(more) < page {
			return all, err
		}
		after = more[len(more)-1].Metadata.Name
	}
}

// cases are what is known of an artifact, under each Admission that is meant for the service.
func (k *Keeper) cases(ctx context.Context, service, digest string) ([]admission.Case, error) {
	names, specs, err := k.admissions(ctx, service)
	if err != nil || len(specs) == 0 {
		return nil, err
	}
	bundles, _, err := k.bundles(ctx, digest)
	if err != nil {
		return nil, err
	}
	all := make([]admission.Case, len(specs))
	for i, spec := range specs {
		c := admission.Case{Name: names[i], Spec: spec, Service: service, Proofs: []admission.Proof{}}
		var components []sbom.Component
		for _, b := range bundles {
			p, err := k.proof(ctx, digest, b, spec)
			if err != nil {
				return nil, err
			}
			c.Proofs, components = append(c.Proofs, p), join(components, p.Components)
		}
		if c.Findings, c.Database, err = k.find(ctx, components); err != nil {
			return nil, err
		}
		all[i] = c
	}
	return all, nil
}

// proof checks a bundle for each signer, until one vouches by it.
func (k *Keeper) proof(ctx context.Context, digest string, b Bundle, spec resource.Admission) (admission.Proof, error) {
	p := admission.Proof{Bundle: b.Digest, Added: b.Added, By: b.By}
	var why []string
	for _, s := range spec.Signers {
		v, err := k.verify(ctx, digest, b, s)
		switch {
		case err == nil:
			p.Verified, p.Why = &v, ""
			p.Read(digest)
			return p, nil
		case errs.Is(err, errs.Denied) || errs.Is(err, errs.Invalid):
			why = append(why, s.Name+": "+err.Error())
		default:
			return p, err
		}
	}
	p.Why = strings.Join(why, "; ")
	if len(spec.Signers) == 0 {
		p.Why = "no signer is declared"
	}
	return p, nil
}

// Admit decides for some rings whether they may get a version of a service. Where nothing is demanded all may, and there is no decision.
func (k *Keeper) Admit(ctx context.Context, service, version string, rings []string) ([]admission.Decision, error) {
	_, specs, err := k.admissions(ctx, service)
	if err != nil || len(specs) == 0 {
		return nil, err
	}
	rel, err := k.Catalog.Release(ctx, service, version)
	if err != nil {
		return nil, err
	}
	cases, err := k.cases(ctx, service, rel.Digest)
	if err != nil {
		return nil, err
	}
	all := make([]admission.Decision, len(rings))
	for i, ring := range rings {
		each := make([]admission.Decision, len(cases))
		for j, c := range cases {
			each[j] = c.Decide(ring, k.Now())
		}
		all[i] = admission.Join(ring, each)
	}
	return all, nil
}

// Refuse is an error when the first ring may not get a version, so that nothing of it is started; it is recorded.
func (k *Keeper) Refuse(ctx context.Context, actor, service, version string) error {
	rings := k.rings(ctx, service)
	if len(rings) == 0 {
		return nil
	}
	running, err := k.Running(ctx)
	if err != nil {
		return err
	}
	first := rings[0]
	if !slices.ContainsFunc(running, func(r Running) bool { return r.Service == service }) {
		first = rings[len(rings)-1] // a first release goes to everyone
	}
	all, err := k.Admit(ctx, service, version, []string{first})
	if err != nil || len(all) == 0 || all[0].Admitted {
		return err
	}
	e, err := audit.New(k.Now(), "artifact.refused", actor, "release/"+resource.ReleaseName(service, version), all[0])
	if err != nil {
		return err
	}
	if _, err := k.Store.Commit(ctx, store.Write{Events: []audit.Event{e}}); err != nil {
		return err
	}
	return errs.E(errs.Denied, "%s %s may not ship: %s", service, version, Missing(all[0])).
		Next("see: ringfence artifact show %s %s; bring evidence by: ringfence artifact add %s %s BUNDLE", service, version, service, version)
}

// Missing is what a ring lacks, in a sentence.
func Missing(d admission.Decision) string {
	list := d.Missing
	if len(list) > 10 {
		list = append(slices.Clone(list[:10]), "and more")
	}
	return strings.Join(list, "; ")
}
