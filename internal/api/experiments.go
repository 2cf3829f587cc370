package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/policy"
)

func (s *Server) experiments() {
	const path = "/v1/experiments"
	register(s, operation{method: http.MethodGet, path: path, id: "listExperiments", tag: "experiments", summary: "Lists experiments with their newest runs",
		route: route{action: policy.Read}}, func(ctx context.Context, _ *none) (*answered[wire.Experiments], error) {
		items, err := s.Lab.List(ctx)
		if items == nil {
			items = []lab.Run{}
		}
		return &answered[wire.Experiments]{wire.Experiments{Items: items}}, err
	})
	register(s, operation{method: http.MethodGet, path: path + "/{experiment}", id: "readExperiment", tag: "experiments",
		summary: "Reads an experiment as it is now", route: route{action: policy.Read, timeout: 2 * time.Minute}}, s.readExperiment)
	register(s, operation{method: http.MethodPost, path: path + "/{experiment}/start", id: "startExperiment", tag: "experiments",
		summary: "Begins an experiment", about: "Asking for what runs already answers with that.",
		route: route{action: policy.Decide, keyed: true}}, s.startExperiment)
	register(s, operation{method: http.MethodPost, path: path + "/{experiment}/stop", id: "stopExperiment", tag: "experiments",
		summary: "Ends an experiment, and ships a variant if that is said", about: "Shipping begins the rollout of the variant by the flag's ring plan.",
		route: route{action: policy.Decide, keyed: true}}, s.stopExperiment)
}

// ByExperiment is the part of a path that names an experiment.
type ByExperiment struct {
	Experiment string `path:"experiment" maxLength:"63" doc:"name of the experiment"`
}

type experimentRead struct {
	ByExperiment
	Step string `query:"step" maxLength:"20" doc:"a duration: the primary metric over time as well, at points so far apart"`
}

func (s *Server) readExperiment(ctx context.Context, in *experimentRead) (*answered[lab.Report], error) {
	var step time.Duration
	if in.Step != "" {
		var err error
		if step, err = time.ParseDuration(in.Step); err != nil || step < time.Minute {
			return nil, errs.E(errs.Invalid, "step %q: expected a duration of a minute or more", in.Step)
		}
	}
	r, err := s.Lab.Read(ctx, in.Experiment, step, s.Now())
	return &answered[lab.Report]{r}, err
}

func (s *Server) startExperiment(ctx context.Context, in *struct {
	ByExperiment
	Body *wire.ExperimentStart
}) (*answered[lab.Run], error) {
	b := wire.ExperimentStart{}
	if in.Body != nil {
		b = *in.Body
	}
	run, err := s.Lab.Start(ctx, actorOf(ctx), in.Experiment, b.Baseline, s.Now())
	return &answered[lab.Run]{run}, err
}

func (s *Server) stopExperiment(ctx context.Context, in *struct {
	ByExperiment
	Body *wire.ExperimentStop
}) (*answered[lab.Run], error) {
	b := wire.ExperimentStop{}
	if in.Body != nil {
		b = *in.Body
	}
	run, err := s.Lab.Stop(ctx, actorOf(ctx), in.Experiment, b.Ship, b.Reason, s.Now())
	return &answered[lab.Run]{run}, err
}
