package wire

import (
	"encoding/json"

	"github.com/ringfence/ringfence/internal/switchboard"
)

// Flags are flags as they are in an environment.
type Flags struct {
	Items []switchboard.View `json:"items"`
}

// FlagAction is what is asked of a flag.
type FlagAction struct {
	Environment string `json:"environment,omitempty" maxLength:"200" doc:"where; default production"`
	Reason      string `json:"reason,omitempty" maxLength:"2000" doc:"why, for the record"`
}

// Exposing begins to show a variant to users.
type Exposing struct {
	FlagAction
	Variant       string `json:"variant,omitempty" maxLength:"63" doc:"default the one that the flag's exposure declares"`
	Lane          string `json:"lane,omitempty" enum:"sev0,hotfix,forward" doc:"a faster way; it needs a reason"`
	Force         bool   `json:"force,omitempty" doc:"also a variant that was taken back before; it needs a reason"`
	ThroughFreeze bool   `json:"throughFreeze,omitempty" doc:"freezes do not hold it; it needs a reason"`
	Replace       bool   `json:"replace,omitempty" doc:"in place of another variant that is being rolled out"`
}

// FlagEdit is a change of a definition.
type FlagEdit struct {
	Patch  map[string]any `json:"patch" doc:"a JSON merge patch (RFC 7396); null takes a field away"`
	Reason string         `json:"reason,omitempty" maxLength:"2000" doc:"why, for the record"`
}

// FlagProposal is a whole set as it shall be.
type FlagProposal struct {
	Spec   json.RawMessage `json:"spec" doc:"the spec of the FlagSet"`
	Reason string          `json:"reason,omitempty" maxLength:"2000" doc:"why, for the record"`
}

// FlagUndo takes a change of a definition back.
type FlagUndo struct {
	At     int64  `json:"at,omitempty" minimum:"0" doc:"sequence number of the event of the change; default the last one"`
	Reason string `json:"reason,omitempty" maxLength:"2000" doc:"why, for the record"`
}

// FlagQuestion asks what a user gets.
type FlagQuestion struct {
	Environment string         `json:"environment,omitempty" maxLength:"200" doc:"where; default production"`
	Context     map[string]any `json:"context" doc:"the evaluation context: targetingKey and attributes"`
}

// FlagChoice is what a user wants of a flag's preview.
type FlagChoice struct {
	Environment  string `json:"environment,omitempty" maxLength:"200" doc:"where; default production"`
	TargetingKey string `json:"targetingKey" minLength:"1" maxLength:"512" doc:"the user's key"`
	Choice       string `json:"choice" enum:"in,out,none" doc:"the preview's variant; the default variant; or as the flag says"`
}

// ChangeRequests are edits that wait for review, or were decided on.
type ChangeRequests struct {
	Items []switchboard.Request `json:"items"`
}
