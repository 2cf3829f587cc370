package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

func (s *Server) services() {
	register(s, operation{method: http.MethodGet, path: "/v1/services", id: "listServices", tag: "services", summary: "Lists the services and where they stand",
		route: route{action: policy.Read}}, s.listServices)
	register(s, operation{method: http.MethodGet, path: "/v1/services/{service}", id: "getService", tag: "services",
		summary: "Answers a service, what is live of it, and its instances as last reported", route: route{action: policy.Read}}, s.getService)
	register(s, operation{method: http.MethodGet, path: "/v1/services/{service}/logs", id: "serviceLogs", tag: "services", media: "text/plain",
		summary: "Streams what the service's instances wrote", route: route{action: policy.Read, stream: true}}, s.logs)
	register(s, operation{method: http.MethodGet, path: "/v1/services/{service}/ring", id: "ringOf", tag: "services",
		summary: "Says in which ring a user is, which version they get, and why", route: route{action: policy.Read}}, s.ringOf)
}

func (s *Server) listServices(ctx context.Context, _ *none) (*answered[wire.Services], error) {
	out := wire.Services{Items: []wire.ServiceSummary{}}
	for after := ""; ; {
		page, err := s.Catalog.List(ctx, resource.KindService, after, 0)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			full, err := s.summary(ctx, r)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, full.ServiceSummary)
			after = r.Metadata.Name
		}
		if len(page) == 0 {
			return &answered[wire.Services]{out}, nil
		}
	}
}

func (s *Server) getService(ctx context.Context, in *ByService) (*answered[wire.Service], error) {
	r, err := s.Catalog.Get(ctx, resource.KindService, in.Service)
	if err != nil {
		return nil, err
	}
	out, err := s.summary(ctx, r)
	return &answered[wire.Service]{out}, err
}

func (s *Server) summary(ctx context.Context, r resource.Resource) (wire.Service, error) {
	out := wire.Service{Resource: r}
	spec, err := resource.As[resource.Service](r)
	if err != nil {
		return out, err
	}
	spec = spec.Defaults()
	state, err := s.newest(ctx, r.Metadata.Name)
	if err != nil {
		return out, err
	}
	out.Name, out.Owner, out.Plan, out.Stable = r.Metadata.Name, spec.Owner, spec.Plan, stableOf(state)
	if state.ID != "" && !state.Phase.Ended() {
		out.Rollout, out.To, out.Phase = state.ID, state.To, string(state.Phase)
		if state.Ring >= 0 {
			out.Ring = state.Rings[state.Ring].Name
		}
	}
	if out.Units = spec.Units; len(out.Units) == 1 {
		out.Unit = out.Units[0]
	}
	var all []fleet.ServiceStatus
	for i, unit := range spec.Units {
		u := wire.ServiceUnit{Unit: unit, Version: state.AfterIn(unit)}
		u.Status, u.Seen = s.Hub.Observe(unit, out.Name)
		if i == 0 || u.Seen.Before(out.Seen) {
			out.Seen = u.Seen
		}
		all = append(all, u.Status)
		out.ByUnit = append(out.ByUnit, u)
	}
	out.Status = fleet.Together(all)
	for _, slot := range out.Status.Slots {
		out.Ready, out.Wanted = out.Ready+slot.Ready, out.Wanted+slot.Wanted
	}
	return out, nil
}

// InUnit is the unit that is meant.
type InUnit struct {
	Unit string `query:"unit" maxLength:"63" doc:"the unit; may be left out of a service that runs in one"`
}

// of returns the unit that is meant, which must be one of a service's.
func (in InUnit) of(service string, units []string) (string, error) {
	switch {
	case in.Unit == "" && len(units) == 1:
		return units[0], nil
	case in.Unit == "":
		return "", errs.E(errs.Invalid, "unit: %s runs in several, expected one of %s", service, strings.Join(units, ", "))
	case !slices.Contains(units, in.Unit):
		return "", errs.E(errs.Missing, "%s does not run in unit %q, expected one of %s", service, clip(in.Unit, 80), strings.Join(units, ", "))
	}
	return in.Unit, nil
}

type logsInput struct {
	ByService
	InUnit
	Version  string `query:"version" maxLength:"127" doc:"only of this version, or version@config"`
	Instance int    `query:"instance" minimum:"1" maximum:"1000" doc:"only of this instance"`
	Tail     int    `query:"tail" minimum:"0" maximum:"100000" default:"100" doc:"so many lines from before"`
	Follow   bool   `query:"follow" doc:"go on with new lines"`
}

func (s *Server) logs(ctx context.Context, in *logsInput) (*huma.StreamResponse, error) {
	if s.Logs == nil {
		return nil, errs.E(errs.Unavailable, "logs are not to be had here")
	}
	r, err := s.Catalog.Get(ctx, resource.KindService, in.Service)
	if err != nil {
		return nil, err
	}
	spec, err := resource.As[resource.Service](r)
	if err != nil {
		return nil, err
	}
	unit, err := in.of(in.Service, spec.Defaults().Units)
	if err != nil {
		return nil, err
	}
	logs, err := s.Logs.Logs(ctx, unit, wire.LogQuery{
		Service: in.Service, Version: in.Version, Instance: in.Instance, Tail: in.Tail, Follow: in.Follow,
	})
	if err != nil {
		return nil, err
	}
	return stream("text/plain; charset=utf-8", nil, func(w io.Writer) error {
		_, err := io.Copy(w, logs)
		return errors.Join(err, logs.Close())
	}), nil
}

type ringInput struct {
	ByService
	InUnit
	User string   `query:"user" maxLength:"256" doc:"the targeting key; without one a user without a key is meant"`
	Attr []string `query:"attr,explode" maxItems:"50" doc:"an attribute of the context, as name=value; may be given several times"`
}

func (s *Server) ringOf(ctx context.Context, in *ringInput) (*answered[wire.RingOf], error) {
	spec, err := s.Releases.Resolve(ctx, in.Service)
	if err != nil {
		return nil, err
	}
	state, err := s.newest(ctx, in.Service)
	if err != nil {
		return nil, err
	}
	members, salt := spec.Exposure, spec.Salt
	if state.ID != "" && !state.Phase.Ended() { // a rollout keeps to the plan that it began with
		members, salt = state.Members, state.Salt
	}
	unit, err := in.of(in.Service, spec.Service.Units)
	if err != nil {
		return nil, err
	}
	rings, err := exposure.Compile(salt, fleet.RingsIn(members, unit))
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "the rings of %s", in.Service)
	}
	attributes, err := attributesOf(in.Attr)
	if err != nil {
		return nil, err
	}
	m := rings.Explain(&exposure.Context{TargetingKey: in.User, Attributes: attributes, Timestamp: s.Now().Unix()})
	out := wire.RingOf{Service: in.Service, Unit: unit, User: in.User, Ring: m.Ring, Version: versionOf(state, unit, m.Index), Why: m.Why}
	return &answered[wire.RingOf]{out}, nil
}

// versionOf is what users of a ring get in a unit.
func versionOf(newest rollout.State, unit string, ring int) string {
	if newest.ID == "" || newest.Phase.Ended() {
		return newest.AfterIn(unit)
	}
	return newest.Wanted(unit).Exposure[ring]
}

// attributesOf reads name=value. Values are text, as the gateway finds them in requests.
func attributesOf(attrs []string) (map[string]any, error) {
	out := make(map[string]any, len(attrs))
	for _, a := range attrs {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, errs.E(errs.Invalid, "attr %q: expected name=value", clip(a, 80))
		}
		out[name] = value
	}
	return out, nil
}
