package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/replay"
	"github.com/ringfence/ringfence/internal/store"
)

func (s *Server) evidence() {
	register(s, operation{method: http.MethodGet, path: "/v1/rollouts/{rollout}/evidence", id: "getEvidence", tag: "rollouts",
		summary: "Answers what a rollout was decided on: its events, and the samples of its gates in each ring",
		about:   "Samples that stand close together are added up where a ring has more than 5,000 of them, histograms more than 500; the notes say so, and also what the metrics do not hold any more.",
		route:   route{action: policy.Read, timeout: 2 * time.Minute}}, s.getEvidence)
}

type evidenceInput struct {
	ByRollout
	Histograms bool `query:"histograms" doc:"how long requests took as well, even when no gate of the rollout looks at a quantile"`
}

func (s *Server) getEvidence(ctx context.Context, in *evidenceInput) (*answered[replay.Evidence], error) {
	if s.Samples == nil {
		return nil, errs.E(errs.Unavailable, "this server keeps no metrics")
	}
	state, err := s.Rollouts.Find(ctx, in.Rollout)
	if err != nil {
		return nil, err
	}
	const most = 1000
	events, err := s.Store.Events(ctx, store.EventQuery{Subject: "rollout/" + state.ID, Limit: most})
	if err != nil {
		return nil, err
	}
	ev, err := replay.Gather(ctx, s.Samples, state, events, in.Histograms, s.Now())
	if err != nil {
		return nil, err
	}
	return &answered[replay.Evidence]{ev}, nil
}
