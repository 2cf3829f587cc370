package wire

import (
	"github.com/ringfence/ringfence/internal/probing"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// Probes are all probes as they are, and who looks.
type Probes struct {
	Items   []probing.Status `json:"items"`
	Probers []probing.Prober `json:"probers"`
}

// ProbeJobs is what a prober has to look at.
type ProbeJobs struct {
	Items []synthetic.Job `json:"items"`
}

// ProbeRounds is what a prober saw.
type ProbeRounds struct {
	Rounds  []synthetic.Round `json:"rounds" maxItems:"1000"`
	Dropped int64             `json:"dropped,omitempty" minimum:"0" doc:"older rounds that it could not keep"`
}

// ProbesTaken says how many rounds were taken; others are of probes that do not name the prober, or known already.
type ProbesTaken struct {
	Taken int `json:"taken"`
}

// ProbeRun is what one look came to.
type ProbeRun struct {
	Rounds []synthetic.Round `json:"rounds"`
}
