package experiment

import (
	"math"
	"slices"
)

// Kind is what a metric measures of each user.
type Kind string

// The kinds of metrics.
const (
	Proportion Kind = "proportion" // did they, or not
	Mean       Kind = "mean"       // how much
	Ratio      Kind = "ratio"      // how much for each of something else: the sum of one over the sum of the other
	Quantile   Kind = "quantile"   // what a share of the users stays below
)

// Method is how an estimate is judged.
type Method string

// The methods.
const (
	Sequential Method = "sequential" // confidence sequences: may be looked at any time
	Welch      Method = "welch"      // Welch's t-test: one look, at the planned size
	Bayesian   Method = "bayesian"   // the chance to be better
)

// Difference is how two variants are set against each other.
type Difference string

// The differences.
const (
	Relative Difference = "relative" // to the control: 0.05 is 5 % more
	Absolute Difference = "absolute" // in units of the metric
)

// Direction is which change of a metric is good.
type Direction string

// The directions.
const (
	Increase Direction = "increase"
	Decrease Direction = "decrease"
)

// sign is 1 when more is better and -1 when less is.
func (d Direction) sign() float64 {
	if d == Decrease {
		return -1
	}
	return 1
}

// Correction is how p-values are adjusted when there are several.
type Correction string

// The corrections.
const (
	Holm              Correction = "holm"               // bounds the chance of any false discovery
	BenjaminiHochberg Correction = "benjamini-hochberg" // bounds the expected share of false ones among the discoveries
	Uncorrected       Correction = "none"
)

// Prior is a normal belief about the relative effect before anything was seen.
type Prior struct {
	Mean   float64 `json:"mean" minimum:"-1000000" maximum:"1000000" doc:"expected relative effect"`
	StdDev float64 `json:"stddev" minimum:"0.000001" maximum:"1000000" doc:"its standard deviation"`
}

// Metric is what is measured. Of the settings for a role those of other roles are left alone.
type Metric struct {
	Name       string     `json:"name" doc:"name of the metric"`
	Kind       Kind       `json:"kind" enum:"proportion,mean,ratio,quantile" doc:"what is measured of each user"`
	Direction  Direction  `json:"direction,omitempty" enum:"increase,decrease" doc:"which change is good, increase unless said otherwise"`
	Difference Difference `json:"difference,omitempty" enum:"relative,absolute" doc:"how it is set against the control's, the experiment's difference unless said otherwise"`
	Quantile   float64    `json:"quantile,omitempty" minimum:"0.01" maximum:"0.9999" doc:"of a quantile: which"`
	Margin     float64    `json:"margin,omitempty" minimum:"0" doc:"of a guardrail: how much worse is tolerated, as a difference"`
	MDE        float64    `json:"mde,omitempty" minimum:"0" doc:"of the primary metric: the smallest effect worth seeing, as a difference"`
}

// Variant is one of the things compared, with its share of the users in any unit.
type Variant struct {
	Name   string  `json:"name" doc:"name of the variant"`
	Weight float64 `json:"weight,omitempty" minimum:"0" doc:"its share of the users beside the others' weights, 1 unless said otherwise"`
}

// Spec says what an experiment is to find out. Zero values mean the defaults, which Defaults fills in.
type Spec struct {
	Hypothesis string     `json:"hypothesis,omitempty" maxLength:"2000" doc:"what is believed, in a sentence"`
	Variants   []Variant  `json:"variants" minItems:"2" maxItems:"20" doc:"the control first"`
	Method     Method     `json:"method,omitempty" enum:"sequential,welch,bayesian" doc:"how the metrics are judged, sequential unless said otherwise"`
	Difference Difference `json:"difference,omitempty" enum:"relative,absolute" doc:"how variants are set against each other, relative unless said otherwise"`
	Alpha      float64    `json:"alpha,omitempty" minimum:"0.000001" maximum:"0.49" doc:"chance of a false alarm, 0.05 unless said otherwise"`
	Tuning     float64    `json:"tuning,omitempty" minimum:"1" doc:"of the sequential method: the number of users at which it sees most, 5000 unless said otherwise"`
	Prior      *Prior     `json:"prior,omitempty" doc:"of the Bayesian method; none unless given"`
	Correction Correction `json:"correction,omitempty" enum:"holm,benjamini-hochberg,none" doc:"for several variants or secondary metrics, holm unless said otherwise"`
	Primary    Metric     `json:"primary" doc:"the metric that decides"`
	Secondary  []Metric   `json:"secondary,omitempty" maxItems:"50" doc:"metrics that explain"`
	Guardrails []Metric   `json:"guardrails,omitempty" maxItems:"50" doc:"metrics that must not get worse"`
	Minimum    int64      `json:"minimumSample,omitempty" minimum:"1" doc:"users in each variant before anything is read, 100 unless said otherwise"`
	Planned    int64      `json:"plannedSample,omitempty" minimum:"1" doc:"users of all variants together at which the experiment ends"`
}

// The defaults.
const (
	DefaultAlpha   = 0.05
	DefaultTuning  = 5000
	DefaultPower   = 0.8
	DefaultMinimum = 100
)

// Defaults fills in what was left out.
func (s Spec) Defaults() Spec {
	s.Method = or(s.Method, Sequential)
	s.Difference = or(s.Difference, Relative)
	s.Alpha = or(s.Alpha, DefaultAlpha)
	s.Tuning = or(s.Tuning, DefaultTuning)
	s.Correction = or(s.Correction, Holm)
	s.Minimum = or(s.Minimum, DefaultMinimum)
	variants := make([]Variant, len(s.Variants))
	for i, v := range s.Variants {
		v.Weight = or(v.Weight, 1)
		variants[i] = v
	}
	s.Variants = variants
	s.Primary = s.Primary.defaults(s)
	s.Secondary, s.Guardrails = slices.Clone(s.Secondary), slices.Clone(s.Guardrails)
	for i := range s.Secondary {
		s.Secondary[i] = s.Secondary[i].defaults(s)
	}
	for i := range s.Guardrails {
		s.Guardrails[i] = s.Guardrails[i].defaults(s)
	}
	return s
}

func (m Metric) defaults(s Spec) Metric {
	m.Direction, m.Difference = or(m.Direction, Increase), or(m.Difference, s.Difference)
	return m
}

// weights are the shares of the users that the variants are to get; they sum to 1.
func (s Spec) weights() []float64 {
	sum := 0.0
	for _, v := range s.Variants {
		sum += v.Weight
	}
	shares := make([]float64, len(s.Variants))
	for i, v := range s.Variants {
		shares[i] = v.Weight / sum
	}
	return shares
}

func or[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}

func finite(xs ...float64) bool {
	for _, x := range xs {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}
