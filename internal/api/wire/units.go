package wire

import (
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/upkeep"
)

// Units are the places where services run.
type Units struct {
	Items []upkeep.Unit `json:"items"`
}

// Maintenance asks for that of a unit.
type Maintenance struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"what it is for"`
	Wait   string `json:"wait,omitempty" maxLength:"20" doc:"how long load balancers get to notice before instances are stopped; default 15s"`
	Force  bool   `json:"force,omitempty" doc:"though no other unit serves what this one does"`
}

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
