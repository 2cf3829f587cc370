package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Policies say what the rules are, and why they decide as they do.
type Policies interface {
	Standing(ctx context.Context) (authority.Standing, error)
	Explain(ctx context.Context, q policy.Request) (authority.Explanation, error)
	Who(ctx context.Context, on policy.Resource) ([]authority.Row, error)
}

// PolicyChanges are changes of the rules.
type PolicyChanges interface {
	Propose(ctx context.Context, actor string, set, gone []resource.Resource, reason string, now time.Time) (authority.Proposal, error)
	Proposals(ctx context.Context) ([]authority.Proposal, error)
	Review(ctx context.Context, actor, id string, said rollout.Consent, now time.Time) (authority.Proposal, error)
	Reset(ctx context.Context, actor, reason string, now time.Time) ([]resource.Resource, error)
}

// Governance is what says, and changes, who may do what.
type Governance struct {
	Policies     Policies
	PolicyEdits  PolicyChanges
	Grants       Grants // nil: nothing is granted for a time
	GrantReviews GrantReviews
	First        func(r *http.Request) bool // whether a request carries the first admin token
}

func (s *Server) policies() {
	s.grants()
	if s.Policies == nil {
		return
	}
	register(s, operation{method: http.MethodGet, path: "/v1/policy", id: "getPolicy", tag: "policy", summary: "Answers the rules that decide who may do what",
		route: route{action: policy.Read}}, func(ctx context.Context, _ *none) (*answered[authority.Standing], error) {
		st, err := s.Policies.Standing(ctx)
		return &answered[authority.Standing]{st}, err
	})
	register(s, operation{method: http.MethodPost, path: "/v1/policy/explain", id: "explainPolicy", tag: "policy",
		summary: "Says whether somebody may do something, why, and what would change that", about: "Nothing is done.", route: route{action: policy.Read}}, s.explainPolicy)
	register(s, operation{method: http.MethodGet, path: "/v1/policy/who", id: "whoMay", tag: "policy", summary: "Says what everyone who has a token may do to a resource now",
		route: route{action: policy.Read}}, s.whoMay)
	register(s, operation{method: http.MethodGet, path: "/v1/policy/changes", id: "listPolicyChanges", tag: "policy", summary: "Lists the changes of policy that were asked for, newest first",
		route: route{action: policy.Read}}, func(ctx context.Context, _ *none) (*answered[wire.Proposals], error) {
		all, err := s.PolicyEdits.Proposals(ctx)
		return &answered[wire.Proposals]{wire.Proposals{Items: all}}, err
	})
	register(s, operation{method: http.MethodPost, path: "/v1/policy/changes", id: "proposePolicy", tag: "policy", summary: "Asks for a change of policy, which is applied when those who have to approve it did",
		about: "Where nobody has to approve, it is applied at once.", route: route{action: policy.Change, maxBody: maxApply, keyed: true}}, s.proposePolicy)
	for _, v := range []struct {
		word, id, summary string
		refuse            bool
	}{{"approve", "approvePolicy", "Approves a change of policy; the last approval that is missing applies it", false}, {"refuse", "refusePolicy", "Refuses a change of policy", true}} {
		register(s, operation{method: http.MethodPost, path: "/v1/policy/changes/{change}/" + v.word, id: v.id, tag: "policy", summary: v.summary,
			about: "The digest has to be that of the change as it is: what was changed since it was seen is not approved.", route: route{action: policy.Review, keyed: true}},
			func(ctx context.Context, in *policyReviewInput) (*answered[authority.Proposal], error) {
				p, err := s.PolicyEdits.Review(ctx, actorOf(ctx), in.Change, rollout.Consent{Digest: in.Body.Digest, Reason: in.Body.Reason, Refuse: v.refuse}, s.Now())
				return &answered[authority.Proposal]{p}, err
			})
	}
	register(s, operation{method: http.MethodPost, path: "/v1/policy/reset", id: "resetPolicy", tag: "policy", summary: "Restores the default rules: every AccessPolicy and the AccessRules go",
		about: "Whoever holds the first admin token, which lies in the data folder, always may, whatever the rules say; nobody else.", route: route{action: policy.Change, keyed: true, restores: true}}, s.resetPolicy)
}

type policyAskInput struct{ Body wire.AskPolicy }

func (s *Server) explainPolicy(ctx context.Context, in *policyAskInput) (*answered[authority.Explanation], error) {
	b := in.Body
	q := policy.Request{Principal: policy.Principal{Name: b.As, Role: b.Role, Groups: b.Groups, Via: b.Via, Strong: b.Strong}, Action: b.Action, Verb: b.Verb,
		Resource: policy.Resource{Kind: policy.KindOf(b.Kind), Name: b.Name}, Circumstances: policy.Circumstances{Now: b.At}}
	if q.Now.IsZero() {
		q.Now = s.Now()
	}
	if b.SignedIn > 0 {
		q.Principal.Authenticated = q.Now.Add(-time.Duration(b.SignedIn) * time.Minute)
	}
	if q.Resource.Kind == "service" {
		q.Resource.Service = b.Name
	}
	x, err := s.Policies.Explain(ctx, q)
	return &answered[authority.Explanation]{x}, err
}

type whoInput struct {
	Kind string `query:"kind" maxLength:"100" doc:"kind of the resource; default any"`
	Name string `query:"name" maxLength:"300" doc:"name of the resource"`
}

func (s *Server) whoMay(ctx context.Context, in *whoInput) (*answered[wire.WhoMay], error) {
	on := policy.Resource{Kind: policy.KindOf(in.Kind), Name: in.Name}
	if on.Kind == "service" {
		on.Service = in.Name
	}
	rows, err := s.Policies.Who(ctx, on)
	return &answered[wire.WhoMay]{wire.WhoMay{Resource: on, Items: rows}}, err
}

type policyChangeInput struct{ Body wire.ProposePolicy }

func (s *Server) proposePolicy(ctx context.Context, in *policyChangeInput) (*answered[authority.Proposal], error) {
	set, err := declaredIn(in.Body.Files)
	if err != nil {
		return nil, err
	}
	var gone []resource.Resource
	for _, name := range in.Body.Delete {
		r, err := s.Catalog.Get(ctx, resource.KindAccessPolicy, name)
		if err != nil {
			return nil, err
		}
		gone = append(gone, r)
	}
	if len(set.Resources)+len(gone) == 0 {
		return nil, errs.E(errs.Invalid, "nothing is to change: expected files, or names to delete")
	}
	for _, r := range append(set.Resources[:len(set.Resources):len(set.Resources)], gone...) {
		if err := s.mayDeclare(ctx, r, "propose"); err != nil {
			return nil, err
		}
	}
	p, err := s.PolicyEdits.Propose(ctx, actorOf(ctx), set.Resources, gone, in.Body.Reason, s.Now())
	return &answered[authority.Proposal]{p}, err
}

type policyReviewInput struct {
	Change string `path:"change" maxLength:"40" doc:"policy-number"`
	Body   wire.ReviewPolicy
}

func (s *Server) resetPolicy(ctx context.Context, in *reasonInput) (*answered[wire.PolicyReset], error) {
	if !restoring(ctx) {
		return nil, errs.E(errs.Denied, "the default rules are restored with the first admin token alone").Next("On the control plane's machine, with its data folder: ringfence policy reset --data FOLDER")
	}
	gone, err := s.PolicyEdits.Reset(ctx, actorOf(ctx), in.Body.Reason, s.Now())
	return &answered[wire.PolicyReset]{wire.PolicyReset{Gone: gone}}, err
}

type restoringKey struct{}

// restoring says whether a request carries the first admin token.
func restoring(ctx context.Context) bool {
	yes, _ := ctx.Value(restoringKey{}).(bool)
	return yes
}
