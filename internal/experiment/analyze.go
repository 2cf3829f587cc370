package experiment

import (
	"math"

	"github.com/ringfence/ringfence/internal/errs"
)

// Role is what a metric is for.
type Role string

// The roles.
const (
	Primary   Role = "primary"
	Secondary Role = "secondary"
	Guardrail Role = "guardrail"
)

// State is what is known of one variant in one metric.
type State string

// The states. Of a guardrail better is safe and worse is harmed.
const (
	Better  State = "better"
	Worse   State = "worse"
	Safe    State = "safe"    // shown to be no worse than its margin
	Harmed  State = "harmed"  // shown to be worse than its margin
	Open    State = "open"    // neither is shown
	Unknown State = "unknown" // there is no estimate
)

// Data is what was seen so far.
type Data struct {
	Metrics  map[string][]Summary `json:"metrics"`            // by the metric's name, as the variants
	Users    []int64              `json:"users"`              // assigned, as the variants
	Multiple int64                `json:"multiple,omitempty"` // users who were seen in more than one variant, and are in none of the others' counts
}

// Comparison is one treatment beside the control in one metric. What the method does not have, or there is no estimate for, is nil.
type Comparison struct {
	Variant  string    `json:"variant"`
	State    State     `json:"state"`
	Control  *float64  `json:"control,omitempty"` // the metric itself
	Value    *float64  `json:"value,omitempty"`
	Effect   *float64  `json:"effect,omitempty"`
	CI       *Interval `json:"ci,omitempty"` // of a guardrail: two one-sided bounds, each with the chance alpha
	PValue   *float64  `json:"pValue,omitempty"`
	Adjusted *float64  `json:"adjustedPValue,omitempty"` // when there are several
	Chance   *float64  `json:"chanceToWin,omitempty"`
	Loss     *float64  `json:"expectedLoss,omitempty"`      // by shipping
	Reduced  *float64  `json:"varianceReduction,omitempty"` // by the covariate
	Problem  string    `json:"problem,omitempty"`           // why there is no estimate

	witness float64 // a second p-value, which must agree before there is a state; 0 when there is none
}

// MetricReport is what is known of one metric.
type MetricReport struct {
	Metric
	Role       Role         `json:"role"`
	Treatments []Comparison `json:"treatments"`
}

// Progress is how far the experiment is.
type Progress struct {
	Users   int64   `json:"users"`
	Planned int64   `json:"planned,omitempty"`
	Share   float64 `json:"share,omitempty"` // of the plan, in the variant that is furthest behind
	Each    []int64 `json:"each,omitempty"`  // users, as the variants
}

// Report is what is known of an experiment.
type Report struct {
	Method     Method         `json:"method"`
	Alpha      float64        `json:"alpha"`
	Mismatch   Mismatch       `json:"srm"`
	Multiple   Multiple       `json:"multipleExposures"`
	Progress   Progress       `json:"progress"`
	Metrics    []MetricReport `json:"metrics"`
	Treatments []Reading      `json:"treatments"` // a reading for each
	Reading    Reading        `json:"reading"`    // and for all together
}

// Analyze reads an experiment. The error is for a spec that Validate refuses and for data that is not of the spec's variants.
func Analyze(spec Spec, data Data) (Report, error) {
	if err := spec.Validate(); err != nil {
		return Report{}, err
	}
	spec = spec.Defaults()
	if err := data.validate(spec); err != nil {
		return Report{}, err
	}
	shares := spec.weights()
	r := Report{Method: spec.Method, Alpha: spec.Alpha, Mismatch: CheckShares(data.Users, shares),
		Multiple: CheckMultiple(data.Multiple, data.Users), Progress: Progress{Planned: spec.Planned, Share: math.Inf(1), Each: data.Users}}
	for i, n := range data.Users {
		r.Progress.Users += n
		if spec.Planned > 0 {
			r.Progress.Share = min(r.Progress.Share, float64(n)/(float64(spec.Planned)*shares[i]))
		}
	}
	if spec.Planned == 0 {
		r.Progress.Share = 0
	}
	for _, m := range spec.metrics() {
		r.Metrics = append(r.Metrics, spec.report(m, data.Metrics[m.Name]))
	}
	for _, role := range []Role{Primary, Secondary} {
		spec.correct(r.Metrics, role)
	}
	r.read(spec, data)
	return r, nil
}

// mostUsers keeps sums of users from overflowing.
const mostUsers = 1e15

func (d Data) validate(spec Spec) error {
	if len(d.Users) != len(spec.Variants) {
		return errs.E(errs.Invalid, "users: got %d, expected one for each of %d variants", len(d.Users), len(spec.Variants))
	}
	for i, n := range d.Users {
		if n < 0 || n > mostUsers {
			return errs.E(errs.Invalid, "users[%d]: got %d, expected 0 to %d", i, n, int64(mostUsers))
		}
	}
	if d.Multiple < 0 || d.Multiple > mostUsers {
		return errs.E(errs.Invalid, "multiple: got %d, expected 0 to %d", d.Multiple, int64(mostUsers))
	}
	for _, m := range spec.metrics() {
		if n := len(d.Metrics[m.Name]); n != 0 && n != len(spec.Variants) {
			return errs.E(errs.Invalid, "metrics.%s: got %d summaries, expected one for each of %d variants", m.Name, n, len(spec.Variants))
		}
	}
	return nil
}

// report compares every treatment with the control in one metric.
func (s Spec) report(m placed, summaries []Summary) MetricReport {
	r := MetricReport{Metric: m.Metric, Role: m.role}
	for i, v := range s.Variants[1:] {
		c := Comparison{Variant: v.Name, State: Unknown, Problem: "there is no data"}
		if summaries != nil {
			control, treatment := summaries[0], summaries[i+1]
			control.Name, treatment.Name = s.Variants[0].Name, v.Name
			var e Estimate
			if e, c.Problem = Compare(m.Kind, m.Difference, control, treatment); c.Problem == "" {
				c.Control, c.Value = &e.Control, &e.Treatment
				if control.Adjusted {
					c.Reduced = &e.Reduction
				}
				if m.role == Guardrail {
					s.guard(&c, m.Metric, e, control, treatment)
				} else {
					s.judge(&c, m.Metric, e, control, treatment)
				}
			}
		}
		r.Treatments = append(r.Treatments, c)
	}
	return r
}

// judge is for metrics that may get better or worse. The states of p-values are set when these are adjusted.
func (s Spec) judge(c *Comparison, m Metric, e Estimate, control, treatment Summary) {
	t := Test{Method: s.Method, Alpha: s.Alpha, Tuning: s.Tuning, Prior: s.Prior, Scale: 1}
	if m.Difference == Absolute {
		t.Scale = math.Abs(e.Control)
		if s.Prior != nil && s.Method == Bayesian && t.Scale < 1e-100 {
			c.Problem = "the control is 0, and the prior is relative to it"
			return
		}
	}
	o := t.Judge(e)
	c.Effect, c.CI, c.State = &o.Effect, &o.CI, Open
	if s.Method != Bayesian {
		c.PValue = &o.PValue
		if plain, why := contrast(m.Kind, control, treatment, 0); s.Method == Sequential && m.Difference == Relative && why == "" {
			c.witness = t.Judge(plain).PValue
		}
		return
	}
	if m.Direction == Decrease {
		o.Chance, o.Loss = 1-o.Chance, o.Regret
	}
	c.Chance, c.Loss = &o.Chance, &o.Loss
	switch {
	case o.Chance >= 1-s.Alpha:
		c.State = Better
	case o.Chance <= s.Alpha:
		c.State = Worse
	}
}

// guardFrom is how many users a variant must have before a guardrail speaks: the confidence sequence is asymptotic.
const guardFrom = 100

// guard asks whether the metric is worse than its margin allows, and whether it is shown not to be.
func (s Spec) guard(c *Comparison, m Metric, e Estimate, control, treatment Summary) {
	t := Test{Method: Sequential, Alpha: s.Alpha, Tuning: s.Tuning}
	t.Tail = Below
	if t.Null = -m.Margin; m.Direction == Decrease {
		t.Tail, t.Null = Above, m.Margin
	}
	// A relative effect is judged by the contrast: a guardrail is there for the bad, which is told while few users did what is counted.
	n := float64(e.N)
	subject, bounds := e, Interval{e.Effect - t.halfWidth(e.SE, n), e.Effect + t.halfWidth(e.SE, n)}
	if plain, why := contrast(m.Kind, control, treatment, t.Null); m.Difference == Relative && why == "" {
		subject, bounds = plain, fieller(m.Kind, control, treatment, t.halfWidth(1, n))
		t.Null = 0
	}
	harm := t.Judge(subject).PValue
	t.Tail = map[Tail]Tail{Above: Below, Below: Above}[t.Tail]
	fine := t.Judge(subject).PValue
	c.Effect, c.CI, c.PValue, c.State = &e.Effect, &bounds, &harm, Open
	switch {
	case min(control.N, treatment.N) < guardFrom:
	case harm <= s.Alpha:
		c.State = Harmed
	case fine <= s.Alpha:
		c.State = Safe
	}
}

func within(i Interval, x float64) bool { return i[0] <= x && x <= i[1] }

// correct adjusts the p-values of all metrics of a role in all treatments, and says which are evidence. Of a relative effect
// judged sequentially the plain difference must be so too: the quotient alone gives up to three times as many false
// alarms as it should while few users did what is counted.
func (s Spec) correct(metrics []MetricReport, role Role) {
	var family []*Comparison
	var signs, ps, both []float64
	for i := range metrics {
		if metrics[i].Role != role {
			continue
		}
		for k := range metrics[i].Treatments {
			if c := &metrics[i].Treatments[k]; c.PValue != nil {
				family, ps, both = append(family, c), append(ps, *c.PValue), append(both, max(*c.PValue, c.witness))
				signs = append(signs, metrics[i].Direction.sign())
			}
		}
	}
	adjusted := Adjusted(s.Correction, ps)
	both = Adjusted(s.Correction, both)
	for i, c := range family {
		if len(family) > 1 && s.Correction != Uncorrected {
			c.Adjusted = &adjusted[i]
		}
		switch good := *c.Effect * signs[i]; {
		case both[i] > s.Alpha:
		case good > 0:
			c.State = Better
		case good < 0:
			c.State = Worse
		}
	}
}
