package lab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
)

// Report is what a run comes to, read now.
type Report struct {
	Run    Run                `json:"run"`
	Report *experiment.Report `json:"report,omitempty" doc:"the evidence; nothing before it has begun"`
	Series []Moment           `json:"series,omitempty" doc:"the primary metric over time, by treatment"`
	Edited bool               `json:"edited,omitempty" doc:"it was declared otherwise since: that is for the next run"`
}

// Moment is what the primary metric would have come to at a time.
type Moment struct {
	At      time.Time             `json:"at"`
	Users   int64                 `json:"users"`
	Effects map[string]Confidence `json:"effects" doc:"by treatment"`
}

// Confidence is an effect with its interval.
type Confidence struct {
	Effect float64 `json:"effect"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// What an experiment has that does not say it.
const (
	DefaultDuration = 4 * 7 * 24 * time.Hour
	DefaultEffect   = 0.05 // the smallest one worth seeing, relative
)

// specOf is the experiment as statistics see it.
func specOf(e resource.Experiment, planned int64) experiment.Spec {
	s := experiment.Spec{Hypothesis: e.Hypothesis, Method: experiment.Method(e.Method), Difference: experiment.Difference(e.Difference), Alpha: e.Alpha,
		Correction: experiment.Correction(cmp.Or(e.Correction, string(experiment.BenjaminiHochberg))), Planned: planned}
	for _, a := range e.Variants {
		s.Variants = append(s.Variants, experiment.Variant{Name: a.Variant, Weight: float64(cmp.Or(a.Weight, 1))})
	}
	names := map[string]bool{}
	s.Primary = metricOf(e.Primary, names)
	s.Primary.MDE = cmp.Or(e.Primary.MinimumEffect, DefaultEffect)
	for _, m := range e.Secondary {
		s.Secondary = append(s.Secondary, metricOf(m, names))
	}
	for _, m := range e.Guardrails {
		g := metricOf(m, names)
		g.Margin, g.Difference = m.Margin, experiment.Relative
		s.Guardrails = append(s.Guardrails, g)
	}
	return s
}

// metricOf is a metric under a name that no other has.
func metricOf(m resource.ExperimentMetric, names map[string]bool) experiment.Metric {
	name := cmp.Or(m.Name, m.Event)
	for names[name] {
		name += "'"
	}
	names[name] = true
	out := experiment.Metric{Name: name, Kind: experiment.Kind(cmp.Or(m.Kind, string(experiment.Proportion))), Direction: experiment.Direction(m.Direction)}
	if out.Kind == experiment.Quantile {
		out.Quantile = cmp.Or(m.Quantile, 0.95)
	}
	return out
}

// measured are the metrics in the order of the spec's, with what it says by default.
func measured(e resource.Experiment, spec experiment.Spec) []resource.ExperimentMetric {
	all := slices.Concat([]resource.ExperimentMetric{e.Primary}, e.Secondary, e.Guardrails)
	for i, m := range slices.Concat([]experiment.Metric{spec.Primary}, spec.Secondary, spec.Guardrails) {
		all[i].Kind, all[i].Quantile = string(m.Kind), m.Quantile
	}
	return all
}

// Read analyzes a run as it is now, and one that has ended as it was then; step asks for the primary metric over time as well.
func (l *Lab) Read(ctx context.Context, name string, step time.Duration, now time.Time) (Report, error) {
	run, _, err := l.get(ctx, name)
	if err != nil {
		return Report{}, err
	}
	var declared resource.Experiment
	r, err := l.Catalog.Get(ctx, resource.KindExperiment, name)
	if err == nil {
		declared, err = resource.As[resource.Experiment](r)
	}
	switch {
	case run.Phase == Draft:
		run.Spec = declared
		return Report{Run: run}, err
	case err != nil && !errs.Is(err, errs.Missing):
		return Report{}, err
	}
	edited := err == nil && run.Phase == Running && !same(declared, run.Spec)
	out, err := l.read(ctx, run, step, now)
	out.Edited = edited
	return out, err
}

// same compares as they are written: what a rule looks like in memory is no difference.
func same(a, b resource.Experiment) bool {
	left, _ := json.Marshal(a)
	right, _ := json.Marshal(b)
	return bytes.Equal(left, right)
}

func (l *Lab) read(ctx context.Context, run Run, step time.Duration, now time.Time) (Report, error) {
	out := Report{Run: run, Report: run.Report}
	out.Run.Report = nil
	until := now
	if run.Phase == Ended {
		until = run.Ended
	}
	q, err := l.question(ctx, run, until)
	if err != nil {
		return out, err
	}
	spec := specOf(run.Spec, run.Planned)
	if run.Phase != Ended || run.Report == nil { // what it ended with stands, also when its events are no longer kept
		report, err := l.analyze(ctx, run, spec, q)
		if err != nil {
			return out, err
		}
		report.Reading = run.word(report, until)
		out.Report = &report
		out.Run.Reading, out.Run.Read = report.Reading, now.UTC()
	}
	if step > 0 {
		m := measured(run.Spec, spec)[0]
		q.Metric, q.Step = &m, step
		a, err := l.Events.Sum(ctx, q)
		if err != nil {
			return out, err
		}
		out.Series = moments(spec, a.Series)
	}
	return out, nil
}

// analyze asks for every metric and compares.
func (l *Lab) analyze(ctx context.Context, run Run, spec experiment.Spec, q Question) (experiment.Report, error) {
	data := experiment.Data{Metrics: map[string][]experiment.Summary{}, Users: make([]int64, len(spec.Variants))}
	names := slices.Concat([]experiment.Metric{spec.Primary}, spec.Secondary, spec.Guardrails)
	for i, m := range measured(run.Spec, spec) {
		q.Metric = &m
		a, err := l.Events.Sum(ctx, q)
		if err != nil {
			return experiment.Report{}, err
		}
		if i == 0 {
			data.Multiple = a.Several
			for k, v := range spec.Variants {
				data.Users[k] = a.Exposed[v.Name]
			}
		}
		data.Metrics[names[i].Name] = arrange(a.Variants, spec.Variants)
	}
	return experiment.Analyze(spec, data)
}

// word is the reading of a run that is read over and over: a fixed-horizon test is read once, and when the time is over nobody
// waits for more.
func (r Run) word(report experiment.Report, now time.Time) experiment.Reading {
	is, was := report.Reading, r.Reading
	switch {
	case is.Decision == experiment.Broken || harmed(report) != "":
	case r.Spec.Method == string(experiment.Welch) && (was.Decision == experiment.Ship || was.Decision == experiment.Stop):
		return was
	case is.Decision == experiment.KeepRunning && now.After(r.Started.Add(r.Spec.MaxDuration.D(DefaultDuration))):
		is.Decision, is.Why = experiment.Stop, "its time is over: "+is.Why
	}
	return is
}

// question is what is asked of a run's users.
func (l *Lab) question(ctx context.Context, run Run, until time.Time) (Question, error) {
	s := subject(run.Spec)
	q := Question{Environment: s.Environment, Flag: s.Key, Since: run.Since, Until: until.Add(time.Millisecond)}
	if !q.Until.After(q.Since) {
		q.Until = q.Since.Add(time.Millisecond) // nobody yet
	}
	who, err := run.Assignment.Compile(s.Key, cmp.Or(run.Bucketing, exposure.V2))
	if err != nil {
		return q, err
	}
	chosen, err := l.chosen(ctx, s)
	if err != nil {
		return q, err
	}
	q.Take = func(user string, attributes map[string]any) bool {
		_, in := who.Of(&exposure.Context{TargetingKey: user, Attributes: attributes, Timestamp: until.Unix()})
		return in && !chosen[user]
	}
	return q, nil
}

// chosen are the users who chose about the flag's preview: what they have, they do not have by chance.
func (l *Lab) chosen(ctx context.Context, s flag.Subject) (map[string]bool, error) {
	if l.Choices == "" {
		return nil, nil
	}
	doc, err := l.Store.Get(ctx, l.Choices, s.String())
	if errs.Is(err, errs.Missing) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var c flag.Choices
	if err := json.Unmarshal(doc.Body, &c); err != nil {
		return nil, errs.Wrap(errs.Internal, err, "what users chose about %s is damaged", s)
	}
	all := map[string]bool{}
	for _, user := range append(c.In, c.Out...) {
		all[user] = true
	}
	return all, nil
}

// arrange puts summaries into the order of the variants; of a variant without users it is empty.
func arrange(got []experiment.Summary, variants []experiment.Variant) []experiment.Summary {
	out := make([]experiment.Summary, len(variants))
	for i, v := range variants {
		out[i].Name = v.Name
		for _, s := range got {
			if s.Name == v.Name {
				out[i] = s
			}
		}
	}
	return out
}

// moments is the primary metric over time.
func moments(spec experiment.Spec, points []Point) []Moment {
	var all []Moment
	spec.Secondary, spec.Guardrails = nil, nil
	for _, p := range points {
		data := experiment.Data{Metrics: map[string][]experiment.Summary{}, Users: make([]int64, len(spec.Variants))}
		ordered := arrange(p.Variants, spec.Variants)
		data.Metrics[spec.Primary.Name] = ordered
		m := Moment{At: p.At, Effects: map[string]Confidence{}}
		for i, s := range ordered {
			data.Users[i] = s.N
			m.Users += s.N
		}
		r, err := experiment.Analyze(spec, data)
		if err != nil {
			continue
		}
		for _, c := range r.Metrics[0].Treatments {
			if c.Effect != nil && c.CI != nil && !math.IsInf(c.CI[0], 0) && !math.IsInf(c.CI[1], 0) {
				m.Effects[c.Variant] = Confidence{*c.Effect, c.CI[0], c.CI[1]}
			}
		}
		all = append(all, m)
	}
	return all
}
