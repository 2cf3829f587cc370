package health

// Verdict is the outcome of judging a gate.
type Verdict string

const (
	Pass Verdict = "pass" // enough evidence, none of harm
	Hold Verdict = "hold" // not enough evidence to say either
	Fail Verdict = "fail" // harm, with the promised confidence
)

// Gate is the condition to judge by. Zero values mean the defaults, which Defaults fills in.
type Gate struct {
	Signal        string  `json:"signal,omitempty"`        // errors, latency
	Over          string  `json:"over,omitempty"`          // for latency: the threshold in seconds, a label of the metric
	Compare       string  `json:"compare,omitempty"`       // stable (default) or none
	Alpha         float64 `json:"alpha,omitempty"`         // 0.01
	MaxRatio      float64 `json:"maxRatio,omitempty"`      // 1
	MaxShare      float64 `json:"maxShare,omitempty"`      // 0.05 for errors, none (1) for latency
	MinRequests   *int64  `json:"minRequests,omitempty"`   // 500
	ExpectedShare float64 `json:"expectedShare,omitempty"` // share of users that should be on the canary; 0: not checked
}

// Counts are what one side saw during a sample.
type Counts struct {
	Requests int64 `json:"requests"`
	Bad      int64 `json:"bad"`
	Users    int64 `json:"users,omitempty"` // users first seen in this sample; for the sample-ratio check
}

// Sample is one interval of observation; a nil side means no data.
type Sample struct {
	Canary *Counts `json:"canary"`
	Stable *Counts `json:"stable"`
}

// Evidence is what a verdict rests on.
type Evidence struct {
	E              float64 `json:"e"`         // e-value of the comparison with stable
	PValue         float64 `json:"pValue"`    // anytime-valid: 1 over the largest e so far, at most 1
	Threshold      float64 `json:"threshold"` // 1/alpha
	LimitE         float64 `json:"limitE"`    // e-value against the absolute limit
	MismatchE      float64 `json:"mismatchE"` // e-value of a sample-ratio mismatch
	CanaryRequests int64   `json:"canaryRequests"`
	CanaryBad      int64   `json:"canaryBad"`
	StableRequests int64   `json:"stableRequests"`
	StableBad      int64   `json:"stableBad"`

	ComparedRequests int64 `json:"comparedRequests"` // canary requests in samples where both sides had some
	MoreRequests     int64 `json:"moreRequests"`     // still missing to the floor, compared ones if there is a comparison
}

// Judgement is a verdict with everything needed to explain it.
type Judgement struct {
	Gate      Gate     `json:"gate"`
	Verdict   Verdict  `json:"verdict"`
	StoppedAt *int     `json:"stoppedAt"` // index of the sample at which it failed
	Evidence  Evidence `json:"evidence"`
	Reasons   []string `json:"reasons"`
}
