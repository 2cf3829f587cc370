package api

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// authorised says why who may not do what a request asks for; nil when they may.
func (s *Server) authorised(r *http.Request, rt route, who policy.Principal) *problem {
	if rt.restores && s.First != nil && s.First(r) {
		return nil
	}
	q := policy.Request{Principal: who, Action: rt.action, Circumstances: policy.Circumstances{Now: s.Now()}}
	q.Resource, q.Verb = policy.Subject(rt.pattern, r.URL.EscapedPath())
	d, err := s.Authority.Decide(r.Context(), q)
	if err == nil {
		err = d.Err()
	}
	if noter, ok := s.Authority.(interface {
		Used(ctx context.Context, d policy.Decision, q policy.Request)
	}); ok && err == nil {
		noter.Used(r.Context(), d, q)
	}
	if errs.Is(err, errs.Denied) {
		s.denials.record(r, rt, who.Actor(), err, s.Now())
	}
	if err != nil {
		return s.problemOf(r.Context(), rt.id, err)
	}
	return nil
}

// mayDeclare says whether who asks may change this very resource: which ones a set holds is known only when it was read.
func (s *Server) mayDeclare(ctx context.Context, r resource.Resource, verb string) error {
	q := policy.Request{Principal: principalOf(ctx), Action: policy.Change, Verb: verb, Resource: policy.Declared(r), Circumstances: policy.Circumstances{Now: s.Now()}}
	d, err := s.Authority.Decide(ctx, q)
	if err == nil {
		err = d.Err()
	}
	return err
}
