package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/policy"
)

func (s *Server) tokens() {
	register(s, operation{method: http.MethodGet, path: "/v1/tokens", id: "listTokens", tag: "tokens", summary: "Lists who has a token, without the tokens",
		route: route{action: policy.Change}}, s.listTokens)
	// Not keyed: the answer of a keyed request is kept, and this one holds a secret.
	register(s, operation{method: http.MethodPost, path: "/v1/tokens", id: "createToken", tag: "tokens", summary: "Makes a token and answers it, this once",
		about: "Only a hash of it is kept. An answer that was lost is made good by revoking the token and making another one.",
		route: route{action: policy.Change}}, s.createToken)
	register(s, operation{method: http.MethodDelete, path: "/v1/tokens/{token}", id: "revokeToken", tag: "tokens", summary: "Revokes a token, at once",
		about: "The last token of an admin, and of a data plane, cannot be revoked.",
		route: route{action: policy.Change, keyed: true}}, s.revokeToken)
}

func (s *Server) listTokens(ctx context.Context, _ *none) (*answered[wire.Tokens], error) {
	all, err := s.Access.List(ctx)
	if err != nil {
		return nil, err
	}
	out := wire.Tokens{Items: []wire.Token{}}
	for _, t := range all {
		if t.Via == "" {
			out.Items = append(out.Items, tokenOf(t))
		}
	}
	return &answered[wire.Tokens]{out}, nil
}

func tokenOf(t access.Token) wire.Token {
	return wire.Token{ID: t.ID(), Name: t.Name, Role: t.Role, Created: t.Created, By: t.By, Expires: t.Expires, Only: t.Only,
		Groups: t.Groups, Via: t.Via, From: t.From, Strong: t.Strong}
}

type tokenInput struct{ Body wire.NewToken }

func (s *Server) createToken(ctx context.Context, in *tokenInput) (*answered[wire.MadeToken], error) {
	want := access.Wanted{Name: in.Body.Name, Role: in.Body.Role, Life: time.Duration(in.Body.Life), Only: in.Body.Only}
	secret, made, err := s.Access.Create(ctx, actorOf(ctx), want, s.Now())
	return &answered[wire.MadeToken]{wire.MadeToken{Token: tokenOf(made), Secret: secret}}, err
}

type byToken struct {
	Token string `path:"token" maxLength:"63" doc:"its ID, or its owner's name"`
}

func (s *Server) revokeToken(ctx context.Context, in *byToken) (*answered[wire.Token], error) {
	gone, err := s.Access.Revoke(ctx, actorOf(ctx), in.Token, s.Now())
	return &answered[wire.Token]{tokenOf(gone)}, err
}
