package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
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
	out.Name, out.Owner, out.Plan, out.Unit, out.Stable = r.Metadata.Name, spec.Owner, spec.Plan, spec.Unit, stableOf(state)
	if state.ID != "" && !state.Phase.Ended() {
		out.Rollout, out.To, out.Phase = state.ID, state.To, string(state.Phase)
		if state.Ring >= 0 {
			out.Ring = state.Rings[state.Ring].Name
		}
	}
	out.Status, out.Seen = s.Hub.Observe(spec.Unit, r.Metadata.Name)
	for _, slot := range out.Status.Slots {
		out.Ready, out.Wanted = out.Ready+slot.Ready, out.Wanted+slot.Wanted
	}
	return out, nil
}

type logsInput struct {
	ByService
	Version  string `query:"version" maxLength:"63" doc:"only of this version"`
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
	logs, err := s.Logs.Logs(ctx, spec.Defaults().Unit, wire.LogQuery{
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
	rings, err := exposure.Compile(salt, members)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "the rings of %s", in.Service)
	}
	attributes, err := attributesOf(in.Attr)
	if err != nil {
		return nil, err
	}
	m := rings.Explain(&exposure.Context{TargetingKey: in.User, Attributes: attributes, Timestamp: s.Now().Unix()})
	out := wire.RingOf{Service: in.Service, User: in.User, Ring: m.Ring, Version: versionOf(state, m.Index), Why: m.Why}
	return &answered[wire.RingOf]{out}, nil
}

// versionOf is what users of a ring get.
func versionOf(newest rollout.State, ring int) string {
	if newest.ID == "" || newest.Phase.Ended() {
		return stableOf(newest)
	}
	return newest.Wanted("").Exposure[ring]
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
