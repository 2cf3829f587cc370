package experiment

import (
	"encoding/json"
	"math"

	"github.com/ringfence/ringfence/internal/stat"
)

// Tail says on which side of the estimate an interval ends.
type Tail uint8

// The tails.
const (
	Both  Tail = iota
	Above      // evidence that the effect is above something: the interval has a lower end only
	Below      // evidence that it is below: an upper end only
)

// Test is how an estimate is judged.
type Test struct {
	Method Method
	Alpha  float64
	Tuning float64 // of the sequential method
	Prior  *Prior  // of the Bayesian one, of the relative effect
	Scale  float64 // what the prior is multiplied by: 1, or the control's size for an absolute effect
	Tail   Tail    // of the others
	Null   float64 // the effect that the p-value is about
}

// Interval is from low to high; an end may be infinite, which is null in JSON.
type Interval [2]float64

// MarshalJSON writes infinite ends as null.
func (i Interval) MarshalJSON() ([]byte, error) {
	var ends [2]*float64
	for k, v := range i {
		if !math.IsInf(v, 0) {
			ends[k] = &v
		}
	}
	return json.Marshal(ends)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (i *Interval) UnmarshalJSON(raw []byte) error {
	var ends [2]*float64
	if err := json.Unmarshal(raw, &ends); err != nil {
		return err
	}
	*i = Interval{math.Inf(-1), math.Inf(1)}
	for k, v := range ends {
		if v != nil {
			i[k] = *v
		}
	}
	return nil
}

// Outcome is what a test says of an estimate.
type Outcome struct {
	Effect float64
	CI     Interval
	PValue float64 // of Welch and the sequential method
	Chance float64 // of the Bayesian one: that the effect is above Null
	Loss   float64 // of the Bayesian one: what is lost on average by choosing the treatment when more is better
	Regret float64 // and by choosing the control
}

// Judge applies the test. It is for estimates that Compare gave.
func (t Test) Judge(e Estimate) Outcome {
	switch t.Method {
	case Welch:
		return t.welch(e)
	case Bayesian:
		return t.bayes(e)
	}
	return t.sequential(e)
}

func (t Test) welch(e Estimate) Outcome {
	score := (e.Effect - t.Null) / e.SE
	switch t.Tail {
	case Above:
		half := stat.StudentQuantile(t.Alpha, e.DF) * e.SE
		return Outcome{Effect: e.Effect, CI: Interval{e.Effect - half, math.Inf(1)}, PValue: stat.StudentTail(score, e.DF)}
	case Below:
		half := stat.StudentQuantile(t.Alpha, e.DF) * e.SE
		return Outcome{Effect: e.Effect, CI: Interval{math.Inf(-1), e.Effect + half}, PValue: stat.StudentTail(-score, e.DF)}
	}
	half := stat.StudentQuantile(t.Alpha/2, e.DF) * e.SE
	return Outcome{Effect: e.Effect, CI: Interval{e.Effect - half, e.Effect + half}, PValue: 2 * stat.StudentTail(math.Abs(score), e.DF)}
}

// rho2 is the square of the parameter that makes a confidence sequence tightest at the tuning number of users (Waudby-Smith
// et al., version 7, equation 161); with one tail it is that of twice alpha.
func (t Test) rho2() float64 {
	alpha := t.Alpha
	if t.Tail != Both {
		alpha *= 2
	}
	l := -2 * math.Log(alpha)
	return (l + math.Log1p(l)) / t.Tuning
}

// halfWidth is how far a confidence sequence reaches from an effect with the standard error se after n users (equations
// 9 and, with one tail, 134).
func (t Test) halfWidth(se, n float64) float64 {
	r := n * t.rho2()
	if t.Tail != Both {
		return se * math.Sqrt(2*(r+1)/r*math.Log1p(math.Sqrt(r+1)/(2*t.Alpha)))
	}
	return se * math.Sqrt(2*(r+1)/r*math.Log(math.Sqrt(r+1)/t.Alpha))
}

func (t Test) sequential(e Estimate) Outcome {
	n := float64(e.N)
	half, r, score := t.halfWidth(e.SE, n), n*t.rho2(), (e.Effect-t.Null)/e.SE
	if t.Tail == Both { // equation 155: 1 over the e-value
		log := math.Log1p(r)/2 - score*score*r/(2*(r+1))
		return Outcome{Effect: e.Effect, CI: Interval{e.Effect - half, e.Effect + half}, PValue: min(1, math.Exp(log))}
	}
	ci := Interval{e.Effect - half, math.Inf(1)}
	if t.Tail == Below {
		ci, score = Interval{math.Inf(-1), e.Effect + half}, -score
	}
	return Outcome{Effect: e.Effect, CI: ci, PValue: oneTailed(score, r)}
}

// oneTailed is the alpha at which a confidence sequence with one tail ends at the null, with the parameter kept. Equation 134 is
// for alphas below one half; there is no evidence where a larger one would be needed.
func oneTailed(score, r float64) float64 {
	if score <= 0 {
		return 1
	}
	p := math.Sqrt(r+1) / (2 * math.Expm1(score*score*r/(2*(r+1))))
	if p >= 0.5 {
		return 1
	}
	return p
}

// bayes is the posterior of a normal effect, with a flat prior unless there is one.
func (t Test) bayes(e Estimate) Outcome {
	mean, precision := e.Effect, 1/(e.SE*e.SE)
	if t.Prior != nil {
		m, sd := t.Prior.Mean*t.scale(), t.Prior.StdDev*t.scale()
		mean = (mean*precision + m/(sd*sd)) / (precision + 1/(sd*sd))
		precision += 1 / (sd * sd)
	}
	sd := 1 / math.Sqrt(precision)
	half := -stat.NormalQuantile(t.Alpha/2) * sd
	score := (mean - t.Null) / sd
	dense := sd * stat.NormalDensity(score)
	return Outcome{Effect: mean, CI: Interval{mean - half, mean + half}, Chance: stat.NormalCDF(score),
		Loss: max(0, dense-(mean-t.Null)*stat.NormalCDF(-score)), Regret: max(0, dense+(mean-t.Null)*stat.NormalCDF(score))}
}

func (t Test) scale() float64 {
	if t.Scale == 0 {
		return 1
	}
	return t.Scale
}
