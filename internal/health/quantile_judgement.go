package health

import (
	"fmt"
	"math"
)

// Judgement says what the samples so far mean. It may be asked for as often as one likes.
func (q *Quantile) Judgement() Judgement {
	j := Judgement{Gate: q.gate, Evidence: Evidence{E: 1, LimitE: 1, MismatchE: 1, PValue: 1, Threshold: 1 / q.gate.Alpha,
		CanaryRequests: q.requests[0], StableRequests: q.requests[1], ComparedRequests: q.compared, MoreRequests: q.missing()}}
	if q.stopped != nil {
		j.StoppedAt = stop(*q.stopped)
	}
	if q.refused != "" {
		j.Verdict, j.NoData, j.Reasons = Hold, true, []string{"Nothing can be judged: " + q.refused + "."}
		return j
	}
	v := q.view()
	ev := &j.Evidence
	ev.Quantile = &QuantileEvidence{Canary: v.canary, Stable: v.stable, Level: 1 - q.gate.Alpha, BandsE: natural(v.bands), PairsE: natural(q.pairs.value())}
	if q.compares() {
		ev.E, ev.PValue = natural(v.now), min(1, math.Exp(-min(q.bandsSup, q.pairs.Sup)))
	}
	if q.gate.Max != nil {
		ev.LimitE = natural(q.limitEvidence())
	}
	j.Verdict, j.Reasons = worst(v.traffic, v.known, v.comparison, v.absolute)
	j.NoData = j.Verdict == Hold && q.silent
	return j
}

// view is a Quantile with what takes some time to work out.
type view struct {
	*Quantile
	canary, stable Bounds
	bands, now     float64 // logarithms of the evidence of the bands, and of the lesser witness
}

func (q *Quantile) view() view {
	v := view{Quantile: q, canary: q.band(q.grid.sides[0]), stable: q.band(q.grid.sides[1])}
	if q.compares() && q.compared > 0 {
		v.bands = q.bandsEvidence(math.Inf(-1))
	}
	v.now = min(v.bands, q.pairs.value())
	return v
}

// needed is how many canary requests a pass takes: the floor, and as many as a bound of the quantile takes.
func (q *Quantile) needed() int64 { return max(*q.gate.MinRequests, q.enough) }

func (q *Quantile) missing() int64 {
	have := q.requests[0]
	if q.compares() {
		have = q.compared
	}
	return max(0, q.needed()-have)
}

func (v view) traffic() (Verdict, string) {
	switch missing := v.missing(); {
	case v.stopped != nil:
		return Pass, "" // harm needs no floor
	case v.requests[0] == 0 && v.requests[1] == 0:
		return Hold, fmt.Sprintf("There is no data yet: %d canary requests are needed.", missing)
	case v.requests[0] == 0:
		return Hold, fmt.Sprintf("There are no canary requests yet: %d are needed.", missing)
	case missing > 0 && v.compares() && v.compared < v.requests[0]:
		return Hold, fmt.Sprintf("Too little traffic: %d of %d canary requests had stable beside them, %d are needed, %d more.",
			v.compared, v.requests[0], v.needed(), missing)
	case missing > 0:
		return Hold, fmt.Sprintf("Too little traffic: %d canary requests, %d are needed, %d more.", v.requests[0], v.needed(), missing)
	}
	return Pass, fmt.Sprintf("Traffic suffices: %d canary requests, %d are needed.", v.requests[0], v.needed())
}

// known asks whether the bands say anything at all: a quantile that may be as high as you like is not known not to be.
func (v view) known() (Verdict, string) {
	if v.stopped != nil || v.missing() > 0 {
		return Pass, ""
	}
	switch stable := v.grid.sides[1].n; {
	case v.canary.Upper == nil:
		return Hold, fmt.Sprintf("The canary's %s may be as high as you like: too many of its requests took longer than the largest bound, %s s.", v.name(), v.largest())
	case v.compares() && v.stable.Upper == nil && stable < v.enough:
		return Hold, fmt.Sprintf("Too little traffic on stable: %d requests beside the canary's, %d are needed, %d more.", stable, v.enough, v.enough-stable)
	case v.compares() && v.stable.Upper == nil:
		return Hold, fmt.Sprintf("Stable's %s may be as high as you like: too many of its requests took longer than the largest bound, %s s.", v.name(), v.largest())
	}
	return Pass, ""
}

func (v view) comparison() (Verdict, string) {
	if !v.compares() || v.requests[0] == 0 {
		return Pass, ""
	}
	if v.compared == 0 {
		return Hold, "There is nothing to compare with: no sample has requests on both canary and stable."
	}
	bar, threshold := "stable's", number(1/v.gate.Alpha)
	if m := v.gate.MaxRatio; m != 1 {
		bar = number(m) + " times stable's"
	}
	what := fmt.Sprintf("%s: the canary's, %s, is", v.name(), v.canary.words())
	switch {
	case v.worse():
		return Fail, fmt.Sprintf("%s higher than %s, %s: evidence %s reached the threshold %s at sample %d.",
			what, bar, v.stable.words(), number(natural(min(v.bandsSup, v.pairs.Sup))), threshold, *v.stopped)
	case v.bandsSup >= v.threshold():
		return Pass, fmt.Sprintf("%s higher than %s, %s, but this may be for when they were asked: sample by sample evidence is %s, threshold %s.",
			what, bar, v.stable.words(), number(natural(v.pairs.value())), threshold)
	}
	return Pass, fmt.Sprintf("%s not shown to be higher than %s, %s: evidence %s, threshold %s.", what, bar, v.stable.words(), number(natural(v.now)), threshold)
}

func (v view) absolute() (Verdict, string) {
	if v.gate.Max == nil || v.requests[0] == 0 {
		return Pass, ""
	}
	bar, threshold := number(*v.gate.Max)+" s", number(1/v.gate.Alpha)
	slower := ratio(v.overMax, v.requests[0])
	if v.overLimit() {
		return Fail, fmt.Sprintf("%s: the canary's is over the limit of %s, with %s of its requests longer than that: evidence %s reached the threshold %s at sample %d.",
			v.name(), bar, slower, number(natural(v.limitSup)), threshold, *v.stopped)
	}
	return Pass, fmt.Sprintf("%s: the canary's is not shown to be over the limit of %s, with %s of its requests surely longer than that: evidence %s, threshold %s.",
		v.name(), bar, slower, number(natural(v.limitEvidence())), threshold)
}

// name is what people call the quantile, as p99.
func (q *Quantile) name() string { return "p" + number(100*q.gate.Quantile) }

func (q *Quantile) largest() string {
	if n := len(q.grid.bounds); n > 0 {
		return number(q.grid.bounds[n-1])
	}
	return "0"
}

// words are the bounds as people say them.
func (b Bounds) words() string {
	if b.Estimate == nil {
		return "beyond the largest bound"
	}
	from, to := "0", "no bound"
	if b.Lower != nil {
		from = number(*b.Lower)
	}
	if b.Upper != nil {
		to = number(*b.Upper)
	}
	return fmt.Sprintf("%s s (%s to %s)", number(*b.Estimate), from, to)
}
