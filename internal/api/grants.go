package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/grant"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Grants give access for a time.
type Grants interface {
	Request(ctx context.Context, p policy.Principal, w grant.Wish, now time.Time) (grant.Grant, error)
	Grants(ctx context.Context, past bool, now time.Time) ([]grant.Grant, error)
	Decided(ctx context.Context, actor, id string, said rollout.Consent, now time.Time) (grant.Grant, error)
	Revoke(ctx context.Context, actor, id, reason string, now time.Time) (grant.Grant, error)
	BreakGlass(ctx context.Context, p policy.Principal, reason string, now time.Time) (grant.Grant, error)
}

// GrantReviews look back on grants, and end all of somebody's.
type GrantReviews interface {
	ReviewGlass(ctx context.Context, actor, id, finding string, now time.Time) (grant.Grant, error)
	Offboard(ctx context.Context, actor, who string, now time.Time) ([]grant.Grant, error)
	Groups(ctx context.Context, who string) ([]string, error)
}

type byGrant struct {
	Grant string `path:"grant" maxLength:"120" doc:"who-number"`
	Body  wire.Word
}

func (s *Server) grants() {
	if s.Grants == nil {
		return
	}
	register(s, operation{method: http.MethodGet, path: "/v1/access/grants", id: "listGrants", tag: "access", summary: "Lists access that is asked for, holds or waits for a review, newest first",
		route: route{action: policy.Read}}, s.listGrants)
	register(s, operation{method: http.MethodPost, path: "/v1/access/grants", id: "requestAccess", tag: "access", summary: "Asks for access for a time",
		about: "Who holds, or has asked for, the same already is answered with that.", status: http.StatusCreated, route: route{action: policy.Ask, keyed: true}},
		func(ctx context.Context, in *struct{ Body grant.Wish }) (*answered[wire.Grant], error) {
			return grantAnswer(s.Grants.Request(ctx, principalOf(ctx), in.Body, s.Now()))
		})
	register(s, operation{method: http.MethodPost, path: "/v1/access/break-glass", id: "breakGlass", tag: "access", summary: "Takes emergency access, at once and loudly",
		about: "An alert is sent, and somebody else has to review it within a day.", status: http.StatusCreated, route: route{action: policy.Ask, keyed: true}},
		func(ctx context.Context, in *reasonInput) (*answered[wire.Grant], error) {
			return grantAnswer(s.Grants.BreakGlass(ctx, principalOf(ctx), in.Body.Reason, s.Now()))
		})
	for _, v := range []struct {
		word, id, summary string
		refuse            bool
	}{{"approve", "approveAccess", "Approves access that somebody else asked for", false}, {"refuse", "refuseAccess", "Refuses access that was asked for", true}} {
		register(s, operation{method: http.MethodPost, path: "/v1/access/grants/{grant}/" + v.word, id: v.id, tag: "access", summary: v.summary, route: route{action: policy.Review, keyed: true}},
			func(ctx context.Context, in *byGrant) (*answered[wire.Grant], error) {
				said := rollout.Consent{Digest: in.Body.Digest, Reason: in.Body.Reason, Refuse: v.refuse}
				return grantAnswer(s.Grants.Decided(ctx, actorOf(ctx), in.Grant, said, s.Now()))
			})
	}
	register(s, operation{method: http.MethodPost, path: "/v1/access/grants/{grant}/revoke", id: "revokeAccess", tag: "access", summary: "Ends access at once",
		about: "Everybody may end their own; that of others takes the right to review.", route: route{action: policy.Ask, keyed: true}}, s.revokeAccess)
	register(s, operation{method: http.MethodPost, path: "/v1/access/grants/{grant}/review", id: "reviewAccess", tag: "access", summary: "Records what the review of an emergency found",
		route: route{action: policy.Review, keyed: true}}, func(ctx context.Context, in *byGrant) (*answered[wire.Grant], error) {
		return grantAnswer(s.GrantReviews.ReviewGlass(ctx, actorOf(ctx), in.Grant, in.Body.Reason, s.Now()))
	})
	register(s, operation{method: http.MethodPost, path: "/v1/access/people/{person}/offboard", id: "offboard", tag: "access", summary: "Revokes everything of somebody who leaves: tokens, sessions, grants",
		about: "Groups that still name them are answered, to be changed.", route: route{action: policy.Change, keyed: true}}, s.offboard)
}

func grantAnswer(g grant.Grant, err error) (*answered[wire.Grant], error) {
	return &answered[wire.Grant]{wire.Grant{Grant: g, Digest: g.Digest()}}, err
}

func (s *Server) listGrants(ctx context.Context, in *struct {
	Past bool `query:"past" doc:"also those that are over"`
}) (*answered[wire.Grants], error) {
	all, err := s.Grants.Grants(ctx, in.Past, s.Now())
	out := wire.Grants{Items: make([]wire.Grant, len(all))}
	for i, g := range all {
		out.Items[i] = wire.Grant{Grant: g, Digest: g.Digest()}
	}
	return &answered[wire.Grants]{out}, err
}

func (s *Server) revokeAccess(ctx context.Context, in *byGrant) (*answered[wire.Grant], error) {
	who := principalOf(ctx)
	all, err := s.Grants.Grants(ctx, false, s.Now())
	if err != nil {
		return nil, err
	}
	own := false
	for _, g := range all {
		own = own || g.ID == in.Grant && g.Who == who.Name
	}
	if !own {
		d, err := s.Authority.Decide(ctx, policy.Request{Principal: who, Action: policy.Review, Verb: "revoke", Resource: policy.Resource{Kind: "access", Name: in.Grant}})
		if err == nil {
			err = d.Err()
		}
		if err != nil {
			return nil, err
		}
	}
	return grantAnswer(s.Grants.Revoke(ctx, actorOf(ctx), in.Grant, in.Body.Reason, s.Now()))
}

type byLeaver struct {
	Person string `path:"person" maxLength:"100" doc:"the principal's name"`
}

func (s *Server) offboard(ctx context.Context, in *byLeaver) (*answered[wire.Offboarded], error) {
	out := wire.Offboarded{Who: in.Person, Tokens: []string{}, Grants: []string{}}
	all, err := s.Access.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.Name != in.Person {
			continue
		}
		if _, err := s.Access.Revoke(ctx, actorOf(ctx), t.ID(), s.Now()); err != nil {
			return nil, err
		}
		out.Tokens = append(out.Tokens, t.ID())
	}
	ended, err := s.GrantReviews.Offboard(ctx, actorOf(ctx), in.Person, s.Now())
	if err != nil {
		return nil, err
	}
	for _, g := range ended {
		out.Grants = append(out.Grants, g.ID)
	}
	out.Groups, err = s.GrantReviews.Groups(ctx, in.Person)
	return &answered[wire.Offboarded]{out}, err
}
