package ui

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// bandBar is what is known of a quantile on one side: it lies between X and X+Width, at all times.
type bandBar struct {
	Side, Name   string
	X, Width, At float64 // At is the estimate; 0 when there is none
	Text, Detail string
	Known        bool
}

// readingView is what something outside said last.
type readingView struct {
	Value, Limit string
	X, Max, Min  float64 // among 400; 0 when there is none
	Scaled       bool
	Row          string // bad ones in a row
	Count        string
	Text         string
}

// gateName is what a gate is called: its own name, or what it looks at.
func gateName(g health.Gate) string {
	switch g.Signal {
	case health.SignalErrors, "":
		if g.Name == "" || g.Name == "errors" {
			return "Errors"
		}
	case health.SignalLatency:
		if g.Name == "" || strings.HasPrefix(g.Name, "latency over ") {
			if s, err := strconv.ParseFloat(g.Over, 64); err == nil {
				return "Slower than " + span(time.Duration(s*float64(time.Second)))
			}
			return "Slow requests"
		}
	case health.SignalQuantile:
		if g.Name == "" || g.Name == "p"+strconv.FormatFloat(g.Quantile*100, 'g', -1, 64) {
			return "Latency p" + strconv.FormatFloat(g.Quantile*100, 'g', -1, 64)
		}
	}
	if g.Name == "" {
		return sentenceStart(g.Signal)
	}
	return g.Name
}

// further fills in gates of the kinds that do not count requests.
func (g *gateView) further(j health.Judgement, to, from string) bool {
	ev := j.Evidence
	switch j.Gate.Signal {
	case health.SignalQuantile:
		if g.Compared {
			g.E = scaleOf(g.Key+"-e", "Evidence that "+to+" is slower than "+from, ev.E, ev.Threshold)
		}
		if j.Gate.Max != nil {
			g.Limit = scaleOf(g.Key+"-l", "Evidence that "+to+" is over the limit of "+inSeconds(*j.Gate.Max), ev.LimitE, ev.Threshold)
		}
		if ev.Quantile != nil {
			g.bands(j, to, from)
		}
		g.Have, g.More = ev.CanaryRequests, ev.MoreRequests
		if g.Compared {
			g.Have = ev.ComparedRequests
		}
		g.Need = g.Have + g.More // it takes as many as a bound of the quantile needs
		if g.Need > 0 {
			g.HaveX = round(barWidth * float64(g.Have) / float64(g.Need))
		}
	case health.SignalSeries:
		if d := j.Gate.Distribution; d == nil || d.Method != health.MethodMannWhitney {
			g.E = scaleOf(g.Key+"-e", "Evidence that "+to+" differs from "+from, ev.E, ev.Threshold)
		}
		if d := ev.Series; d != nil {
			g.Reading = &readingView{Value: number(d.CanaryMean), Limit: "mean of " + to + "; " + number(d.StableMean) + " on " + from,
				Count: plural(int64(d.CanaryPoints), "value", "values") + " against " + count(int64(d.StablePoints))}
		}
	case health.SignalQuery, health.SignalWebhook, health.SignalCommand, health.SignalProbe, health.SignalAlerts:
		g.Compared = false
		g.reading(j)
	default:
		return false
	}
	return true
}

// bands places the bounds of both sides on one scale from nothing.
func (g *gateView) bands(j health.Judgement, to, from string) {
	q := j.Evidence.Quantile
	top := 0.0
	for _, v := range []*float64{q.Canary.Estimate, q.Canary.Upper, q.Canary.Lower, q.Stable.Estimate, q.Stable.Upper, q.Stable.Lower, j.Gate.Max} {
		if v != nil && !math.IsInf(*v, 0) {
			top = max(top, *v*1.1)
		}
	}
	if top == 0 {
		return
	}
	at := func(v float64) float64 { return round(barWidth * max(0, min(1, v/top))) }
	bar := func(side, name string, b health.Bounds) {
		bar := bandBar{Side: side, Name: name, Text: "not known yet"}
		if b.Estimate != nil {
			bar.At, bar.Text = at(*b.Estimate), inSeconds(*b.Estimate)
		}
		low, high := 0.0, barWidth
		if b.Lower != nil {
			low = at(*b.Lower)
		}
		if b.Upper != nil && !math.IsInf(*b.Upper, 0) {
			high = at(*b.Upper)
		}
		switch {
		case b.Lower != nil && b.Upper != nil:
			bar.Detail = inSeconds(*b.Lower) + " to " + inSeconds(*b.Upper)
		case b.Lower != nil:
			bar.Detail = "at least " + inSeconds(*b.Lower)
		case b.Upper != nil:
			bar.Detail = "at most " + inSeconds(*b.Upper)
		}
		bar.Known = b.Lower != nil || b.Upper != nil
		bar.X, bar.Width = low, max(2, round(high-low))
		g.Bands = append(g.Bands, bar)
	}
	bar("canary", to, q.Canary)
	if g.Compared {
		bar("stable", from, q.Stable)
	}
	g.BandText = fmt.Sprintf("The bands hold at all times, with %s confidence.", percent(q.Level))
	if m := j.Gate.Max; m != nil {
		g.BandAt = at(*m)
		g.BandText += " The line is the limit of " + inSeconds(*m) + "."
	}
}

func inSeconds(x float64) string {
	if math.IsInf(x, 0) {
		return "∞"
	}
	return span(time.Duration(x * float64(time.Second)))
}

func number(v *float64) string {
	if v == nil {
		return "no value"
	}
	return strconv.FormatFloat(*v, 'g', 5, 64)
}

// reading tells of the last value against its limits, or of the last answer.
func (g *gateView) reading(j health.Judgement) {
	r := &readingView{Limit: strings.Join(limitsOf(j.Gate.Min, j.Gate.Max), ", ")}
	g.Reading = r
	ev := j.Evidence.Readings
	if ev == nil {
		return
	}
	r.Text = clip(ev.Text, 400)
	r.Count = plural(int64(ev.Count), "reading", "readings")
	if ev.NoData > 0 {
		r.Count += ", " + count(int64(ev.NoData)) + " without data"
	}
	if j.Gate.Failures > 0 && ev.InARow > 0 {
		r.Row = fmt.Sprintf("%d of %d bad ones in a row", ev.InARow, j.Gate.Failures)
	}
	if j.Gate.Signal != health.SignalQuery {
		return
	}
	r.Value = number(ev.Value)
	top := 0.0
	for _, v := range []*float64{ev.Value, j.Gate.Max, j.Gate.Min} {
		if v != nil {
			top = max(top, *v*1.25)
		}
	}
	if ev.Value == nil || top <= 0 || *ev.Value < 0 {
		return
	}
	at := func(v float64) float64 { return round(barWidth * max(0, min(1, v/top))) }
	r.Scaled, r.X = true, at(*ev.Value)
	if j.Gate.Max != nil {
		r.Max = at(*j.Gate.Max)
	}
	if j.Gate.Min != nil {
		r.Min = at(*j.Gate.Min)
	}
}

func limitsOf(least, most *float64) []string {
	var out []string
	if least != nil {
		out = append(out, "at least "+number(least))
	}
	if most != nil {
		out = append(out, "at most "+number(most))
	}
	return out
}

// weigh says of each gate what its verdict weighs, and adds those that have not said anything yet.
func (p *rolloutPage) weigh(ev rollout.Evidence) {
	s := p.State
	said := map[string]int{}
	for i, g := range p.Gates {
		said[g.Of] = i
	}
	for _, g := range s.Gates {
		if i, ok := said[rollout.Key(g.Gate)]; ok {
			p.Gates[i].Weight = weightOf(g)
		}
	}
	if p.Settled || s.From == "" {
		return
	}
	add := func(gates []rollout.Gate, why string) {
		for _, g := range gates {
			if _, ok := said[rollout.Key(g.Gate)]; !ok {
				said[rollout.Key(g.Gate)] = -1
				p.Gates = append(p.Gates, gateView{Key: fmt.Sprintf("now-gate-%d", len(p.Gates)), Name: gateName(g.Gate), Verdict: health.Hold, Silent: why, Weight: weightOf(g)})
			}
		}
	}
	if s.Phase == rollout.Baking {
		add(s.GatesIn(s.Ring, false), "No evidence yet.")
		if len(ev.Before) == 0 && s.Ring+1 < len(s.Rings) {
			add(s.GatesIn(s.Ring+1, true), "It is asked once ring "+s.Rings[s.Ring].Name+" has baked.")
		}
	}
}

// weightOf says what a gate's verdict weighs.
func weightOf(g rollout.Gate) []string {
	var out []string
	if g.Signal != "" {
		out = append(out, g.Signal)
	}
	if g.When == "before" {
		out = append(out, "asked before the next ring")
	}
	if len(g.Rings) > 0 {
		out = append(out, "only in "+strings.Join(g.Rings, ", "))
	}
	if g.Informing {
		return append(out, "informing: decides nothing")
	}
	switch g.OnFail {
	case "", "rollback":
		out = append(out, "failure takes it back")
	case "halt":
		out = append(out, "failure halts it")
	case "hold":
		out = append(out, "failure keeps it from the next ring")
	case "notify":
		out = append(out, "failure is only told")
	}
	if g.NoData != "" && g.NoData != "hold" {
		out = append(out, "no data counts as "+g.NoData)
	}
	return out
}

// gateWants says what a gate of a plan asks for that does not count requests.
func gateWants(g resource.Gate) []string {
	out := limitsOf(g.Min, g.Max)
	switch {
	case g.Signal == "quantile" && g.Compare != "none":
		out = append(out, "not slower than stable")
	case g.Signal == "quantile" && g.Max != nil:
		out = []string{"at most " + inSeconds(*g.Max)}
	case g.Series != nil:
		out = append(out, "not unlike stable")
	case g.Webhook != nil:
		out = append(out, "asks "+clip(g.Webhook.URL, 60))
	case g.Command != nil:
		out = append(out, "runs "+g.Command.Name)
	case g.Probe != nil && g.Probe.Name != "":
		out = append(out, "probe "+g.Probe.Name+" sees it no worse than stable")
	case g.Probe != nil:
		out = append(out, "looks at "+clip(g.Probe.Path+g.Probe.URL, 60))
	}
	return append(out, slices.DeleteFunc(weightOf(rollout.Gate{Rings: g.Rings, When: g.When, Informing: g.Informing, NoData: g.NoData, OnFail: g.OnFail}),
		func(s string) bool { return s == "failure takes it back" })...)
}
