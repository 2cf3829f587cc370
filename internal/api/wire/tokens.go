package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
)

// NewToken asks for a token.
type NewToken struct {
	Name string          `json:"name" minLength:"1" maxLength:"63" doc:"who will have it; what they do stands in the record under this name"`
	Role policy.Role     `json:"role" enum:"admin,operator,viewer,prober,alerter" doc:"what they are trusted with"`
	Life fleet.Dur       `json:"life,omitempty" doc:"from now on, how long it signs them in; at most a year; default until it is revoked"`
	Only []policy.Action `json:"only,omitempty" maxItems:"20" doc:"of what the role may, no more than this; default all of it"`
}

// Token is a token, without what signs in.
type Token struct {
	ID      string          `json:"id" doc:"tells it apart from others of the same name"`
	Name    string          `json:"name" doc:"who has it"`
	Role    policy.Role     `json:"role" doc:"what they are trusted with"`
	Created time.Time       `json:"created"`
	By      string          `json:"by,omitempty" doc:"who made it; none for those of the first start"`
	Expires time.Time       `json:"expires,omitzero" doc:"when it ends by itself; none: never"`
	Only    []policy.Action `json:"only,omitempty" doc:"of what the role may, no more than this"`
	Groups  []string        `json:"groups,omitempty" doc:"of a session: what its person belongs to"`
	Via     string          `json:"via,omitempty" doc:"of a session: how it was begun: oidc, passkey or exchange"`
	From    string          `json:"from,omitempty" doc:"of a session: the address from which it was begun"`
	Strong  bool            `json:"strong,omitempty" doc:"of a session: whether it was begun by more than a secret that can be passed on"`
}

// MadeToken is a token that was made just now.
type MadeToken struct {
	Token
	Secret string `json:"secret" doc:"the token itself; it is told this once"`
}

// Tokens are all tokens.
type Tokens struct {
	Items []Token `json:"items"`
}

// Exchanged is a token for one of an issuer, as RFC 8693 has it.
type Exchanged struct {
	AccessToken string      `json:"access_token" doc:"the token; it is told this once"`
	Issued      string      `json:"issued_token_type"`
	Type        string      `json:"token_type"`
	Seconds     int         `json:"expires_in" doc:"seconds until it ends"`
	Name        string      `json:"name" doc:"what its program is called in the record"`
	Role        policy.Role `json:"role" doc:"what it is trusted with"`
}
