package health

import "fmt"

// Quantile is the judgement of a quantile gate as far as its samples have come. It is made by NewQuantile.
type Quantile struct {
	gate    Gate
	refused string
	samples int
}

// NewQuantile starts a judgement. A gate that is wrong gives one that holds and says why.
func NewQuantile(gate Gate) *Quantile {
	err := Validate(gate)
	if err == nil && gate.Signal != SignalQuantile {
		err = fmt.Errorf("the signal %s has no quantile", Defaults(gate).Signal)
	}
	if err != nil {
		return &Quantile{gate: Defaults(Gate{Signal: SignalQuantile}), refused: err.Error()}
	}
	return &Quantile{gate: Defaults(gate)}
}

// Add folds the next sample.
func (q *Quantile) Add(s HistogramSample) error {
	q.samples++
	return nil
}

// Judgement says what the samples so far mean.
func (q *Quantile) Judgement() Judgement {
	j := Judgement{Gate: q.gate, Verdict: Hold, Evidence: Evidence{E: 1, LimitE: 1, MismatchE: 1, PValue: 1, Threshold: 1 / q.gate.Alpha}}
	j.Reasons = []string{"There is no data yet."}
	if q.refused != "" {
		j.Reasons = []string{"Nothing can be judged: " + q.refused + "."}
	}
	return j
}
