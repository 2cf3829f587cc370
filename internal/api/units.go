package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
)

const maxWait = 60 * time.Second

func (s *Server) units() {
	register(s, operation{method: http.MethodGet, path: "/v1/units/{unit}/desired", id: "getDesired", tag: "units",
		summary: "Answers what a unit shall run, once it differs from what the caller has",
		route:   route{action: policy.Operate, timeout: maxWait + 10*time.Second}}, s.desired)
	register(s, operation{method: http.MethodPost, path: "/v1/units/{unit}/observed", id: "reportObserved", tag: "units",
		summary: "Takes what a data plane sees of its unit", about: "Unknown fields are ignored: a data plane may be newer than its control plane.",
		route: route{action: policy.Operate, maxBody: 4 << 20}, loose: true}, s.observed)
	register(s, operation{method: http.MethodPost, path: "/v1/units/{unit}/upgrades", id: "recordUpgrade", tag: "units",
		summary: "Records that a process of Ringfence was replaced by another version, or was not", about: "Unknown fields are ignored, as in a report.",
		route: route{action: policy.Operate, keyed: true}, loose: true, status: http.StatusCreated}, s.upgraded)
}

type upgradeInput struct {
	ByUnit
	Body fleet.Upgrade
}

func (s *Server) upgraded(ctx context.Context, in *upgradeInput) (*none, error) {
	return &none{}, s.Hub.Upgraded(ctx, in.Unit, in.Body)
}

// ByUnit is the part of a path that names a unit.
type ByUnit struct {
	Unit string `path:"unit" maxLength:"63" doc:"name of the unit"`
}

// ByPlane is the unit, and who asks for it.
type ByPlane struct {
	ByUnit
	Plane string `header:"Ringfence-Plane" maxLength:"64" doc:"which data plane this is, the same after a restart; another one than has the unit gets 409"`
}

type desiredInput struct {
	ByPlane
	Have string `query:"have" maxLength:"100" doc:"tag of what the caller has"`
	Wait string `query:"wait" maxLength:"20" default:"0s" doc:"how long to wait for something else, at most 60s"`
}

func (s *Server) desired(ctx context.Context, in *desiredInput) (*answered[wire.Desired], error) {
	wait, err := time.ParseDuration(in.Wait)
	if err != nil || wait < 0 || wait > maxWait {
		return nil, errs.E(errs.Invalid, "wait %q: expected a duration of 0s to %s", in.Wait, maxWait)
	}
	if err := s.Hub.Admit(ctx, in.Unit, in.Plane); err != nil {
		return nil, err
	}
	d, tag, err := s.Hub.Desired(ctx, in.Unit, in.Have, wait)
	if err != nil {
		return nil, err
	}
	out := wire.Desired{Tag: tag, Unchanged: tag == in.Have}
	if !out.Unchanged {
		out.Desired = d
	}
	return &answered[wire.Desired]{out}, nil
}

type observedInput struct {
	ByPlane
	Body fleet.Observed
}

func (s *Server) observed(ctx context.Context, in *observedInput) (*none, error) {
	if in.Body.Unit != in.Unit {
		return nil, errs.E(errs.Invalid, "the report is of unit %q, expected %q", clip(in.Body.Unit, 80), in.Unit)
	}
	if err := s.Hub.Admit(ctx, in.Unit, in.Plane); err != nil {
		return nil, err
	}
	return &none{}, s.Hub.Report(ctx, in.Body)
}
