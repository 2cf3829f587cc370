package health

import (
	"fmt"
	"math"
	"strconv"
)

// Judgement says what the samples so far mean. It may be asked for as often as one likes.
func (p *Process) Judgement() Judgement {
	j := Judgement{Gate: p.Gate, Evidence: p.evidence()}
	if p.StoppedAt != nil {
		j.StoppedAt = stop(*p.StoppedAt)
	}
	if p.Refused != "" {
		j.Verdict, j.Reasons = Hold, []string{"Nothing can be judged: " + p.Refused + "."}
		return j
	}
	j.Verdict, j.Reasons = p.verdict()
	return j
}

func (p *Process) verdict() (Verdict, []string) { return worst(p.traffic, p.comparison, p.limit) }

// worst asks every criterion. The worst answer decides, and its sentences come first.
func worst(criteria ...func() (Verdict, string)) (Verdict, []string) {
	said := map[Verdict][]string{}
	for _, criterion := range criteria {
		if v, sentence := criterion(); sentence != "" {
			said[v] = append(said[v], sentence)
		}
	}
	verdict := Pass
	switch {
	case len(said[Fail]) > 0:
		verdict = Fail
	case len(said[Hold]) > 0:
		verdict = Hold
	}
	return verdict, append(append(said[Fail], said[Hold]...), said[Pass]...)
}

func (p *Process) evidence() Evidence {
	ev := Evidence{
		E:                natural(p.Ratio.value()),
		PValue:           min(1, math.Exp(-p.Ratio.Sup)),
		Threshold:        1 / p.Gate.Alpha,
		LimitE:           natural(p.Limit.value()),
		MismatchE:        1,
		CanaryRequests:   p.Canary.Requests,
		CanaryBad:        p.Canary.Bad,
		StableRequests:   p.Stable.Requests,
		StableBad:        p.Stable.Bad,
		ComparedRequests: p.Compared,
		MoreRequests:     p.missing(),
	}
	if p.Split.Canary+p.Split.Stable > 0 {
		ev.MismatchE = natural(p.Split.value(p.Gate.ExpectedShare))
	}
	return ev
}

// missing is how many more canary requests the floor asks for. With a comparison only those count that had
// stable beside them: the others are no evidence of being as good as stable.
func (p *Process) missing() int64 {
	have := p.Canary.Requests
	if p.Gate.Compare == CompareStable {
		have = p.Compared
	}
	return max(0, *p.Gate.MinRequests-have)
}

func (p *Process) traffic() (Verdict, string) {
	more := p.missing()
	switch {
	case p.StoppedAt != nil:
		return Pass, "" // harm needs no floor
	case p.Canary.Requests == 0 && p.Stable.Requests == 0:
		return Hold, fmt.Sprintf("There is no data yet: %d canary requests are needed.", more)
	case p.Canary.Requests == 0:
		return Hold, fmt.Sprintf("There are no canary requests yet: %d are needed.", more)
	case more > 0 && p.Compared < p.Canary.Requests && p.Gate.Compare == CompareStable:
		return Hold, fmt.Sprintf("Too little traffic: %d of %d canary requests had stable beside them, %d are needed, %d more.",
			p.Compared, p.Canary.Requests, *p.Gate.MinRequests, more)
	case more > 0:
		return Hold, fmt.Sprintf("Too little traffic: %d canary requests, %d are needed, %d more.",
			p.Canary.Requests, *p.Gate.MinRequests, more)
	}
	return Pass, fmt.Sprintf("Traffic suffices: %d canary requests, %d are needed.", p.Canary.Requests, *p.Gate.MinRequests)
}

func (p *Process) comparison() (Verdict, string) {
	if p.Gate.Compare != CompareStable || p.Canary.Requests == 0 {
		return Pass, ""
	}
	if p.Compared == 0 {
		return Hold, "There is nothing to compare with: no sample has requests on both canary and stable."
	}
	canary, stable := share(p.Canary), share(p.Stable)
	if at := p.Split.At; at != nil {
		s := p.Split
		return Hold, fmt.Sprintf("%s cannot be compared, canary %s, stable %s: users are wrongly split, %s of them on the canary where %s was expected "+
			"(evidence %s reached %d at sample %d).", p.noun(), canary, stable,
			ratio(s.Canary, s.Canary+s.Stable), percent(p.Gate.ExpectedShare), number(natural(s.Sup)), MismatchThreshold, *at)
	}
	bar := "stable's"
	if m := p.Gate.MaxRatio; m != 1 {
		bar = number(m) + " times stable's"
	}
	if p.worse() {
		return Fail, fmt.Sprintf("%s: the canary's share, %s, is higher than %s, %s: evidence %s reached the threshold %s at sample %d.",
			p.noun(), canary, bar, stable, number(natural(p.Ratio.Sup)), number(1/p.Gate.Alpha), *p.StoppedAt)
	}
	return Pass, fmt.Sprintf("%s: the canary's share, %s, is not shown to be higher than %s, %s: evidence %s, threshold %s.",
		p.noun(), canary, bar, stable, number(natural(p.Ratio.value())), number(1/p.Gate.Alpha))
}

func (p *Process) limit() (Verdict, string) {
	if p.Gate.MaxShare >= 1 || p.Canary.Requests == 0 {
		return Pass, ""
	}
	canary, bar, threshold := share(p.Canary), percent(p.Gate.MaxShare), number(1/p.Gate.Alpha)
	if p.overLimit() {
		return Fail, fmt.Sprintf("%s: the canary's share, %s, is over the limit of %s: evidence %s reached the threshold %s at sample %d.",
			p.noun(), canary, bar, number(natural(p.Limit.Sup)), threshold, *p.StoppedAt)
	}
	return Pass, fmt.Sprintf("%s: the canary's share, %s, is not shown to be over the limit of %s: evidence %s, threshold %s.",
		p.noun(), canary, bar, number(natural(p.Limit.value())), threshold)
}

func (p *Process) noun() string {
	switch {
	case p.Gate.Signal == SignalLatency && p.Gate.Over != "":
		return "Requests over " + p.Gate.Over + " s"
	case p.Gate.Signal == SignalLatency:
		return "Slow requests"
	}
	return "Errors"
}

func share(c Counts) string { return ratio(c.Bad, c.Requests) }

func ratio(part, whole int64) string {
	return fmt.Sprintf("%s (%d of %d)", percent(float64(part)/float64(whole)), part, whole)
}

func percent(x float64) string { return strconv.FormatFloat(100*x, 'g', 3, 64) + " %" }

func number(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }
