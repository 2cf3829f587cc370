package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// AskPolicy is a question about somebody, who need not be there.
type AskPolicy struct {
	As       string        `json:"as" minLength:"1" maxLength:"200" doc:"the principal's name"`
	Role     policy.Role   `json:"role,omitempty" doc:"the role; default that of the principal's token"`
	Groups   []string      `json:"groups,omitempty" maxItems:"100" doc:"groups that its issuer says"`
	Via      string        `json:"via,omitempty" maxLength:"40" doc:"how it signed in"`
	Strong   bool          `json:"strong,omitempty" doc:"by a passkey or a second factor"`
	SignedIn int           `json:"signedIn,omitempty" minimum:"0" maximum:"1000000" doc:"minutes since it proved who it is; 0 for not known"`
	Action   policy.Action `json:"action" minLength:"1" maxLength:"40" doc:"self, read, decide, change, …"`
	Verb     string        `json:"verb,omitempty" maxLength:"100" doc:"what exactly, such as promote"`
	Kind     string        `json:"kind,omitempty" maxLength:"100" doc:"kind of the resource"`
	Name     string        `json:"name,omitempty" maxLength:"300" doc:"name of the resource"`
	At       time.Time     `json:"at,omitzero" doc:"when; default now"`
}

// ProposePolicy asks for a change of policy.
type ProposePolicy struct {
	Files  []File   `json:"files,omitempty" maxItems:"100" doc:"what is to be: AccessPolicy, AccessRules and Group documents"`
	Delete []string `json:"delete,omitempty" maxItems:"100" doc:"names of AccessPolicy documents that are not to be any more"`
	Reason string   `json:"reason" minLength:"1" maxLength:"500" doc:"why"`
}

// Proposals are changes of policy.
type Proposals struct {
	Items []authority.Proposal `json:"items"`
}

// ReviewPolicy decides on a change of policy.
type ReviewPolicy struct {
	Digest string `json:"digest" minLength:"1" maxLength:"64" doc:"the digest of what was seen"`
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"why, for the record"`
}

// PolicyReset is what restoring the default rules removed.
type PolicyReset struct {
	Gone []resource.Resource `json:"gone" doc:"as they were, to be applied again"`
}

// WhoMay is what everyone who is known may do to a resource.
type WhoMay struct {
	Resource policy.Resource `json:"resource"`
	Items    []authority.Row `json:"items"`
}
