package wire

import "time"

// NewClientKey asks for a key by which clients ask for flags.
type NewClientKey struct {
	Name        string `json:"name" minLength:"1" maxLength:"63" doc:"which client it is for"`
	Environment string `json:"environment,omitempty" maxLength:"200" doc:"whose flags it gets; default production"`
	Scope       string `json:"scope,omitempty" enum:"server,browser" doc:"server: values and definitions; browser: values only, for pages, where everyone can read it. Default server"`
	Selector    string `json:"selector,omitempty" maxLength:"300" doc:"the only flags that are there for it, such as flagSetId=web"`
	UserKey     []byte `json:"userKey,omitempty" doc:"the public Ed25519 key by which its users are proved: 32 bytes, in base64"`
}

// ClientKey is a key for flags, without what is sent.
type ClientKey struct {
	ID          string    `json:"id" doc:"tells it apart from others of the same name"`
	Name        string    `json:"name"`
	Environment string    `json:"environment"`
	Scope       string    `json:"scope"`
	Selector    string    `json:"selector,omitempty"`
	SignedUser  bool      `json:"signedUser" doc:"its users have to be proved by a signed token"`
	Created     time.Time `json:"created"`
	By          string    `json:"by,omitempty"`
}

// MadeClientKey is a key that was made just now.
type MadeClientKey struct {
	ClientKey
	Secret string `json:"secret" doc:"the key itself; it is told this once"`
}

// ClientKeys are all keys for flags.
type ClientKeys struct {
	Items []ClientKey `json:"items"`
}
