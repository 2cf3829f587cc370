package health

import (
	"fmt"
	"math"
	"sort"

	"github.com/ringfence/ringfence/internal/errs"
)

// Quantile is the judgement of a quantile gate as far as its samples have come: is the canary's quantile of latency more
// than maxRatio times stable's, or over the limit max? It is made by NewQuantile.
//
// Of a side whose quantile is x at most a share 1-quantile of the requests takes longer than x, and no less takes
// longer than what is below x. Evidence against x, that more requests do or fewer, is a mixture, and x lies between the
// bounds of all values without such evidence, at all times at once: the time-uniform band of Howard and Ramdas for
// one quantile. (Sequential estimation of quantiles with applications to A/B testing and best-arm identification,
// Bernoulli 2022.) Being about one quantile only it is much narrower than a band around the whole distribution.
//
// Two witnesses must agree before the comparison fails a canary, so that it is right when either is.
//
// The bands. If stable's quantile is y, the canary's is at most maxRatio times y. Evidence against that is evidence that
// fewer of stable's requests than should take longer than y, and more of the canary's than may longer than maxRatio
// times y; multiplied, half of each kept back in case the other speaks against it. The least over all y is what is
// there whatever y is. It reaches 1/alpha when the bands at 4/alpha are apart, and mostly long before. A y within a bucket
// is judged by the bounds of the bucket, whichever speak for the canary. This witness needs requests of a side to
// be alike from sample to sample: if the canary has more of the traffic when everything is slow, its quantile is higher.
//
// The pairs. In each sample the requests of both sides over about stable's quantile so far, times maxRatio for the canary,
// are compared as counts of bad events are (see Ladder). What moves both sides alike, and any share of the traffic, is
// harmless to it. The first sample has none before it to say what to look at, and takes a bound by what both sides
// together have: who belongs to which side is not used.
type Quantile struct {
	gate    Gate
	refused string
	samples int
	stopped *int
	silent  bool // the last sample was without data, or there is none

	tails  mixture
	grid   grid
	enough int64 // requests of a side without which its quantile has no upper bound

	requests [2]int64 // of canary and stable
	compared int64    // of the canary, with stable beside them
	overMax  int64    // of the canary, certainly longer than max

	bandsSup float64 // logarithms of the largest evidence so far
	limitSup float64
	pairs    Ladder
}

// NewQuantile starts a judgement. A gate that is wrong gives one that holds and says why.
func NewQuantile(gate Gate) *Quantile {
	err := validateAs(byQuantile, gate)
	q := &Quantile{gate: Defaults(gate), silent: true}
	if err != nil {
		q.gate, q.refused = Defaults(Gate{Signal: SignalQuantile}), err.Error()
	}
	q.tails = newMixture(1-q.gate.Quantile, tunedFor, tunedAt, more)
	q.grid.ratio = q.gate.MaxRatio
	q.enough = int64(sort.Search(1<<24, func(n int) bool { return q.tails.value(less, 0, float64(n)) >= q.edge() }))
	return q
}

// JudgeQuantile judges samples offline, as a Quantile does that is given one after the other.
func JudgeQuantile(gate Gate, samples []HistogramSample) Judgement {
	q := NewQuantile(gate)
	for i, s := range samples {
		if err := q.Add(s); err != nil && q.refused == "" {
			q.refused = fmt.Sprintf("samples[%d].%s", i, err)
		}
	}
	return q.Judgement()
}

// Add folds the next sample. A sample that cannot be is refused and not counted. After a fail samples are counted, so that
// indexes stay right, but change nothing else.
func (q *Quantile) Add(s HistogramSample) error {
	if fault := histogramFault(s); fault != "" {
		return errs.E(errs.Invalid, "%s", fault)
	}
	canary, stable := s.Canary.total(), s.Stable.total()
	switch {
	case q.requests[0]+canary > MaxCount:
		return errs.E(errs.Invalid, "canary: %d requests with those before, expected at most %d in all", q.requests[0]+canary, int64(MaxCount))
	case q.requests[1]+stable > MaxCount:
		return errs.E(errs.Invalid, "stable: %d requests with those before, expected at most %d in all", q.requests[1]+stable, int64(MaxCount))
	case !q.grid.fits(s.Bounds):
		return errs.E(errs.Invalid, "bounds: more than %d different ones, with those before", maxGrid)
	}
	at := q.samples
	q.samples++
	if q.stopped != nil || q.refused != "" {
		return nil
	}
	q.silent = s.Canary == nil || q.compares() && s.Stable == nil
	q.requests[0] += canary
	q.requests[1] += stable
	if canary == 0 {
		return nil
	}
	q.grid.add(s.Bounds, s.Canary, s.Stable)
	q.bound()
	switch {
	case !q.compares():
		q.grid.keep()
	case stable > 0:
		q.compare()
	}
	if q.worse() || q.overLimit() {
		q.stopped = stop(at)
	}
	return nil
}

func (q *Quantile) compares() bool { return q.gate.Compare == CompareStable }

// bound judges the last sample against the limit.
func (q *Quantile) bound() {
	if q.gate.Max == nil {
		return
	}
	q.overMax += q.grid.sample[0].over(q.grid.from(*q.gate.Max))
	if q.tails.ceiling(more, float64(q.overMax), float64(q.requests[0])) > q.limitSup {
		q.limitSup = max(q.limitSup, q.limitEvidence())
	}
}

func (q *Quantile) limitEvidence() float64 {
	return q.tails.value(more, float64(q.overMax), float64(q.requests[0]))
}

// compare judges the last sample against stable's.
func (q *Quantile) compare() {
	g := &q.grid
	canary, stable := &g.sample[0], &g.sample[1]
	k := min(q.place(overs{}, g.sides[1]), len(g.bounds)-1)
	if g.sides[1].n == 0 {
		k = max(q.place(*canary, *stable), 1) - 1 // the bound before, since much of what is over it may be harm
	}
	if len(g.bounds) > 0 {
		slow, slower := stable.most[k], canary.over(g.scaled[k])
		rho := float64(canary.n) / float64(canary.n+stable.n)
		q.pairs.add(rho, slower, slower+slow)
	}
	q.compared += canary.n
	g.keep()
	q.bandsSup = max(q.bandsSup, q.bandsEvidence(q.bandsSup))
}

// place is the first bound that no more requests take longer than should, len(bounds) for none. The canary's are asked
// about a bound times maxRatio.
func (q *Quantile) place(canary, stable overs) int {
	most := (1 - q.gate.Quantile) * float64(canary.n+stable.n)
	for k := range q.grid.bounds {
		if float64(stable.most[k]+canary.over(q.grid.scaled[k])) <= most {
			return k
		}
	}
	return len(q.grid.bounds)
}

// against is the logarithm of the evidence of the bands, by side, if stable's quantile is in bucket k: over the bound
// before it and not over its own. The canary's falls as k grows, and stable's rises.
func (q *Quantile) against(k int) (canary, stable float64) {
	g := &q.grid
	c, s := &g.sides[0], &g.sides[1]
	slower, slow := int64(0), s.n
	if k < len(g.bounds) {
		slower = c.over(g.scaled[k])
	}
	if k > 0 {
		slow = s.most[k-1]
	}
	return hedged(q.tails.value(more, float64(slower), float64(c.n))), hedged(q.tails.value(less, float64(slow), float64(s.n)))
}

// hedged keeps half of what there was at the start.
func hedged(log float64) float64 {
	if log > 700 {
		return log - math.Ln2
	}
	return math.Log1p(math.Exp(log)) - math.Ln2
}

// bandsEvidence is the logarithm of the evidence of the bands, wherever stable's quantile is; or something that is no more
// than enough, and no less than the evidence. It looks from the most likely place outwards, until one side alone says as
// much as both did there.
func (q *Quantile) bandsEvidence(enough float64) float64 {
	least, start := math.Inf(1), q.place(overs{}, q.grid.sides[1])
	for k := start; k >= 0 && least > enough; k-- {
		canary, stable := q.against(k)
		if least = min(least, canary+stable); canary-math.Ln2 >= least {
			break
		}
	}
	for k := start + 1; k <= len(q.grid.bounds) && least > enough; k++ {
		canary, stable := q.against(k)
		if least = min(least, canary+stable); stable-math.Ln2 >= least {
			break
		}
	}
	return least
}

func (q *Quantile) threshold() float64 { return -math.Log(q.gate.Alpha) }

// edge is the logarithm of the evidence beyond which a value is out of the bands, each of whose four bounds may err
// with a quarter of alpha.
func (q *Quantile) edge() float64 { return q.threshold() + math.Log(4) }

func (q *Quantile) worse() bool {
	return q.compares() && min(q.bandsSup, q.pairs.Sup) >= q.threshold()
}

func (q *Quantile) overLimit() bool { return q.gate.Max != nil && q.limitSup >= q.threshold() }

// band is what a side's requests say of its quantile.
func (q *Quantile) band(o overs) Bounds {
	var b Bounds
	n := float64(o.n)
	for k, bound := range q.grid.bounds {
		v := bound
		if q.tails.value(more, float64(o.sure[k]), n) >= q.edge() {
			b.Lower = &v
		}
		if b.Estimate == nil && o.n > 0 && float64(o.most[k]) <= (1-q.gate.Quantile)*n {
			b.Estimate = &v
		}
		if q.tails.value(less, float64(o.most[k]), n) >= q.edge() {
			b.Upper = &v
			break
		}
	}
	return b
}

// histogramFault says what is wrong with a sample, "" when nothing is.
func histogramFault(s HistogramSample) string {
	if len(s.Bounds) > MaxBounds {
		return fmt.Sprintf("bounds: got %d, expected at most %d", len(s.Bounds), MaxBounds)
	}
	for i, b := range s.Bounds {
		switch {
		case !(b >= 0 && b <= MaxValue):
			return fmt.Sprintf("bounds[%d]: got %v, expected a number from 0 to %v", i, b, MaxValue)
		case i > 0 && b <= s.Bounds[i-1]:
			return fmt.Sprintf("bounds[%d]: got %v after %v, expected them to ascend", i, b, s.Bounds[i-1])
		}
	}
	for _, side := range []struct {
		name string
		h    *Histogram
	}{{"canary", s.Canary}, {"stable", s.Stable}} {
		if side.h == nil {
			continue
		}
		if n := len(side.h.Counts); n != len(s.Bounds)+1 {
			return fmt.Sprintf("%s: got %d counts, expected %d, one more than bounds", side.name, n, len(s.Bounds)+1)
		}
		sum := int64(0)
		for i, c := range side.h.Counts {
			if sum += c; c < 0 || c > MaxCount || sum > MaxCount {
				return fmt.Sprintf("%s[%d]: got %d, expected 0 to %d, and no more in all", side.name, i, c, int64(MaxCount))
			}
		}
	}
	return ""
}
