package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

// The words of RFC 8693.
const (
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeJWT       = "urn:ietf:params:oauth:token-type:jwt"
	typeID        = "urn:ietf:params:oauth:token-type:id_token"
	typeAccess    = "urn:ietf:params:oauth:token-type:access_token"
)

func (s *Server) sessions() {
	register(s, operation{method: http.MethodPost, path: "/v1/token-exchange", id: "exchangeToken", tag: "tokens",
		summary: "Gives a program a token of a few minutes for one of an issuer that vouches for it",
		about: "As RFC 8693 has it: a form with grant_type " + grantExchange + ", subject_token, subject_token_type (" + typeJWT + " or " + typeID + "), and as audience, where several programs fit, the name of one. " +
			"An issuer's token is good for one exchange. Which issuers and programs there are is declared as IdentityProvider.",
		route: route{action: policy.Anyone, maxBody: 64 << 10}}, s.exchangeToken)
	register(s, operation{method: http.MethodGet, path: "/v1/sessions", id: "listSessions", tag: "tokens", summary: "Lists who is signed in by an identity provider, and which programs are",
		route: route{action: policy.Change}}, s.listSessions)
	register(s, operation{method: http.MethodDelete, path: "/v1/sessions/{session}", id: "endSessions", tag: "tokens", summary: "Ends a session, or all of a name, at once and everywhere",
		route: route{action: policy.Change, keyed: true}}, s.endSessions)
	register(s, operation{method: http.MethodDelete, path: "/v1/people/{person}", id: "forgetPerson", tag: "tokens", summary: "Ends somebody's sessions, and frees their name for another account at an identity provider",
		route: route{action: policy.Change, keyed: true}}, s.forgetPerson)
}

type exchangeInput struct {
	RawBody []byte `contentType:"application/x-www-form-urlencoded"`
}

func (s *Server) exchangeToken(ctx context.Context, in *exchangeInput) (*answered[wire.Exchanged], error) {
	form, err := url.ParseQuery(string(in.RawBody))
	if err != nil {
		return nil, errs.E(errs.Invalid, "the form cannot be read")
	}
	kind := form.Get("subject_token_type")
	switch {
	case form.Get("grant_type") != grantExchange:
		return nil, errs.E(errs.Invalid, "grant_type %.80q: expected %s", form.Get("grant_type"), grantExchange)
	case kind != typeJWT && kind != typeID:
		return nil, errs.E(errs.Invalid, "subject_token_type %.80q: expected %s or %s", kind, typeJWT, typeID)
	case s.Identity == nil:
		return nil, errs.E(errs.Missing, "no identity provider is declared")
	}
	now := s.Now()
	secret, made, err := s.Identity.Exchange(ctx, form.Get("subject_token"), form.Get("audience"), peerOf(ctx), now)
	if err != nil {
		return nil, err
	}
	return &answered[wire.Exchanged]{wire.Exchanged{AccessToken: secret, Issued: typeAccess, Type: "Bearer", Seconds: int(made.Expires.Sub(now).Seconds()), Name: made.Name, Role: made.Role}}, nil
}

func (s *Server) listSessions(ctx context.Context, _ *none) (*answered[wire.Tokens], error) {
	all, err := s.Access.List(ctx)
	out := wire.Tokens{Items: []wire.Token{}}
	for _, t := range all {
		if t.Via != "" {
			out.Items = append(out.Items, tokenOf(t))
		}
	}
	return &answered[wire.Tokens]{out}, err
}

type bySession struct {
	Session string `path:"session" maxLength:"63" doc:"its ID, or whose sessions"`
}

func (s *Server) endSessions(ctx context.Context, in *bySession) (*answered[wire.Tokens], error) {
	if s.Identity == nil {
		return nil, errs.E(errs.Missing, "there are no sessions")
	}
	gone, err := s.Identity.End(ctx, actorOf(ctx), in.Session, s.Now())
	out := wire.Tokens{Items: []wire.Token{}}
	for _, t := range gone {
		out.Items = append(out.Items, tokenOf(t))
	}
	return &answered[wire.Tokens]{out}, err
}

type byPerson struct {
	Person string `path:"person" maxLength:"63" doc:"a name"`
}

func (s *Server) forgetPerson(ctx context.Context, in *byPerson) (*none, error) {
	if s.Identity == nil {
		return nil, errs.E(errs.Missing, "there are no sessions")
	}
	return &none{}, s.Identity.Forget(ctx, actorOf(ctx), in.Person, s.Now())
}
