package fleet

// SlotSchema is the version of a database's schema that a version of a service was started on.
type SlotSchema struct {
	Database    string   `json:"database"`
	Version     string   `json:"version"`
	SearchPath  string   `json:"searchPath"` // that selects it
	Understands []string `json:"understands"`
}

// Schema is which versions of a database's schema can be used.
type Schema struct {
	Database  string   `json:"database"`
	Live      []string `json:"live" doc:"the newest first"`
	Going     string   `json:"going,omitempty" doc:"the one of these that is about to go"`
	Migration string   `json:"migration,omitempty" doc:"the change that is under way"`
	Phase     string   `json:"phase,omitempty" doc:"how far it is: starting, started, completing, returning"`
}
