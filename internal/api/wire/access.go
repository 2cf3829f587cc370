package wire

import "github.com/ringfence/ringfence/internal/grant"

// Grant is access for a time, with the digest of what is approved.
type Grant struct {
	grant.Grant
	Digest string `json:"digest" doc:"stands for what is approved: send it with the approval"`
}

// Grants are grants.
type Grants struct {
	Items []Grant `json:"items"`
}

// Word is what somebody says to a grant.
type Word struct {
	Digest string `json:"digest,omitempty" maxLength:"64" doc:"the digest of what was seen: when it is another one, nothing is approved"`
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"why, for the record"`
}

// Offboarded is what was taken from somebody.
type Offboarded struct {
	Who    string   `json:"who"`
	Tokens []string `json:"tokens" doc:"IDs of tokens and sessions that were revoked"`
	Grants []string `json:"grants" doc:"grants and wishes that were ended"`
	Groups []string `json:"groups" doc:"declared groups that still name them, to be changed"`
}
