package wire

import "github.com/ringfence/ringfence/internal/servicing"

// Databases are the declared databases.
type Databases struct {
	Items []servicing.View `json:"items"`
}

// Migration asks for a change of a database's schema.
type Migration struct {
	File   string `json:"file" minLength:"1" maxLength:"200" doc:"name of the migration's file, such as 02_split.yaml, after which the migration is named"`
	Text   string `json:"text" minLength:"1" maxLength:"262144" doc:"what the file holds: pgroll's format in YAML or JSON, or plain SQL"`
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"what it is for"`
}

// SchemaStep asks for the end of a change.
type SchemaStep struct {
	Baked        bool   `json:"baked,omitempty" doc:"to complete: the new version proved itself elsewhere, where no service has been brought to it; needs a reason"`
	AllowUnknown bool   `json:"allowUnknown,omitempty" doc:"sessions that do not say which version they use do not use the one that goes"`
	Force        bool   `json:"force,omitempty" doc:"to roll back: also while sessions use the new version, which then fail"`
	Reason       string `json:"reason,omitempty" maxLength:"500" doc:"why"`
}
