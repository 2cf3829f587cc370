package app

import (
	"context"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flaggate"
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
