package ui

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// experimentPage is one experiment as it is now.
type experimentPage struct {
	*visit
	lab.Run
	Report   *experiment.Report
	Edited   []diffRow // what the next run will have otherwise
	FlagLink string
	Tone     string
	Headline string
	Told     string
	Alarms   []alarm
	Users    headcount
	Shares   []armShare
	Groups   []metricGroup
	Facts    []fact
	Actions  []flagAction
	Denied   string
	Chart    bool
	Margins  bool // a guardrail puts up with something
	Events   []entry
	plan     *flag.Plan
}

// alarm is why no number can be trusted.
type alarm struct{ Title, Text string }

// armShare is how many users of a variant there are, and how many there should be.
type armShare struct {
	chip
	Users    int64
	Is, Want float64 // of 100
	Control  bool
}

// metricGroup are the metrics of a role.
type metricGroup struct {
	Role, Title, Note string
	Metrics           []metricView
}

type metricView struct {
	experiment.MetricReport
	Is      string // what is measured, and which way is better
	Effects []effectView
}

func (s *Server) experiment(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx, name := r.Context(), r.PathValue("experiment")
	read, err := s.Lab.Read(ctx, name, 0, v.Now)
	if err != nil {
		return err
	}
	v.Title, v.Live = name, "experiment/"+name
	p := &experimentPage{visit: v, Run: read.Run, Report: read.Report, FlagLink: flagURL(subjectOfExperiment(read.Run.Spec), "")}
	paint, err := s.armPaints(ctx, p)
	if err != nil {
		return err
	}
	if read.Edited {
		if p.Edited, err = s.editedSince(ctx, read.Run); err != nil {
			return err
		}
	}
	p.say()
	p.facts()
	if p.Report != nil {
		p.measured(paint)
		p.Chart = p.Report.Progress.Users > 0 && p.Spec.Primary.Kind != string(experiment.Quantile)
	}
	p.act()
	events, err := s.Store.Events(ctx, store.EventQuery{Subject: "experiment/" + name, Backward: true, Limit: timelineEvents})
	if err != nil {
		return err
	}
	p.Events = entriesOf(events)
	return s.show(w, r, http.StatusOK, "experiment", p)
}

// armPaints are the colours of the variants, as the flag's page has them, and notes the flag's plan.
func (s *Server) armPaints(ctx context.Context, p *experimentPage) (func(string) string, error) {
	subject := subjectOfExperiment(p.Spec)
	r, err := s.Catalog.Get(ctx, resource.KindFlagSet, subject.Set)
	if errs.Is(err, errs.Missing) {
		return func(string) string { return "" }, nil
	} else if err != nil {
		return nil, err
	}
	doc, problems := flag.Of(r)
	if doc == nil {
		return nil, errs.Wrap(errs.Internal, errors.Join(resource.Refuse(problems)), "flag set %s is damaged", subject.Set)
	}
	f := doc.Flags[subject.Key]
	if f == nil {
		return func(string) string { return "" }, nil
	}
	p.plan = f.Plan(subject.Environment)
	all := paints(f.Variants(), f.DefaultIn(subject.Environment))
	return func(variant string) string { return all[variant] }, nil
}

// editedSince is what differs between what runs and what is declared.
func (s *Server) editedSince(ctx context.Context, run lab.Run) ([]diffRow, error) {
	declared, err := s.Catalog.Get(ctx, resource.KindExperiment, run.Experiment)
	if err != nil {
		return nil, err
	}
	was := declared
	if was.Spec, err = json.Marshal(run.Spec); err != nil {
		return nil, err
	}
	return diffsOf(resource.Changes(&was, &declared)), nil
}

// say puts the reading in words.
func (p *experimentPage) say() {
	p.Tone, p.Headline = wordOf(p.Run, p.Report)
	p.Headline = sentenceStart(p.Headline)
	if p.Report == nil {
		p.Headline = "It has not begun"
		p.Told = "Until then everyone gets what the flag gives without it."
		return
	}
	p.Told = sentenceCase(p.Report.Reading.Why)
	if p.Report.Reading.Decision == experiment.Ship && p.Report.Reading.Variant != "" {
		p.Headline = "Ship " + p.Report.Reading.Variant
	}
	if p.Report.Mismatch.Broken {
		p.Alarms = append(p.Alarms, alarm{"Users did not land in the shares that were meant", p.Told})
		p.Told = "No number below can be trusted. Find out where users are lost or misplaced, then begin again."
	}
	if p.Report.Multiple.Broken {
		m := p.Report.Multiple
		p.Alarms = append(p.Alarms, alarm{"Users were given several variants", plural(m.Users, "user was", "users were") + " seen in several variants, " + percent(m.Share) +
			" of all; up to " + percent(experiment.MultipleAt) + " is put up with. They are in none of the numbers, and what differs may be who is left."})
	}
}

// Ender is who ended it.
func (p *experimentPage) Ender() string { return enderOf(p.EndedBy) }

// ByItself says whether nobody ended it.
func (p *experimentPage) ByItself() bool { return p.EndedBy == lab.Actor }

func (p *experimentPage) facts() {
	add := func(name, value string) {
		if value != "" {
			p.Facts = append(p.Facts, fact{name, value})
		}
	}
	length := p.Spec.MaxDuration.D(lab.DefaultDuration)
	switch p.Phase {
	case lab.Running:
		add("Runs for", span(p.Now.Sub(p.Started).Truncate(time.Second))+" of at most "+span(length))
	case lab.Ended:
		add("Ran for", span(p.Ended.Sub(p.Started).Truncate(time.Second)))
		add("Ended by", p.Ender())
	default:
		add("Runs for at most", span(length))
	}
	add("Takes part", takesPart(p.Spec))
	add("Is read", methodText(p.Spec))
	if p.Number > 1 {
		add("Run", count(int64(p.Number)))
	}
	add("Owner", p.Spec.Owner)
}

// measured draws the users and the metrics.
func (p *experimentPage) measured(paint func(string) string) {
	p.Users = headcountOf(p.Run, p.Report.Progress)
	whole, weights := 0, make([]int, len(p.Spec.Variants))
	for i, a := range p.Spec.Variants {
		weights[i] = max(1, a.Weight)
		whole += weights[i]
	}
	for i, a := range p.Spec.Variants {
		one := armShare{chip: chip{paint(a.Variant), a.Variant}, Want: 100 * float64(weights[i]) / float64(whole), Control: i == 0}
		if i < len(p.Report.Progress.Each) && p.Users.Users > 0 {
			one.Users = p.Report.Progress.Each[i]
			one.Is = 100 * float64(one.Users) / float64(p.Users.Users)
		}
		p.Shares = append(p.Shares, one)
	}
	scale := forestOf(p.Report.Metrics)
	for _, g := range []metricGroup{
		{Role: string(experiment.Primary), Title: "Primary metric", Note: "decides"},
		{Role: string(experiment.Guardrail), Title: "Guardrails", Note: "one that is harmed ends the experiment by itself"},
		{Role: string(experiment.Secondary), Title: "Secondary metrics", Note: "help to understand"},
	} {
		for _, m := range p.Report.Metrics {
			if string(m.Role) == g.Role {
				p.Margins = p.Margins || m.Role == experiment.Guardrail && m.Margin > 0
				g.Metrics = append(g.Metrics, metricView{m, measuredText(m), effectsOf(m, paint, scale)})
			}
		}
		if len(g.Metrics) > 0 {
			p.Groups = append(p.Groups, g)
		}
	}
}

// measuredText says what a metric is of each user.
func measuredText(m experiment.MetricReport) string {
	text := map[experiment.Kind]string{experiment.Proportion: "share of users", experiment.Mean: "mean of users", experiment.Ratio: "ratio", experiment.Quantile: percent(m.Quantile) + " quantile"}[m.Kind]
	if m.Direction == experiment.Decrease {
		text += ", less is better"
	}
	if m.Role == experiment.Guardrail && m.Margin > 0 {
		text += ", " + m.Difference.Text(m.Margin)[1:] + " worse is put up with"
	}
	return text
}

// act are the buttons.
func (p *experimentPage) act() {
	if !p.May() {
		p.Denied = "The role " + string(p.Who.Role) + " may look at it."
		return
	}
	add := func(verb, label, key string, main, loud bool) {
		p.Actions = append(p.Actions, flagAction{Verb: verb, Label: label, Key: key, To: experimentURL(p.Experiment, verb), Main: main, Loud: loud})
	}
	ship := p.Report != nil && p.Report.Reading.Decision == experiment.Ship
	switch p.Phase {
	case lab.Draft:
		add("start", "Begin", "n", true, false)
	case lab.Running:
		if p.plan != nil {
			add("ship", "End and ship", "e", ship, false)
		}
		add("stop", "End", "o", false, true)
	default:
		if p.plan != nil && p.Shipped == "" && ship {
			add("ship", "Ship", "e", true, false)
		}
		add("start", "Begin again", "n", false, false)
	}
}
