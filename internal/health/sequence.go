package health

import (
	"fmt"
	"math"
)

// What makes a canary novel: stable shows one value and nothing else, for at least novelWindows, and the canary another
// one in at least every second of them.
const novelWindows = 6

// SequentialEvidence is what the sequential method rests on.
type SequentialEvidence struct {
	E         float64 `json:"e"`         // e-value of the comparison
	PValue    float64 `json:"pValue"`    // anytime-valid: 1 over the largest e so far, at most 1
	Threshold float64 `json:"threshold"` // 1/alpha
	Windows   int     `json:"windows"`   // that had a value on both sides, up to the stop
	Higher    int     `json:"higher"`    // of these, with the canary's value the higher one
	Lower     int     `json:"lower"`
	Novel     int     `json:"novel"`       // windows in which the canary left the level that stable never leaves, 0 when stable does
	More      int     `json:"moreWindows"` // still missing to what a pass needs
}

// sequence is the judgement of two series by the sequential method as far as their windows have come. Built again from
// the same windows it is the same.
type sequence struct {
	gate      DistributionGate
	windows   int // all, also those without a value
	stopped   *int
	canary    average
	stable    average
	evidence  SequentialEvidence
	up, down  *higher // nil: not asked for
	shape     *alike  // nil: not asked for
	sup       float64 // logarithm of the largest value so far
	level     float64 // stable's first value
	flat      bool    // stable never left it
	novel     bool    // that is why it failed
	novelHold bool
}

type average struct {
	n   int
	sum float64
}

func (a *average) add(v float64) { a.n++; a.sum += v }

func (a average) mean() *float64 {
	if a.n == 0 {
		return nil
	}
	m := a.sum / float64(a.n)
	return &m
}

// newSequence starts a judgement by a valid gate with its defaults.
func newSequence(g DistributionGate) *sequence {
	q := &sequence{gate: g, flat: true}
	if g.Direction != DirectionDecrease {
		q.up = &higher{}
	}
	if g.Direction != DirectionIncrease {
		q.down = &higher{}
	}
	if g.Direction == DirectionEither && g.MaxRatio == 1 {
		q.shape = &alike{}
	}
	return q
}

// Add folds the values of the next window, NaN for a missing one. After a fail windows are counted, so that indexes
// stay right, but change nothing else.
func (q *sequence) Add(canary, stable float64) {
	at := q.windows
	q.windows++
	if q.stopped != nil {
		return
	}
	if q.gate.NaNStrategy == strategyReplace {
		canary, stable = orZero(canary), orZero(stable)
	}
	if math.IsNaN(canary) || math.IsNaN(stable) {
		return // half a window says nothing of a difference
	}
	q.count(canary, stable)
	q.bet(canary, stable)
	q.sup = max(q.sup, q.value())
	novel := q.isNovel()
	q.novelHold = novel && q.gate.Novel == string(Hold)
	q.novel = novel && q.gate.Novel == string(Fail)
	if q.novel || q.reached() {
		q.stopped = stop(at)
	}
}

func orZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

func (q *sequence) count(canary, stable float64) {
	if q.evidence.Windows == 0 {
		q.level = stable
	}
	q.evidence.Windows++
	q.canary.add(canary)
	q.stable.add(stable)
	switch {
	case canary > stable:
		q.evidence.Higher++
	case canary < stable:
		q.evidence.Lower++
	}
	q.flat = q.flat && stable == q.level
	m := q.gate.MaxRatio
	if q.up != nil && canary > m*q.level || q.down != nil && m*canary < q.level {
		q.evidence.Novel++
	}
	if !q.flat {
		q.evidence.Novel = 0
	}
}

func (q *sequence) bet(canary, stable float64) {
	m := q.gate.MaxRatio
	if q.up != nil {
		q.up.add(canary, m*stable)
	}
	if q.down != nil {
		q.down.add(-m*canary, -stable)
	}
	if q.shape != nil {
		q.shape.add(canary, stable)
	}
}

// value is the logarithm of the e-value: the mean of the bets that the direction asks for.
func (q *sequence) value() float64 {
	var logs []float64
	if q.up != nil {
		logs = append(logs, q.up.value())
	}
	if q.down != nil {
		logs = append(logs, q.down.value())
	}
	if q.shape != nil {
		logs = append(logs, q.shape.value())
	}
	return meanOf(logs)
}

func (q *sequence) reached() bool { return q.sup >= -math.Log(q.gate.Alpha) }

func (q *sequence) isNovel() bool {
	return q.flat && q.evidence.Windows >= novelWindows && 2*q.evidence.Novel >= q.evidence.Windows
}

// Judgement says what the windows so far mean.
func (q *sequence) Judgement() DistributionJudgement {
	ev := q.evidence
	ev.E, ev.PValue, ev.Threshold = natural(q.value()), min(1, math.Exp(-q.sup)), 1/q.gate.Alpha
	ev.More = max(0, *q.gate.MinWindows-ev.Windows)
	j := DistributionJudgement{Gate: q.gate, Evidence: DistributionEvidence{
		CanaryPoints: q.canary.n, StablePoints: q.stable.n, CanaryMean: q.canary.mean(), StableMean: q.stable.mean(), SequentialEvidence: &ev}}
	if q.stopped != nil {
		j.StoppedAt = stop(*q.stopped)
	}
	j.Verdict, j.Reasons = q.verdict(ev)
	if j.Verdict == Fail && j.StoppedAt == nil { // for want of data, which the last window could still have brought
		j.StoppedAt = stop(max(q.windows, 1) - 1)
	}
	return j
}

func (q *sequence) verdict(ev SequentialEvidence) (Verdict, []string) {
	level := fmt.Sprintf("stable had the value %s in all of %d windows, the canary another one in %d of them", number(q.level), ev.Windows, ev.Novel)
	numbers := fmt.Sprintf("evidence %s, threshold %s", number(ev.E), number(ev.Threshold))
	compared := fmt.Sprintf("%d windows, the canary's value higher in %d and lower in %d", ev.Windows, ev.Higher, ev.Lower)
	switch {
	case ev.Windows == 0:
		return Verdict(q.gate.NoData), []string{fmt.Sprintf("There is no data to compare: none of %d windows has a value on both sides.", q.windows)}
	case q.stopped != nil && q.reached():
		return Fail, []string{fmt.Sprintf("The canary's values %s than stable's: %s; evidence %s reached the threshold %s at window %d.",
			q.how(), compared, number(natural(q.sup)), number(ev.Threshold), *q.stopped)}
	case q.novel:
		return Fail, []string{fmt.Sprintf("The canary does what stable never does: %s. This is a rule, not evidence (%s).", level, numbers)}
	case q.novelHold:
		return Hold, []string{fmt.Sprintf("The canary does what stable never does: %s (%s).", level, numbers)}
	case ev.More > 0:
		return Hold, []string{fmt.Sprintf("Too little data: %d of %d windows have a value on both sides, %d are needed, %d more (%s).",
			ev.Windows, q.windows, *q.gate.MinWindows, ev.More, numbers)}
	}
	return Pass, []string{fmt.Sprintf("The canary's values are not shown to differ from stable's as direction %s asks: %s (%s).", q.gate.Direction, compared, numbers)}
}

// how says in which direction the canary differs, where the bets on a direction show it by themselves.
func (q *sequence) how() string {
	plain := math.Log(10) // strong evidence by the usual scales
	switch {
	case q.shape == nil && q.down == nil, q.up != nil && q.up.value() >= plain:
		return "are higher"
	case q.shape == nil && q.up == nil, q.down != nil && q.down.value() >= plain:
		return "are lower"
	}
	return "are distributed otherwise"
}
