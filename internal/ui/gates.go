package ui

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

// gateView is a gate's judgement as it is drawn. Bars are 400 units wide.
type gateView struct {
	Key      string
	Name     string
	Verdict  health.Verdict
	Reasons  []string
	Compared bool // with stable
	E        *scale
	Limit    *scale
	Shares   []shareBar
	LimitX   float64 // of the absolute limit among the shares; 0 when it is not drawn
	LimitAt  string
	Have     int64
	Need     int64
	More     int64
	HaveX    float64
	Of       string   // tells it apart from the plan's other gates
	Weight   []string // what its verdict weighs
	Silent   string   // why it has not said anything
	Bands    []bandBar
	BandAt   float64 // the limit among the bands; 0 when there is none
	BandText string
	Reading  *readingView
}

// scale is an amount of evidence on a logarithmic scale with its threshold.
type scale struct {
	Key       string
	Label     string
	Value     string
	Threshold string
	X, At     float64 // of the value and the threshold
	One       float64 // of 1: evidence for neither side
	Reached   bool
	Ticks     []tick
}

type tick struct {
	X     float64
	Label string
}

type shareBar struct {
	Side  string
	Name  string
	X     float64
	Text  string
	Count string
}

const barWidth = 400.0

// gatesOf tells of judgements; page tells those of one page apart from those of another.
func gatesOf(page string, judged []health.Judgement, to, from string) []gateView {
	out := make([]gateView, 0, len(judged))
	for i, j := range judged {
		out = append(out, gateOf(fmt.Sprintf("%s-gate-%d", page, i), j, to, from))
	}
	return out
}

func gateOf(key string, j health.Judgement, to, from string) gateView {
	g := gateView{Key: key, Of: rollout.Key(j.Gate), Name: gateName(j.Gate), Verdict: j.Verdict, Reasons: j.Reasons, Compared: j.Gate.Compare == health.CompareStable}
	if g.further(j, to, from) {
		return g
	}
	ev := j.Evidence
	if g.Compared {
		bar := from + "’s share"
		if m := j.Gate.MaxRatio; m > 1 {
			bar = strconv.FormatFloat(m, 'g', 4, 64) + " times " + bar
		}
		g.E = scaleOf(key+"-e", "Evidence that "+to+" is worse than "+bar, ev.E, ev.Threshold)
	}
	if j.Gate.MaxShare > 0 && j.Gate.MaxShare < 1 {
		g.Limit = scaleOf(key+"-l", "Evidence that "+to+" is over the limit of "+percent(j.Gate.MaxShare), ev.LimitE, ev.Threshold)
	}
	g.shares(j, to, from)
	g.Have, g.More = ev.CanaryRequests, ev.MoreRequests
	if g.Compared {
		g.Have = ev.ComparedRequests
	}
	if n := j.Gate.MinRequests; n != nil {
		g.Need = *n
	}
	g.HaveX = barWidth
	if g.Need > 0 {
		g.HaveX = round(barWidth * math.Min(1, float64(g.Have)/float64(g.Need)))
	}
	return g
}

// scaleOf places an e-value between a thousandth and a hundred times its threshold.
func scaleOf(key, label string, e, threshold float64) *scale {
	if threshold <= 0 {
		threshold = 100
	}
	lo, hi := -3.0, math.Ceil(math.Log10(threshold))+1
	at := func(v float64) float64 {
		if v <= 0 {
			return 0
		}
		return round(barWidth * math.Max(0, math.Min(1, (math.Log10(v)-lo)/(hi-lo))))
	}
	s := &scale{Key: key, Label: label, Value: evidence(e), Threshold: evidence(threshold), X: at(e), At: at(threshold), One: at(1), Reached: e >= threshold}
	for p := lo; p <= hi; p++ {
		s.Ticks = append(s.Ticks, tick{X: at(math.Pow(10, p))})
	}
	return s
}

func (g *gateView) shares(j health.Judgement, to, from string) {
	ev := j.Evidence
	canary, stable := share(ev.CanaryBad, ev.CanaryRequests), share(ev.StableBad, ev.StableRequests)
	top := math.Max(0.005, math.Max(canary, stable)*1.15)
	if l := j.Gate.MaxShare; l > 0 && l < 1 && l < 8*top {
		top = math.Max(top, l*1.15)
		g.LimitX, g.LimitAt = round(barWidth*l/top), percent(l)
	}
	bar := func(side, name string, share float64, bad, all int64) {
		text := percent(share)
		if all == 0 {
			text = "no requests"
		}
		g.Shares = append(g.Shares, shareBar{Side: side, Name: name, X: round(barWidth * share / top), Text: text,
			Count: count(bad) + " of " + plural(all, "request", "requests")})
	}
	bar("canary", to, canary, ev.CanaryBad, ev.CanaryRequests)
	if g.Compared {
		bar("stable", from, stable, ev.StableBad, ev.StableRequests)
	}
}

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Next says in a word what a gate still needs.
func (g gateView) Next() string {
	switch {
	case g.Silent != "":
		return g.Silent
	case g.Reading != nil && len(g.Reasons) > 0:
		return g.Reasons[0]
	case g.Verdict == health.Pass:
		return "Enough evidence, and none of harm."
	case g.Verdict == health.Fail:
		return "Harm, with the promised confidence."
	case g.More > 0:
		return plural(g.More, "more request is needed.", "more requests are needed.")
	}
	return strings.Join(g.Reasons, " ")
}
