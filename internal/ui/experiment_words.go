package ui

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/resource"
)

// experimentURL is an experiment's page, or one below it.
func experimentURL(name, below string) string {
	at := "/experiments/" + url.PathEscape(name)
	if below != "" {
		at += "/" + below
	}
	return at
}

// toldOfExperiment tells of what became of an experiment.
func toldOfExperiment(out *entry, name string) string {
	var d struct {
		Run             int
		Planned         int64
		Reason, Variant string
		Reading         experiment.Reading
	}
	_ = json.Unmarshal(out.Data, &d) // what cannot be read is told without
	who := enderOf(out.Actor)
	switch out.Type {
	case "experiment.started":
		if d.Planned > 0 {
			out.Reason = plural(d.Planned, "user is planned.", "users are planned.")
		}
		return who + " began " + name
	case "experiment.read":
		out.Tone, _ = wordOf(lab.Run{Phase: lab.Running}, &experiment.Report{Reading: d.Reading})
		if out.Tone == "wait" {
			out.Tone = "calm"
		}
		out.Reason = sentenceCase(d.Reading.Why)
		return name + " reads: " + readingText(d.Reading)
	case "experiment.ended":
		if out.Reason = sentenceCase(d.Reason); out.Actor != lab.Actor {
			out.Reason = quoted(out.Data)
		} else {
			out.Tone = "fail"
		}
		return who + " ended " + name
	case "experiment.shipped":
		out.Tone = "pass"
		return who + " ships variant " + d.Variant + " of " + name
	}
	return ""
}

// enderOf is who acts on experiments: a person, or Ringfence by itself.
func enderOf(actor string) string {
	if actor == lab.Actor {
		return "Ringfence"
	}
	return person(actor)
}

// readingText is a reading without its reason.
func readingText(r experiment.Reading) string {
	if r.Variant != "" && r.Decision == experiment.Ship {
		return string(r.Decision) + " " + r.Variant
	}
	return string(r.Decision)
}

// methodText says how an experiment is read.
func methodText(e resource.Experiment) string {
	switch experiment.Method(e.Method) {
	case experiment.Welch:
		return "once, at the planned size (Welch)"
	case experiment.Bayesian:
		return "by chances (Bayesian)"
	}
	return "at any time (sequential)"
}

// takesPart says who takes part.
func takesPart(e resource.Experiment) string {
	parts := []string{}
	if e.Share > 0 && e.Share < 100 {
		parts = append(parts, percent(e.Share/100)+" of")
	}
	who := audience(e.Audience)
	if e.Audience.Everyone() {
		who = "everyone"
		if len(parts) > 0 {
			who = "all users"
		}
	}
	parts = append(parts, who)
	if g := e.Group; g != nil {
		parts = append(parts, "in "+percent(g.From/100)+" to "+percent(g.To/100)+" of group "+g.Name)
	}
	if h := e.Holdout; h != nil {
		parts = append(parts, "but for the "+percent(h.Percent/100)+" held out by "+h.Name)
	}
	return strings.Join(parts, " ")
}
