package flaggate

import (
	"context"

	"github.com/ringfence/ringfence/internal/flag"
)

// Source has the flags of environments.
type Source interface {
	// Current is what is served now. Its errors are told to clients by their kinds.
	Current(environment string) (*flag.Snapshot, error)
	// Watch sends after each change; changes that nobody received meanwhile are told once. cancel ends it.
	Watch(environment string) (changes <-chan struct{}, cancel func())
}

// Keys knows who may ask. The error for a key that nobody has is of kind Missing, of one that may not ask now Denied.
type Keys interface {
	Check(ctx context.Context, key string) (flag.Client, error)
}

// Users proves who a user is: the subject of a client's signed token. A token that proves nothing is an error of kind Denied.
type Users interface {
	Subject(ctx context.Context, client flag.Client, token string) (string, error)
}
