package fleet

// Assets says which files of a service are static: the gateway keeps copies of what versions answered, for pages of a version that is gone.
type Assets struct {
	Paths    []string `json:"paths" minItems:"1" maxItems:"20" doc:"folders of static files, such as /assets/; a file whose content changes has another name there"`
	Keep     Dur      `json:"keep,omitempty" doc:"how long a file is kept after it was last asked for; default 24h"`
	MaxBytes int64    `json:"maxBytes,omitempty" minimum:"1048576" maximum:"1073741824" doc:"of all copies together; those that were not asked for the longest go first; default 64 MiB"`
}
