package app

import (
	"context"
	"strings"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flaggate"
	"github.com/ringfence/ringfence/internal/policy"
)

// flagClients lets clients with a key ask for flags and, as long as no key was ever made, the programs of this machine.
type flagClients struct {
	keys  func() (*flag.Keyring, error)
	local bool // only this machine's programs reach the address
}

// Check tells whose key it is.
func (c flagClients) Check(_ context.Context, key string) (flag.Client, error) {
	ring, err := c.keys()
	if err != nil {
		return flag.Client{}, err
	}
	return ring.Check(key)
}

func (c flagClients) open() bool {
	if !c.local {
		return false
	}
	ring, err := c.keys()
	return err == nil && !ring.Locked()
}

// Subject tells who a client's user is, as the client's own server has signed it.
func (c flagClients) Subject(ctx context.Context, of flag.Client, token string) (string, error) {
	ring, err := c.keys()
	if err != nil {
		return "", err
	}
	tokens := flaggate.Tokens{Keys: map[string][]flaggate.UserKey{of.Name: {{Public: ring.UserKeys()[of.Name]}}}}
	return tokens.Subject(ctx, of, token)
}

// senders lets programs in with a key for flags, besides whoever has a token. Keys in pages are everybody's, and what everybody may
// say decides on nothing.
type senders struct {
	access.Tokens
	clients flagClients
}

// SignIn says who has a token or a key.
func (s senders) SignIn(ctx context.Context, token string) (policy.Principal, error) {
	if !strings.HasPrefix(token, flag.KeyPrefix) {
		return s.Tokens.SignIn(ctx, token)
	}
	c, err := s.clients.Check(ctx, token)
	switch {
	case errs.Is(err, errs.Missing):
		return policy.Principal{}, errs.E(errs.Denied, "nobody has this key")
	case err != nil:
		return policy.Principal{}, err
	case c.Scope == flag.Browser:
		return policy.Principal{}, errs.E(errs.Denied, "the key is for browsers, and tells of no users").Next("Send with a key of scope server.")
	}
	return policy.Principal{Name: "key:" + c.Name, Role: policy.Client}, nil
}
