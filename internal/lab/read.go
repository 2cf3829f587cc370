package lab

import (
	"cmp"
	"context"
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

// defaultWeeks is how long an experiment runs that does not say it.
const defaultWeeks = 4 * 7 * 24 * time.Hour

// specOf is the experiment as statistics see it.
func specOf(e resource.Experiment, planned int64) experiment.Spec {
	s := experiment.Spec{Hypothesis: e.Hypothesis, Method: experiment.Method(e.Method), Difference: experiment.Difference(e.Difference), Alpha: e.Alpha,
		Correction: experiment.Correction(cmp.Or(e.Correction, string(experiment.BenjaminiHochberg))), Planned: planned}
	for _, a := range e.Variants {
		s.Variants = append(s.Variants, experiment.Variant{Name: a.Variant, Weight: float64(cmp.Or(a.Weight, 1))})
	}
	names := map[string]bool{}
	s.Primary = metricOf(e.Primary, names)
	s.Primary.MDE = cmp.Or(e.Primary.MinimumEffect, 0.05)
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

// measured are the metrics in the order of the spec's.
func measured(e resource.Experiment) []resource.ExperimentMetric {
	all := append([]resource.ExperimentMetric{e.Primary}, e.Secondary...)
	return append(all, e.Guardrails...)
}

// Read analyzes a run as it is now; step asks for the primary metric over time as well.
func (l *Lab) Read(ctx context.Context, name string, step time.Duration, now time.Time) (Report, error) {
	run, _, err := l.get(ctx, name)
	if err != nil {
		return Report{}, err
	}
	if run.Phase == Draft {
		r, err := l.Catalog.Get(ctx, resource.KindExperiment, name)
		if err != nil {
			return Report{}, err
		}
		run.Spec, err = resource.As[resource.Experiment](r)
		return Report{Run: run}, err
	}
	return l.read(ctx, run, step, now)
}

func (l *Lab) read(ctx context.Context, run Run, step time.Duration, now time.Time) (Report, error) {
	out := Report{Run: run}
	until := now
	if run.Phase == Ended {
		until = run.Ended
	}
	q, err := l.question(ctx, run, until)
	if err != nil {
		return out, err
	}
	spec := specOf(run.Spec, run.Planned)
	data := experiment.Data{Metrics: map[string][]experiment.Summary{}, Users: make([]int64, len(spec.Variants))}
	names := append([]experiment.Metric{spec.Primary}, append(spec.Secondary, spec.Guardrails...)...)
	var series []Point
	for i, m := range measured(run.Spec) {
		m.Kind = string(names[i].Kind)
		m.Quantile = names[i].Quantile
		q.Metric, q.Step = &m, 0
		if i == 0 {
			q.Step = step
		}
		a, err := l.Events.Sum(ctx, q)
		if err != nil {
			return out, err
		}
		if i == 0 {
			data.Multiple, series = a.Several, a.Series
			for k, v := range spec.Variants {
				data.Users[k] = a.Exposed[v.Name]
			}
		}
		data.Metrics[names[i].Name] = arrange(a.Variants, spec.Variants)
	}
	report, err := experiment.Analyze(spec, data)
	if err != nil {
		return out, err
	}
	out.Report = &report
	out.Run.Reading, out.Run.Read = out.Report.Reading, now.UTC()
	out.Series = moments(spec, series)
	return out, nil
}

// question is what is asked of a run's users.
func (l *Lab) question(ctx context.Context, run Run, until time.Time) (Question, error) {
	s := subject(run.Spec)
	q := Question{Environment: s.Environment, Flag: s.Key, Since: run.Since, Until: until.Add(time.Millisecond)}
	if !q.Until.After(q.Since) {
		q.Until = q.Since.Add(time.Millisecond) // nobody yet
	}
	bucketing := exposure.V2
	if r, err := l.Catalog.Get(ctx, resource.KindFlagSet, s.Set); err == nil {
		if doc, _ := flag.Of(r); doc != nil {
			bucketing = doc.Bucketing
		}
	} else if !errs.Is(err, errs.Missing) {
		return q, err
	}
	who, err := run.Assignment.Compile(s.Key, bucketing)
	if err != nil {
		return q, err
	}
	q.Take = func(user string, attributes map[string]any) bool {
		_, in := who.Of(&exposure.Context{TargetingKey: user, Attributes: attributes, Timestamp: until.Unix()})
		return in
	}
	return q, nil
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
			if c.Effect != nil && c.CI != nil {
				m.Effects[c.Variant] = Confidence{*c.Effect, c.CI[0], c.CI[1]}
			}
		}
		all = append(all, m)
	}
	return all
}
