package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/outcome"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Usage says how services are for their users, how they are used, and what became of what was expected of them.
type Usage interface {
	RUM(ctx context.Context, service string, window time.Duration, now time.Time) (wire.RUM, error)
	Outcome(ctx context.Context, s rollout.State, now time.Time) (*outcome.Report, error)
}

func (s *Server) rum() {
	register(s, operation{method: http.MethodGet, path: "/v1/services/{service}/rum", id: "showRUM", tag: "services",
		summary: "Shows how a service's pages are for their users, and how they use it", route: route{action: policy.Read}}, s.showRUM)
	register(s, operation{method: http.MethodGet, path: "/v1/rollouts/{rollout}/outcome", id: "showOutcome", tag: "rollouts",
		summary: "Says what became of the release's hypothesis", route: route{action: policy.Read, timeout: time.Minute}}, s.showOutcome)
	if s.Track != nil {
		s.mount("POST /v1/units/{unit}/track", route{action: policy.Operate, maxBody: maxEvents}, http.HandlerFunc(s.unitTrack))
	}
}

type rumInput struct {
	ByService
	Window string `query:"window" maxLength:"20" default:"1h" doc:"the time until now that is looked at"`
}

func (s *Server) showRUM(ctx context.Context, in *rumInput) (*answered[wire.RUM], error) {
	window, err := time.ParseDuration(in.Window)
	if err != nil || window < time.Minute || window > 15*24*time.Hour {
		return nil, errs.E(errs.Invalid, "window %q: expected a duration from 1m to 360h", in.Window)
	}
	if _, err := s.Catalog.Get(ctx, resource.KindService, in.Service); err != nil {
		return nil, err
	}
	if s.Usage == nil {
		return nil, errs.E(errs.Unavailable, "what users see is not to be had here")
	}
	out, err := s.Usage.RUM(ctx, in.Service, window, s.Now())
	return &answered[wire.RUM]{out}, err
}

func (s *Server) showOutcome(ctx context.Context, in *struct {
	Rollout string `path:"rollout" maxLength:"200" doc:"ID of the rollout, or its service for the newest one"`
}) (*answered[wire.Outcome], error) {
	st, err := s.Rollouts.Find(ctx, in.Rollout)
	if err != nil {
		return nil, err
	}
	if s.Usage == nil { // nobody counts users here
		return &answered[wire.Outcome]{wire.Outcome{Rollout: st.ID, Phase: st.Phase}}, nil
	}
	r, err := s.Usage.Outcome(ctx, st, s.Now())
	return &answered[wire.Outcome]{wire.Outcome{Rollout: st.ID, Phase: st.Phase, Outcome: r}}, err
}

// unitTrack takes what a data plane tells of its users, as others tell it.
func (s *Server) unitTrack(w http.ResponseWriter, r *http.Request) {
	if err := s.Hub.Admit(r.Context(), r.PathValue("unit"), r.Header.Get("Ringfence-Plane")); err != nil {
		writeProblem(w, s.problemOf(r.Context(), "tellEvents", err))
		return
	}
	r = r.Clone(r.Context())
	r.URL.Path = "/v1/track"
	s.Track.ServeHTTP(w, r)
}
