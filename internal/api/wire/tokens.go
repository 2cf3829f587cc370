package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/policy"
)

// NewToken asks for a token.
type NewToken struct {
	Name string      `json:"name" minLength:"1" maxLength:"63" doc:"who will have it; what they do stands in the record under this name"`
	Role policy.Role `json:"role" enum:"admin,operator,viewer,prober,alerter" doc:"what they are trusted with"`
}

// Token is a token, without what signs in.
type Token struct {
	ID      string      `json:"id" doc:"tells it apart from others of the same name"`
	Name    string      `json:"name" doc:"who has it"`
	Role    policy.Role `json:"role" doc:"what they are trusted with"`
	Created time.Time   `json:"created"`
	By      string      `json:"by,omitempty" doc:"who made it; none for those of the first start"`
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
