package wire

import "github.com/ringfence/ringfence/internal/lab"

// Experiments are all experiments with their newest runs.
type Experiments struct {
	Items []lab.Run `json:"items"`
}

// ExperimentStart begins a run.
type ExperimentStart struct {
	Baseline *lab.Baseline `json:"baseline,omitempty" doc:"what is known of the primary metric, for the plan of the sample's size"`
}

// ExperimentStop ends a run.
type ExperimentStop struct {
	Ship   string `json:"ship,omitempty" maxLength:"200" doc:"the variant that is then shown to everyone, ring by ring"`
	Reason string `json:"reason,omitempty" maxLength:"2000" doc:"why, for the record"`
}
