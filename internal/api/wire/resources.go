package wire

import "github.com/ringfence/ringfence/internal/resource"

// File is one file of declared resources.
type File struct {
	Name string `json:"name" maxLength:"4096" doc:"how errors name it"`
	Text string `json:"text" doc:"YAML or JSON, one or more documents"`
}

// Apply asks to make what is declared be as in the files, all of it or nothing.
type Apply struct {
	Files  []File `json:"files" minItems:"1" maxItems:"1000" nullable:"false" doc:"the files"`
	DryRun bool   `json:"dryRun,omitempty" doc:"say what would be done, and do nothing"`
}

// Applied is what was done, or in a dry run would be.
type Applied struct {
	DryRun bool          `json:"dryRun" doc:"nothing was written"`
	Items  []AppliedItem `json:"items" doc:"one for each resource, in the order given"`
}

// AppliedItem is what happened to one resource.
type AppliedItem struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Action string `json:"action" enum:"created,changed,unchanged" doc:"what was done"`
	Diff   string `json:"diff,omitempty" doc:"the lines that differ, after - as it was and after + as it is"`
}

// Resources are some resources of one kind.
type Resources struct {
	Items []resource.Resource `json:"items"`
	Next  string              `json:"next,omitempty" doc:"where to go on: the next request's after; empty at the end"`
}

// Text is a text.
type Text struct {
	Text string `json:"text"`
}
