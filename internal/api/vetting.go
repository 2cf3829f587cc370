package api

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/osv"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/sbom"
	"github.com/ringfence/ringfence/internal/vetting"
)

// Vetting keeps the evidence of artifacts.
type Vetting interface {
	Attach(ctx context.Context, actor, digest, bundle string) ([]vetting.Bundle, error)
	Show(ctx context.Context, digest string) (vetting.Facts, error)
	Components(ctx context.Context, digest string) ([]sbom.Component, error)
	Import(ctx context.Context, actor, digest string) (osv.Database, error)
	Database(ctx context.Context) (*osv.Database, error)
}

type attestInput struct {
	ByDigest
	Body wire.Attestation
}

type componentsInput struct {
	ByDigest
	Search string `query:"search" maxLength:"200" doc:"part of a name, version, package URL or licence; default all"`
}

type databaseInput struct{ Body wire.VulnerabilityImport }

var errNoVetting = errs.E(errs.Unavailable, "no evidence of artifacts is kept here")

func (s *Server) evidenceOfArtifacts() {
	const path = "/v1/artifacts/{digest}"
	register(s, operation{method: http.MethodPost, path: path + "/attestations", id: "attest", tag: "artifacts",
		summary: "Adds a bundle to the evidence of an artifact", about: "The bundle is put before like an artifact. Doing it again changes nothing; whether it proves anything is found when it is asked.",
		route: route{action: policy.Decide, keyed: true}}, s.attest)
	register(s, operation{method: http.MethodGet, path: path + "/facts", id: "getFacts", tag: "artifacts",
		summary: "Says what is known of an artifact: who vouches for it, what is demanded, what is missing, its vulnerabilities, where it runs",
		route:   route{action: policy.Read}}, s.facts)
	register(s, operation{method: http.MethodGet, path: path + "/components", id: "listComponents", tag: "artifacts",
		summary: "Lists what an artifact is made of, at most 1000 components", route: route{action: policy.Read}}, s.components)
	register(s, operation{method: http.MethodPost, path: "/v1/vulnerabilities/database", id: "importVulnerabilities", tag: "artifacts",
		summary: "Takes a database of vulnerabilities in place of the one before", about: "A zip file of OSV's entries, put before like an artifact.",
		route: route{action: policy.Decide, timeout: 10 * defaultTimeout, keyed: true}}, s.importVulnerabilities)
	register(s, operation{method: http.MethodGet, path: "/v1/vulnerabilities/database", id: "getVulnerabilities", tag: "artifacts",
		summary: "Says which database of vulnerabilities is in use", route: route{action: policy.Read}}, s.vulnerabilities)
}

func (s *Server) attest(ctx context.Context, in *attestInput) (*answered[wire.Attestations], error) {
	if s.Vetting == nil {
		return nil, errNoVetting
	}
	all, err := s.Vetting.Attach(ctx, actorOf(ctx), in.Digest, in.Body.Bundle)
	return &answered[wire.Attestations]{wire.Attestations{Items: all}}, err
}

func (s *Server) facts(ctx context.Context, in *ByDigest) (*answered[vetting.Facts], error) {
	if s.Vetting == nil {
		return nil, errNoVetting
	}
	f, err := s.Vetting.Show(ctx, in.Digest)
	return &answered[vetting.Facts]{f}, err
}

// mostComponents is how many components are answered at once.
const mostComponents = 1000

func (s *Server) components(ctx context.Context, in *componentsInput) (*answered[wire.Components], error) {
	if s.Vetting == nil {
		return nil, errNoVetting
	}
	all, err := s.Vetting.Components(ctx, in.Digest)
	if err != nil {
		return nil, err
	}
	found := sbom.Search(all, in.Search)
	return &answered[wire.Components]{wire.Components{Total: len(found), Items: found[:min(len(found), mostComponents)]}}, nil
}

func (s *Server) importVulnerabilities(ctx context.Context, in *databaseInput) (*answered[osv.Database], error) {
	if s.Vetting == nil {
		return nil, errNoVetting
	}
	db, err := s.Vetting.Import(ctx, actorOf(ctx), in.Body.Digest)
	return &answered[osv.Database]{db}, err
}

func (s *Server) vulnerabilities(ctx context.Context, _ *struct{}) (*answered[osv.Database], error) {
	if s.Vetting == nil {
		return nil, errNoVetting
	}
	db, err := s.Vetting.Database(ctx)
	if err == nil && db == nil {
		err = errs.E(errs.Missing, "no database of vulnerabilities was imported").Next("Import one: ringfence vulnerability database import FILE")
	}
	if err != nil {
		return nil, err
	}
	return &answered[osv.Database]{*db}, nil
}

// bring adds the evidence that a release comes with, before anything is decided of it.
func (s *Server) bring(ctx context.Context, in *releaseInput) error {
	if len(in.Body.Attestations) == 0 {
		return nil
	}
	if s.Vetting == nil {
		return errNoVetting
	}
	rel, err := s.Releases.Release(ctx, in.Service, in.Body.Version)
	if err != nil {
		return err
	}
	for _, bundle := range in.Body.Attestations {
		if _, err := s.Vetting.Attach(ctx, actorOf(ctx), rel.Digest, bundle); err != nil {
			return err
		}
	}
	return nil
}
