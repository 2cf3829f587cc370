package health

import (
	"math"

	"github.com/ringfence/ringfence/internal/errs"
)

// Ranks is the judgement of a series gate as far as its windows have come: the values of a metric on both sides, by
// their distribution. It is made by NewRanks.
type Ranks struct {
	gate    Gate
	refused string
	windows int
	seen    bool      // there was a value
	silent  int       // windows before the first value
	missing bool      // the last window had no value on one side, or there is none
	bets    *sequence // of the sequential method
	series  Series    // of mannWhitney, which looks at all values at once
}

// NewRanks starts a judgement. A gate that is wrong gives one that holds and says why. One that compares with nothing
// passes: there is no stable left whose values could differ.
func NewRanks(gate Gate) *Ranks {
	err := validateAs(bySeries, gate)
	r := &Ranks{gate: Defaults(gate), missing: true}
	if err != nil {
		r.gate, r.refused = Defaults(Gate{Signal: SignalSeries}), err.Error()
	}
	d := defaultsOf(*r.gate.Distribution)
	r.gate.Distribution = &d
	if d.Method == MethodSequential {
		r.bets = newSequence(d)
	}
	return r
}

// Add takes the values of the next window; NaN and infinities are missing. Values that cannot be judged are refused and
// not counted.
func (r *Ranks) Add(canary, stable float64) error {
	canary, stable = orMissing(canary), orMissing(stable)
	if err := validateSeries(*r.gate.Distribution, Series{Canary: []float64{canary}, Stable: []float64{stable}}); err != nil {
		return err
	}
	if r.windows == MaxPoints {
		return errs.E(errs.Invalid, "series: expected at most %d windows", MaxPoints)
	}
	r.windows++
	r.missing = math.IsNaN(canary) || math.IsNaN(stable)
	r.seen = r.seen || !math.IsNaN(canary) || !math.IsNaN(stable)
	if !r.seen {
		r.silent++ // kept back: zeros in place of them would turn an outage of the monitoring into health
		return nil
	}
	for ; r.silent > 0; r.silent-- {
		r.fold(math.NaN(), math.NaN())
	}
	r.fold(canary, stable)
	return nil
}

func (r *Ranks) fold(canary, stable float64) {
	if r.bets != nil {
		r.bets.Add(canary, stable)
		return
	}
	r.series.Canary, r.series.Stable = append(r.series.Canary, canary), append(r.series.Stable, stable)
}

func orMissing(v float64) float64 {
	if math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}

// Judgement says what the windows so far mean.
func (r *Ranks) Judgement() Judgement {
	j := Judgement{Gate: r.gate, Verdict: Hold, Evidence: Evidence{E: 1, LimitE: 1, MismatchE: 1, PValue: 1, Threshold: 1 / r.gate.Alpha}}
	switch {
	case r.refused != "":
		j.NoData, j.Reasons = true, []string{"Nothing can be judged: " + r.refused + "."}
		return j
	case r.gate.Compare == CompareNone:
		j.Verdict, j.Reasons = Pass, []string{"Everyone has the new version, so nothing is left to compare with."}
		return j
	}
	d := r.judge()
	j.Verdict, j.StoppedAt, j.Reasons, j.Evidence.Series = d.Verdict, d.StoppedAt, d.Reasons, &d.Evidence
	if ev := d.Evidence.SequentialEvidence; ev != nil {
		j.Evidence.E, j.Evidence.PValue = ev.E, ev.PValue
	}
	j.NoData = j.Verdict == Hold && r.missing
	return j
}

func (r *Ranks) judge() DistributionJudgement {
	if r.bets != nil {
		return r.bets.Judgement()
	}
	return judgeMannWhitney(*r.gate.Distribution, r.series)
}
