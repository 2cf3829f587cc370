package wire

// Problem is an error, as application/problem+json.
type Problem struct {
	Type     string         `json:"type" doc:"about:blank, or what identifies this sort of problem"`
	Title    string         `json:"title" doc:"the status in words"`
	Status   int            `json:"status" doc:"the HTTP status"`
	Detail   string         `json:"detail" doc:"what is wrong and what was expected"`
	Kind     string         `json:"kind" enum:"internal,invalid,denied,conflict,missing,frozen,unavailable" doc:"the sort of error"`
	Hint     string         `json:"hint,omitempty" doc:"what to do next"`
	Problems []FieldProblem `json:"problems,omitempty" doc:"all that is wrong with what was sent"`
}

// FieldProblem says what is wrong with one field.
type FieldProblem struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty" doc:"from 1"`
	Column   int    `json:"column,omitempty" doc:"from 1"`
	Resource string `json:"resource,omitempty" doc:"the resource, as kind/name"`
	Field    string `json:"field,omitempty" doc:"as in spec.rings[1].bake"`
	Message  string `json:"message" doc:"what is wrong"`
	Expected string `json:"expected,omitempty" doc:"what was expected"`
}
