package health

// Verdict is the outcome of judging a gate.
type Verdict string

const (
	Pass Verdict = "pass" // enough evidence, none of harm
	Hold Verdict = "hold" // not enough evidence to say either
	Fail Verdict = "fail" // harm, with the promised confidence
)

// Gate is the condition to judge by. Zero values mean the defaults, which Defaults fills in; a setting that the signal
// does not use stays zero.
type Gate struct {
	Name          string  `json:"name,omitempty"`
	Signal        string  `json:"signal,omitempty"`        // errors, latency, quantile, query, series, webhook, command, probe
	Over          string  `json:"over,omitempty"`          // for latency: the threshold in seconds, a label of the metric
	Compare       string  `json:"compare,omitempty"`       // stable (default) or none
	Alpha         float64 `json:"alpha,omitempty"`         // 0.01
	MaxRatio      float64 `json:"maxRatio,omitempty"`      // 1
	MaxShare      float64 `json:"maxShare,omitempty"`      // 0.05 for errors, none (1) for latency
	MinRequests   *int64  `json:"minRequests,omitempty"`   // 500
	ExpectedShare float64 `json:"expectedShare,omitempty"` // share of users that should be on the canary; 0: not checked

	Quantile     float64           `json:"quantile,omitempty"`     // for quantile: which, 0.99
	Max          *float64          `json:"max,omitempty"`          // for quantile: seconds; for readings: the largest good value
	Min          *float64          `json:"min,omitempty"`          // for readings: the smallest good value
	Failures     int               `json:"failures,omitempty"`     // for readings: how many bad ones in a row fail; 3 for query and probe, else 1
	Distribution *DistributionGate `json:"distribution,omitempty"` // for series
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

	// Of one kind of gate each.
	Quantile *QuantileEvidence     `json:"quantile,omitempty"`
	Readings *ReadingsEvidence     `json:"readings,omitempty"`
	Series   *DistributionEvidence `json:"series,omitempty"`
}

// Judgement is a verdict with everything needed to explain it.
type Judgement struct {
	Gate      Gate     `json:"gate"`
	Verdict   Verdict  `json:"verdict"`
	StoppedAt *int     `json:"stoppedAt"` // index of the sample at which it failed
	Evidence  Evidence `json:"evidence"`
	Reasons   []string `json:"reasons"`
	NoData    bool     `json:"noData,omitempty"` // it holds because nobody could say anything, not because nothing was shown yet
}

// Histogram is how many requests took how long on one side during a sample.
type Histogram struct {
	Counts []int64 `json:"counts"` // one for each bucket; the last is above all bounds
}

// HistogramSample is one interval of observation: latencies of both sides; a nil side means no data.
type HistogramSample struct {
	Bounds []float64  `json:"bounds"` // upper bounds of the buckets, inclusive and ascending; one more bucket, without a bound, follows
	Canary *Histogram `json:"canary"`
	Stable *Histogram `json:"stable"`
}

// Reading is one answer of something outside: a value to judge by the gate's limits, or a verdict of its own.
type Reading struct {
	Value   *float64 `json:"value,omitempty"`   // nil, NaN and infinities are no data
	Verdict Verdict  `json:"verdict,omitempty"` // pass, fail, or hold for no data; empty: Value is judged
	Text    string   `json:"text,omitempty"`    // what it said
}

// Bounds of a quantile, both at once and at all times; nil where the data give none.
type Bounds struct {
	Estimate *float64 `json:"estimate"` // upper bound of the bucket that it is in
	Lower    *float64 `json:"lower"`
	Upper    *float64 `json:"upper"`
}

// QuantileEvidence is what a verdict on a quantile rests on.
type QuantileEvidence struct {
	Canary Bounds  `json:"canary"`
	Stable Bounds  `json:"stable"`
	Level  float64 `json:"level"`  // chance that all these bounds hold for ever
	BandsE float64 `json:"bandsE"` // e-value of the bands being apart; the lesser of the two is the gate's
	PairsE float64 `json:"pairsE"` // e-value of the comparison sample by sample
}

// ReadingsEvidence is what a verdict on readings rests on.
type ReadingsEvidence struct {
	Count  int      `json:"count"`  // readings, those without data too
	NoData int      `json:"noData"` // of these, without data
	Bad    int      `json:"bad"`    // of these, bad
	InARow int      `json:"inARow"` // the latest bad ones, with no good one between
	Value  *float64 `json:"value"`  // the last value that there was
	Text   string   `json:"text,omitempty"`
}
