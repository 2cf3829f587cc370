package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

func (s *Server) releases() {
	const path = "/v1/services/{service}/releases"
	register(s, operation{method: http.MethodPost, path: path, id: "release", tag: "releases",
		summary: "Releases a version and starts its rollout", about: "Asking again for the same release answers the rollout that it has.",
		route: route{action: policy.Decide, keyed: true}}, s.release)
	register(s, operation{method: http.MethodGet, path: path, id: "listReleases", tag: "releases", summary: "Lists the releases of a service",
		route: route{action: policy.Read}}, s.listReleases)
}

// ByService is the part of a path that names a service.
type ByService struct {
	Service string `path:"service" maxLength:"63" doc:"name of the service"`
}

type releaseInput struct {
	ByService
	Body wire.Release
}

func (s *Server) release(ctx context.Context, in *releaseInput) (*answered[wire.Rollout], error) {
	if flag.IsSubject(in.Service) { // there is more to ask before a flag is shown
		return nil, errs.E(errs.Invalid, "service %q is the exposure of a flag", in.Service).Next("show it: ringfence flags expose SET/KEY --variant …")
	}
	if err := s.ensureRelease(ctx, in); err != nil {
		return nil, err
	}
	if err := s.bring(ctx, in); err != nil {
		return nil, err
	}
	state, err := s.Rollouts.Release(ctx, actorOf(ctx), orderOf(in), s.Now())
	if err != nil {
		return nil, err
	}
	return s.view(ctx, state)
}

func orderOf(in *releaseInput) rollout.Order {
	b := in.Body
	return rollout.Order{Service: in.Service, Version: b.Version, Config: b.Config, NoConfig: b.NoConfig, Schema: b.Schema, Replace: b.Replace, Lane: rollout.Lane(b.Lane),
		Hit: b.Hit, Force: b.Force, Through: b.ThroughFreeze, Why: b.Reason}
}

// ensureRelease makes the release. Without a digest it must be there already.
func (s *Server) ensureRelease(ctx context.Context, in *releaseInput) error {
	if in.Body.Version == "" {
		if in.Body.Digest != "" || in.Body.Config == "" && !in.Body.NoConfig && in.Body.Schema == "" {
			return errs.E(errs.Invalid, "version: missing, expected the version of the artifact; only a config or a schema goes without")
		}
		return nil
	}
	if in.Body.Digest == "" {
		_, err := s.Releases.Release(ctx, in.Service, in.Body.Version)
		return err
	}
	if in.Body.Committed.After(s.Now().Add(time.Hour)) {
		return errs.E(errs.Invalid, "committed: %s is in the future", in.Body.Committed.Format(time.RFC3339))
	}
	rel := resource.Release{Service: in.Service, Version: in.Body.Version, Digest: in.Body.Digest, Env: in.Body.Env, Hypothesis: in.Body.Hypothesis, Metric: in.Body.Metric,
		Committed: in.Body.Committed.UTC()}
	if len(in.Body.Understands) > 0 {
		rel.Schema = &resource.SchemaUse{Understands: in.Body.Understands}
	}
	if i := in.Body.Interface; i != nil {
		rel.Interface = &resource.Interface{Format: i.Format, Digest: i.Digest}
	}
	_, err := s.Releases.CreateRelease(ctx, actorOf(ctx), s.Now(), rel)
	return err
}

// view answers a rollout with what is seen of it now.
func (s *Server) view(ctx context.Context, state rollout.State) (*answered[wire.Rollout], error) {
	out := wire.Rollout{Rollout: state, Waiting: state.Reason}
	if !state.Phase.Ended() {
		waiting, ev, err := s.Rollouts.Waiting(ctx, state.ID, s.Now())
		if err != nil {
			return nil, err
		}
		out.Waiting, out.Evidence = waiting, wire.EvidenceOf(ev)
		if out.Pending, err = s.pending(ctx, state); err != nil {
			return nil, err
		}
	}
	return &answered[wire.Rollout]{out}, nil
}

// pending is the approval that a rollout lacks for its next ring, nil for none.
func (s *Server) pending(ctx context.Context, state rollout.State) (*wire.Pending, error) {
	if !slices.ContainsFunc(state.Rings, func(r rollout.Ring) bool { return r.Approval != nil }) {
		return nil, nil
	}
	spec, err := s.Releases.Resolve(ctx, state.Service)
	if errs.Is(err, errs.Missing) {
		return nil, nil
	}
	if ring, missing := state.Pending(spec.Groups); missing != "" && err == nil {
		return &wire.Pending{Ring: ring, Missing: missing}, nil
	}
	return nil, err
}

func (s *Server) listReleases(ctx context.Context, in *ByService) (*answered[wire.Releases], error) {
	if _, err := s.Catalog.Get(ctx, resource.KindService, in.Service); err != nil {
		return nil, err
	}
	items, err := s.Releases.Releases(ctx, in.Service)
	return &answered[wire.Releases]{wire.Releases{Items: items}}, err
}
