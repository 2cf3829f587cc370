package rollout

import (
	"slices"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// Gate is a condition of the plan: how it is judged, and what its verdict weighs.
type Gate struct {
	health.Gate
	Rings     []string  `json:"rings,omitempty" doc:"only in these rings; empty for all"`
	When      string    `json:"when,omitempty" doc:"during (default), before, always"`
	Informing bool      `json:"informing,omitempty" doc:"its verdict is told and decides nothing"`
	NoData    string    `json:"noData,omitempty" doc:"what no data means: hold (default), pass, fail"`
	OnFail    string    `json:"onFail,omitempty" doc:"rollback (default), halt, hold, notify"`
	Every     fleet.Dur `json:"every,omitempty" doc:"time between readings"`

	Query      string                `json:"query,omitempty"`
	Series     *resource.SeriesGate  `json:"series,omitempty"`
	Webhook    *resource.WebhookGate `json:"webhook,omitempty"`
	CommandRun *resource.CommandGate `json:"command,omitempty"`
	Probe      *resource.ProbeGate   `json:"probe,omitempty"`
}

// gateOf turns a plan's gate into one that is judged.
func gateOf(g resource.Gate) Gate {
	h := health.Gate{Name: g.Name, Signal: g.Signal, Compare: g.Compare, Alpha: g.Alpha, MaxRatio: g.MaxRatio, MaxShare: g.MaxShare,
		Quantile: g.Quantile, Max: g.Max, Min: g.Min, Failures: g.Failures}
	if n := g.MinRequests; n != 0 {
		h.MinRequests = &n
	}
	if g.Signal == health.SignalLatency {
		h.Over = strconv.FormatFloat(time.Duration(g.Over).Seconds(), 'g', -1, 64)
	}
	if g.Series != nil {
		d := &health.DistributionGate{Compare: health.CompareDistribution, Method: g.Series.Method, Direction: g.Series.Direction, MaxRatio: g.Series.MaxRatio}
		if d.Method != health.MethodMannWhitney {
			d.Alpha = g.Alpha
		}
		h.Distribution = d
	}
	if g.Outside() || g.Series != nil {
		h.Alpha = 0
	}
	return Gate{Gate: health.Defaults(h), Rings: g.Rings, When: g.When, Informing: g.Informing, NoData: g.NoData, OnFail: g.OnFail, Every: g.Every,
		Query: g.Query, Series: g.Series, Webhook: g.Webhook, CommandRun: g.Command, Probe: g.Probe}
}

// Key tells a gate apart from all others of its plan.
func Key(g health.Gate) string {
	switch {
	case g.Name != "":
		return g.Name
	case g.Over != "":
		return g.Signal + " over " + g.Over
	default:
		return g.Signal
	}
}

// in reports whether a gate judges a ring, while it is baking or before it is entered.
func (g Gate) in(ring string, before bool) bool {
	when := g.When == "" || g.When == "during" || g.When == "always"
	if before {
		when = g.When == "before" || g.When == "always"
	}
	return when && (len(g.Rings) == 0 || slices.Contains(g.Rings, ring))
}

// GatesIn are the gates that judge while a ring bakes, or that are asked before it is entered.
func (s State) GatesIn(ring int, before bool) []Gate {
	var gates []Gate
	for _, g := range s.Gates {
		if ring >= 0 && ring < len(s.Rings) && g.in(s.Rings[ring].Name, before) {
			gates = append(gates, g)
		}
	}
	return gates
}

// effect is what a judgement comes to: its verdict, with what no data means for the gate, and what follows from a failure.
// A gate that only tells passes whatever it says.
func (s State) effect(g Gate, j health.Judgement, before bool) (verdict health.Verdict, onFail string) {
	verdict = j.Verdict
	if j.NoData && verdict == health.Hold && g.NoData != "" {
		verdict = health.Verdict(g.NoData)
	}
	onFail = g.OnFail
	if onFail == "" {
		onFail = "rollback"
	}
	if verdict == health.Fail && slices.Contains(s.waived(before), Key(g.Gate)) {
		return health.Pass, "notify"
	}
	if g.Informing {
		onFail = "notify"
	}
	return verdict, onFail
}

// waived are the gates that a person went past, in the current ring or before the next one.
func (s State) waived(before bool) []string {
	if st := s.stage(); !before && st != nil {
		return st.Waived
	}
	if before {
		return s.Waived
	}
	return nil
}

// judged are the gates that bear weight, with what was judged of them; nil where nothing was.
type judged struct {
	gate    Gate
	verdict health.Verdict
	onFail  string
	said    *health.Judgement
}

func (s State) judge(gates []Gate, said []health.Judgement, before bool) []judged {
	out := make([]judged, len(gates))
	for i, g := range gates {
		out[i] = judged{gate: g, verdict: health.Hold, onFail: "hold"}
		k := slices.IndexFunc(said, func(j health.Judgement) bool { return Key(j.Gate) == Key(g.Gate) })
		if k >= 0 {
			out[i].said = &said[k]
			out[i].verdict, out[i].onFail = s.effect(g, said[k], before)
		}
	}
	return out
}

// counts is what a gate comes to for moving outward.
func (j judged) counts() health.Verdict {
	switch {
	case j.gate.Informing || j.onFail == "notify" && j.verdict == health.Fail:
		return health.Pass
	case j.verdict == health.Fail && j.onFail == "hold":
		return health.Hold
	default:
		return j.verdict
	}
}

// join joins verdicts: one fail fails, one hold holds, none at all is hold.
func join(all []judged) health.Verdict {
	verdict, bearing := health.Pass, false
	for _, j := range all {
		bearing = bearing || !j.gate.Informing
		switch j.counts() {
		case health.Fail:
			return health.Fail
		case health.Hold:
			verdict = health.Hold
		}
	}
	if !bearing {
		return health.Hold
	}
	return verdict
}

// Judge joins the judgements of all gates of the current ring.
// A first release has nothing to compare with and nobody to protect: it passes once it is in force.
func Judge(s State, ev Evidence) health.Verdict {
	if s.From == "" {
		return health.Pass
	}
	return join(s.judge(s.GatesIn(s.Ring, false), ev.Gates, false))
}
