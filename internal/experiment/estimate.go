package experiment

import (
	"fmt"
	"math"
)

// Estimate is the difference between two variants.
type Estimate struct {
	Effect    float64 // positive when the treatment has more
	SE        float64 // standard error of the effect
	N         int64   // users of both
	DF        float64 // degrees of freedom, by Welch and Satterthwaite
	Control   float64 // the metric itself, before any adjustment
	Treatment float64
	Reduction float64 // share of the effect's variance that the covariate took away
}

type gradient [quantities]float64

// form is the variance of a linear combination of a summary's quantities.
func (s Summary) form(a, b gradient) float64 {
	sum := 0.0
	for i, x := range a {
		for j, y := range b {
			sum += x * y * s.Cov[i][j]
		}
	}
	return sum
}

// value is the metric in the quantities from at on, and how it moves with them.
func (s Summary) value(kind Kind, at int) (float64, gradient) {
	m := s.Mean[at]
	var g gradient
	if d := s.Mean[at+1]; kind == Ratio && s.hasDenominator() {
		if d == 0 {
			return math.NaN(), g
		}
		g[at], g[at+1] = 1/d, -m/(d*d)
		return m / d, g
	}
	g[at] = 1
	return m, g
}

// hasDenominator is false for a ratio whose summary was made of the ratios themselves.
func (s Summary) hasDenominator() bool {
	return s.Mean[Denominator] != 0 || s.Cov[Denominator][Denominator] != 0
}

// Compare estimates the difference of treatment from control. Where there is nothing to estimate from, the second result
// says why.
//
// With a covariate X the metric Y is taken as Y - theta X, with the theta that leaves least variance in both variants
// together (Deng, Xu, Kohavi and Walker, WSDM 2013). The covariate is from before the experiment, so the adjustment
// is 0 on average and the effect stays the effect on Y. What is relative is so to the control's Y.
func Compare(kind Kind, difference Difference, control, treatment Summary) (Estimate, string) {
	if control.N < 2 || treatment.N < 2 {
		return Estimate{}, fmt.Sprintf("too few users: %d in %s, %d in %s", control.N, control.Name, treatment.N, treatment.Name)
	}
	if control.Adjusted != treatment.Adjusted {
		return Estimate{}, "only one of the variants has a covariate"
	}
	theta := theta(kind, control, treatment)
	plain, why := compare(kind, difference, control, treatment, 0, 0)
	if theta == 0 || why != "" {
		return plain, why
	}
	e, why := compare(kind, difference, control, treatment, theta, 0)
	if why != "" {
		return e, why
	}
	e.Reduction = 1 - e.SE*e.SE/(plain.SE*plain.SE)
	return e, ""
}

// contrast estimates by how much the treatment is above the control and the given relative effect, in units of the metric. It asks
// the same of a relative effect as Compare (Fieller, 1954) without dividing by the control, and so without the lopsidedness that
// a quotient has while the control is uncertain.
func contrast(kind Kind, control, treatment Summary, relative float64) (Estimate, string) {
	return compare(kind, Absolute, control, treatment, theta(kind, control, treatment), relative)
}

// fieller is the relative effects that a contrast does not exclude by so many standard errors. An end is infinite when the control
// cannot be told from 0.
func fieller(kind Kind, control, treatment Summary, width float64) Interval {
	plain, why := contrast(kind, control, treatment, 0)
	up, _ := contrast(kind, control, treatment, 1)
	down, _ := contrast(kind, control, treatment, -1)
	size, k2 := math.Abs(plain.Control), width*width
	// The variance of the contrast at r is v0 + 2 r c + r² a, and the ends are where its square is k2 times that.
	v0 := plain.SE * plain.SE
	a, c := (up.SE*up.SE+down.SE*down.SE)/2-v0, (up.SE*up.SE-down.SE*down.SE)/4
	lead, middle, rest := size*size-k2*a, plain.Effect*size+k2*c, plain.Effect*plain.Effect-k2*v0
	root := math.Sqrt(middle*middle - lead*rest)
	switch {
	case why != "" || !finite(root) || lead == 0:
	case lead > 0:
		return Interval{(middle - root) / lead, (middle + root) / lead}
	case plain.Effect > 0: // the other branch, for a control of the other sign, is not of interest
		return Interval{(middle - root) / lead, math.Inf(1)}
	}
	return Interval{math.Inf(-1), math.Inf(1)}
}

func theta(kind Kind, a, b Summary) float64 {
	if !a.Adjusted || !b.Adjusted {
		return 0
	}
	return slope(kind, a, b)
}

func compare(kind Kind, difference Difference, a, b Summary, theta, shift float64) (Estimate, string) {
	ya, ga := a.value(kind, Value)
	yb, gb := b.value(kind, Value)
	e := Estimate{N: a.N + b.N, Control: ya, Treatment: yb, Effect: yb - ya}
	for _, s := range []Summary{a, b} {
		if y, _ := s.value(kind, Value); !finite(y) {
			return Estimate{}, "the denominator of " + s.Name + " is 0"
		}
	}
	base := ga // how the control itself moves, which a relative effect is divided by
	if theta != 0 {
		xa, ha := a.value(kind, Covariate)
		xb, hb := b.value(kind, Covariate)
		e.Effect -= theta * (xb - xa)
		for i := range quantities {
			ga[i] -= theta * ha[i]
			gb[i] -= theta * hb[i]
		}
	}
	va, vb, why := variances(kind, a, b, ga, gb)
	if why != "" {
		return Estimate{}, why
	}
	if shift != 0 {
		e.Effect -= shift * math.Abs(ya)
		for i := range quantities {
			ga[i] += shift * math.Copysign(1, ya) * base[i]
		}
		if a.Cov[Value][Value] > 0 {
			va = a.form(ga, ga)
		}
	}
	na, nb := float64(a.N), float64(b.N)
	sa, sb := va/na, vb/nb
	e.DF = (sa + sb) * (sa + sb) / (sa*sa/(na-1) + sb*sb/(nb-1))
	if difference == Relative {
		if ya == 0 {
			return Estimate{}, "the control is 0, nothing is relative to it"
		}
		size := math.Abs(ya)
		e.Effect /= size
		moved := e.Effect
		if kind != Ratio { // the adjustment is 0 on average; to leave it out here is what the published numbers do
			moved = (yb - ya) / size
		}
		for i := range quantities {
			ga[i] = -ga[i]/size - moved/ya*base[i]
		}
		sa = a.form(ga, ga) / na
		sb /= size * size
		if a.Cov[Value][Value] == 0 { // it is the control that does not vary
			sa = va / na / (size * size)
		}
	}
	e.SE = math.Sqrt(sa + sb)
	if square := e.SE * e.SE; !finite(e.Effect, e.DF, square, 1/square, e.Effect*e.Effect/square) || !(square > 0) {
		return Estimate{}, "the numbers are too large or too small to compare"
	}
	return e, ""
}

// variances are those of the metric in each variant. A variant in which nothing varies, since nobody did it or everybody, is
// taken to vary as the other one: that nothing is left of a metric must not go unseen. The interval of a quantile that
// has no width says only that it was not resolved.
func variances(kind Kind, a, b Summary, ga, gb gradient) (va, vb float64, why string) {
	va, vb = a.form(ga, ga), b.form(gb, gb)
	if kind != Quantile && va == 0 && a.Cov[Value][Value] == 0 {
		va = vb
	}
	if kind != Quantile && vb == 0 && b.Cov[Value][Value] == 0 {
		vb = va
	}
	for _, v := range []struct {
		of  Summary
		is  float64
		raw float64
	}{{a, va, a.Cov[Value][Value]}, {b, vb, b.Cov[Value][Value]}} {
		if !(v.is > 0) || !(v.raw >= 0) || !finite(v.is) {
			return 0, 0, "nothing varies in " + v.of.Name + ", or too few users to say how much"
		}
	}
	return va, vb, ""
}

// slope is how much the metric moves with the covariate. That of a ratio is of the two ratios, as far as they are linear.
func slope(kind Kind, a, b Summary) float64 {
	if kind == Ratio && a.hasDenominator() && b.hasDenominator() {
		return ratioSlope(a, b)
	}
	na, nb := float64(a.N), float64(b.N)
	pooled := func(i, j int) float64 { // the sum of products of deviations from the mean of both
		within := (na-kind.lost())*a.Cov[i][j] + (nb-kind.lost())*b.Cov[i][j]
		return within + na*nb/(na+nb)*(a.Mean[i]-b.Mean[i])*(a.Mean[j]-b.Mean[j])
	}
	if pooled(Covariate, Covariate) <= 0 || pooled(Value, Value) <= 0 {
		return 0
	}
	return pooled(Value, Covariate) / pooled(Covariate, Covariate)
}

func ratioSlope(a, b Summary) float64 {
	var with, of float64
	for _, s := range []Summary{a, b} {
		_, g := s.value(Ratio, Value)
		x, h := s.value(Ratio, Covariate)
		if !finite(x) || s.Mean[CovariateDenominator] == 0 {
			return 0
		}
		with += s.form(g, h)
		of += s.form(h, h)
	}
	if of <= 0 {
		return 0
	}
	return with / of
}
