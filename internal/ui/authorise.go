package ui

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

// decide says why somebody may not do something; nil when they may.
func (s *Server) decide(ctx context.Context, who policy.Principal, a policy.Action, verb string, on policy.Resource) error {
	d, err := s.Authority.Decide(ctx, policy.Request{Principal: who, Action: a, Verb: verb, Resource: on, Circumstances: policy.Circumstances{Now: s.Now()}})
	if err != nil {
		return err
	}
	return d.Err()
}

// authorised says why who may not do what a request asks for, which is then on the record; nil when they may.
func (s *Server) authorised(r *http.Request, who policy.Principal, a policy.Action) error {
	on, verb := policy.Subject(r.Pattern, r.URL.EscapedPath())
	err := s.decide(r.Context(), who, a, verb, on)
	if errs.Is(err, errs.Denied) {
		s.denied(r, who.Actor(), err)
	}
	return err
}

// mayHere answers what who may do to what a request's page is about.
func (s *Server) mayHere(r *http.Request, who policy.Principal) func(policy.Action) bool {
	on, _ := policy.Subject(r.Pattern, r.URL.EscapedPath())
	ctx, answers := r.Context(), map[policy.Action]bool{}
	return func(a policy.Action) bool {
		may, asked := answers[a]
		if !asked {
			may = s.decide(ctx, who, a, "", on) == nil
			answers[a] = may
		}
		return may
	}
}
