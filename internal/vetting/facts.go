package vetting

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/admission"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/osv"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/sbom"
	"github.com/ringfence/ringfence/internal/supply"
)

// Facts are what is known of an artifact.
type Facts struct {
	Digest     string        `json:"digest"`
	Releases   []Released    `json:"releases" doc:"versions of services that are this artifact"`
	Runs       []Running     `json:"runs" doc:"where it runs now"`
	Bundles    []Bundle      `json:"bundles" doc:"the evidence that was brought"`
	Verified   bool          `json:"verified" doc:"somebody vouches for it who may"`
	Policies   []Policy      `json:"policies" doc:"what is demanded of it, and how it stands; none when nothing is"`
	Components int           `json:"components" doc:"how many are listed, whoever listed them"`
	Findings   []osv.Finding `json:"findings" doc:"known vulnerabilities of these"`
	Database   *osv.Database `json:"database,omitempty" doc:"of vulnerabilities; none when none was imported"`
}

// Released is a version of a service.
type Released struct {
	Service string    `json:"service"`
	Version string    `json:"version"`
	Created time.Time `json:"created"`
	By      string    `json:"by"`
}

// Policy is how an artifact stands under one Admission.
type Policy struct {
	Name      string               `json:"name"`
	Service   string               `json:"service"`
	Proofs    []admission.Proof    `json:"proofs"`
	Decisions []admission.Decision `json:"decisions" doc:"ring by ring"`
}

// Running is a version of a service that runs somewhere.
type Running struct {
	Service string   `json:"service"`
	Version string   `json:"version"`
	Digest  string   `json:"digest"`
	Units   []string `json:"units"`
	Rings   []string `json:"rings" doc:"whose users get it"`
	Share   float64  `json:"share" doc:"percent of the service's users who got it lately"`
}

// Show says what is known of an artifact.
func (k *Keeper) Show(ctx context.Context, digest string) (Facts, error) {
	f := Facts{Digest: digest, Releases: []Released{}, Runs: []Running{}, Policies: []Policy{}, Findings: []osv.Finding{}}
	all, err := k.releases(ctx)
	if err != nil {
		return f, err
	}
	if f.Bundles, _, err = k.bundles(ctx, digest); err != nil {
		return f, err
	}
	var services []string
	for _, r := range all {
		if r.Digest != digest {
			continue
		}
		f.Releases = append(f.Releases, Released{r.Service, r.Version, r.Created, r.By})
		if !slices.Contains(services, r.Service) {
			services = append(services, r.Service)
		}
	}
	if len(f.Releases) == 0 && len(f.Bundles) == 0 {
		return f, errs.E(errs.Missing, "there is no release of artifact %s", digest)
	}
	for _, service := range services {
		if err := k.policies(ctx, &f, service); err != nil {
			return f, err
		}
	}
	running, err := k.Running(ctx)
	if err != nil {
		return f, err
	}
	for _, r := range running {
		if r.Digest == digest {
			f.Runs = append(f.Runs, r)
		}
	}
	components, err := k.Components(ctx, digest)
	if err != nil {
		return f, err
	}
	f.Components = len(components)
	f.Findings, f.Database, err = k.find(ctx, components)
	return f, err
}

func (k *Keeper) policies(ctx context.Context, f *Facts, service string) error {
	cases, err := k.cases(ctx, service, f.Digest)
	if err != nil {
		return err
	}
	rings := k.rings(ctx, service)
	for _, c := range cases {
		p := Policy{Name: c.Name, Service: service, Proofs: c.Proofs, Decisions: []admission.Decision{}}
		for _, ring := range rings {
			p.Decisions = append(p.Decisions, c.Decide(ring, k.Now()))
		}
		for _, proof := range c.Proofs {
			f.Verified = f.Verified || proof.Verified != nil
		}
		f.Policies = append(f.Policies, p)
	}
	return nil
}

// rings are those of a service's plan; none when it is gone.
func (k *Keeper) rings(ctx context.Context, service string) []string {
	spec, err := k.Catalog.Resolve(ctx, service)
	if err != nil {
		return nil
	}
	names := make([]string, len(spec.Rings))
	for i, r := range spec.Rings {
		names[i] = r.Name
	}
	return names
}

func (k *Keeper) releases(ctx context.Context) ([]resource.Release, error) {
	list, err := k.list(ctx, resource.KindRelease)
	if err != nil {
		return nil, err
	}
	all := make([]resource.Release, len(list))
	for i, r := range list {
		if all[i], err = resource.As[resource.Release](r); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Components are all that lists in the evidence of an artifact name, whoever signed them.
func (k *Keeper) Components(ctx context.Context, digest string) ([]sbom.Component, error) {
	bundles, _, err := k.bundles(ctx, digest)
	if err != nil {
		return nil, err
	}
	var all []sbom.Component
	for _, b := range bundles {
		if !sbom.Is(b.Type) {
			continue
		}
		raw, err := k.read(ctx, b.Digest)
		if err != nil {
			return nil, err
		}
		statement, err := k.Checker.Claimed(raw)
		if err != nil {
			return nil, err
		}
		s, err := supply.ReadStatement(statement, digest)
		if err != nil {
			return nil, err
		}
		list, err := sbom.Read(s.Predicate)
		if err != nil {
			k.Logger.Warn("a list of components cannot be read", "artifact", digest, "bundle", b.Digest, "err", err)
			continue
		}
		all = join(all, list.Components)
	}
	return all, nil
}

func join(all, more []sbom.Component) []sbom.Component {
	all = append(all, more...)
	slices.SortStableFunc(all, func(a, b sbom.Component) int {
		return strings.Compare(a.Name+"\x00"+a.Version+"\x00"+a.PURL, b.Name+"\x00"+b.Version+"\x00"+b.PURL)
	})
	return slices.CompactFunc(all, func(a, b sbom.Component) bool { return a.Name == b.Name && a.Version == b.Version && a.PURL == b.PURL })
}

// find are the known vulnerabilities of components.
func (k *Keeper) find(ctx context.Context, components []sbom.Component) ([]osv.Finding, *osv.Database, error) {
	none := []osv.Finding{}
	db, err := k.Database(ctx)
	if err != nil || db == nil {
		return none, nil, err
	}
	var packages []osv.Named
	for _, c := range components {
		if n, ok := osv.NameOf(c); ok {
			packages = append(packages, n)
		}
	}
	advisories, err := k.Vulnerabilities.Find(ctx, db.Digest, packages)
	if err != nil {
		return none, db, err
	}
	return append(none, osv.Match(components, advisories)...), db, nil
}
