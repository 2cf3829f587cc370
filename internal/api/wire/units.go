package wire

import (
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
)

// Desired is what a unit shall run.
type Desired struct {
	Tag       string        `json:"tag" doc:"of the content; the next request's have"`
	Unchanged bool          `json:"unchanged" doc:"it is as the client has it; desired is left out"`
	Desired   fleet.Desired `json:"desired,omitzero"`
}

// WhoAmI is who has signed in, and to what.
type WhoAmI struct {
	policy.Principal
	Server string `json:"server" doc:"the version of the control plane"`
}
