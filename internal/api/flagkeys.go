package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/policy"
)

func (s *Server) flagKeys() {
	register(s, operation{method: http.MethodGet, path: "/v1/flag-keys", id: "listFlagKeys", tag: "flags", summary: "Lists the keys by which clients ask for flags, without the keys",
		route: route{action: policy.Change}}, s.listFlagKeys)
	// Not keyed: the answer of a keyed request is kept, and this one holds a secret.
	register(s, operation{method: http.MethodPost, path: "/v1/flag-keys", id: "createFlagKey", tag: "flags", summary: "Makes a key for flags and answers it, this once",
		about: "Only a hash of it is kept. Where a key was ever made, nobody gets flags without one.",
		route: route{action: policy.Change}}, s.createFlagKey)
	register(s, operation{method: http.MethodDelete, path: "/v1/flag-keys/{key}", id: "revokeFlagKey", tag: "flags", summary: "Revokes a key for flags",
		about: "At once here, and in a data plane when it hears of it. Streams that are open stay open.",
		route: route{action: policy.Change, keyed: true}}, s.revokeFlagKey)
}

func (s *Server) listFlagKeys(ctx context.Context, _ *none) (*answered[wire.ClientKeys], error) {
	all, err := s.FlagKeys.List(ctx)
	if err != nil {
		return nil, err
	}
	out := wire.ClientKeys{Items: make([]wire.ClientKey, len(all))}
	for i, k := range all {
		out.Items[i] = flagKeyOf(k)
	}
	return &answered[wire.ClientKeys]{out}, nil
}

func flagKeyOf(k flag.Key) wire.ClientKey {
	return wire.ClientKey{ID: k.ID(), Name: k.Name, Environment: k.Environment, Scope: k.Scope, Selector: k.Selector, SignedUser: len(k.UserKey) > 0, Created: k.Created, By: k.By}
}

type flagKeyInput struct{ Body wire.NewClientKey }

func (s *Server) createFlagKey(ctx context.Context, in *flagKeyInput) (*answered[wire.MadeClientKey], error) {
	b := in.Body
	secret, made, err := s.FlagKeys.Create(ctx, actorOf(ctx), flag.Key{Name: b.Name, Environment: cmp.Or(b.Environment, flag.Production),
		Scope: cmp.Or(b.Scope, flag.ServerScope), Selector: b.Selector, UserKey: b.UserKey}, s.Now())
	return &answered[wire.MadeClientKey]{wire.MadeClientKey{ClientKey: flagKeyOf(made), Secret: secret}}, err
}

type byFlagKey struct {
	Key string `path:"key" maxLength:"63" doc:"its ID or its name"`
}

func (s *Server) revokeFlagKey(ctx context.Context, in *byFlagKey) (*answered[wire.ClientKey], error) {
	gone, err := s.FlagKeys.Revoke(ctx, actorOf(ctx), in.Key, s.Now())
	return &answered[wire.ClientKey]{flagKeyOf(gone)}, err
}
