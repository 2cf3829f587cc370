package flag

// Scope is what a key may be used for.
type Scope uint8

const (
	// Server keys are for programs of one's own: values and definitions.
	Server Scope = iota
	// Browser keys are public, since everyone can read them in a page: values only, never rules.
	Browser
)

// Client is who asks for flags, as the key tells that was sent. Without keys everyone is the zero Client.
type Client struct {
	Name        string // of the key, for limits and logs; never the key itself
	Environment string
	Scope       Scope
	Selector    string // when not empty, the only flags that are there for it
	SignedUser  bool   // the targeting key has to be proved by a signed token
}
