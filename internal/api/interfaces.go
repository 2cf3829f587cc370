package api

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/contract"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

// Contracts keep what services promise their callers.
type Contracts interface {
	Show(ctx context.Context, service string) (contract.Overview, error)
	Check(ctx context.Context, service, version string) (contract.Report, error)
	Approve(ctx context.Context, actor, service, version, operation, reason string) (contract.Approval, error)
}

// ByRelease is the part of a path that names a release.
type ByRelease struct {
	ByService
	Version string `path:"version" maxLength:"63" doc:"a release of it"`
}

type approveBreak struct {
	ByRelease
	Body struct {
		Operation string `json:"operation" maxLength:"500" doc:"as GET /products/{id}, or * for every break of the version"`
		Reason    string `json:"reason" maxLength:"500" doc:"why its callers may lose it, for the record"`
	}
}

func (s *Server) interfaces() {
	const path = "/v1/services/{service}/interface"
	register(s, operation{method: http.MethodGet, path: path, id: "getInterface", tag: "services",
		summary: "Shows what the served versions of a service can be asked for, what of it is deprecated, and who calls it", route: route{action: policy.Read}},
		func(ctx context.Context, in *ByService) (*answered[contract.Overview], error) {
			if s.Contracts == nil {
				return nil, errs.E(errs.Unavailable, "interfaces are not kept here")
			}
			o, err := s.Contracts.Show(ctx, in.Service)
			return &answered[contract.Overview]{o}, err
		})
	register(s, operation{method: http.MethodGet, path: path + "/{version}", id: "checkInterface", tag: "services",
		summary: "Compares a release's interface with those that are served", about: "Its breaks, with who calls what they concern.", route: route{action: policy.Read}},
		func(ctx context.Context, in *ByRelease) (*answered[contract.Report], error) {
			if s.Contracts == nil {
				return nil, errs.E(errs.Unavailable, "interfaces are not kept here")
			}
			r, err := s.Contracts.Check(ctx, in.Service, in.Version)
			return &answered[contract.Report]{r}, err
		})
	register(s, operation{method: http.MethodPost, path: path + "/{version}/approvals", id: "approveBreak", tag: "services",
		summary: "Lets a release break an operation that somebody may call", about: "Asking for what is so already changes nothing.", route: route{action: policy.Decide, keyed: true}},
		func(ctx context.Context, in *approveBreak) (*answered[contract.Approval], error) {
			if s.Contracts == nil {
				return nil, errs.E(errs.Unavailable, "interfaces are not kept here")
			}
			a, err := s.Contracts.Approve(ctx, actorOf(ctx), in.Service, in.Version, in.Body.Operation, in.Body.Reason)
			return &answered[contract.Approval]{a}, err
		})
}
