package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/objective"
	"github.com/ringfence/ringfence/internal/policy"
)

// SLOs watch objectives.
type SLOs interface {
	List(ctx context.Context) ([]objective.Status, error)
	Read(ctx context.Context, id string, points int, now time.Time) (objective.Report, error)
}

func (s *Server) slos() {
	register(s, operation{method: http.MethodGet, path: "/v1/slos", id: "listSLOs", tag: "slos", summary: "Lists SLOs with their budgets and burn rates",
		route: route{action: policy.Read}}, func(ctx context.Context, _ *none) (*answered[wire.SLOs], error) {
		if s.SLOs == nil {
			return nil, errs.E(errs.Unavailable, "SLOs are not watched here")
		}
		items, err := s.SLOs.List(ctx)
		if items == nil {
			items = []objective.Status{}
		}
		return &answered[wire.SLOs]{wire.SLOs{Items: items}}, err
	})
	register(s, operation{method: http.MethodGet, path: "/v1/slos/{slo}", id: "readSLO", tag: "slos", summary: "Reads an SLO, with how its budget was spent",
		route: route{action: policy.Read}}, s.readSLO)
}

type sloRead struct {
	SLO    string `path:"slo" maxLength:"70" doc:"name of the SLO, with .1 and so on when it has several objectives"`
	Points int    `query:"points" minimum:"0" maximum:"1000" doc:"about how many points tell how the budget was spent; default 200"`
}

func (s *Server) readSLO(ctx context.Context, in *sloRead) (*answered[objective.Report], error) {
	if s.SLOs == nil {
		return nil, errs.E(errs.Unavailable, "SLOs are not watched here")
	}
	if in.Points == 0 {
		in.Points = 200
	}
	r, err := s.SLOs.Read(ctx, in.SLO, in.Points, s.Now())
	return &answered[objective.Report]{r}, err
}
