package cli

import (
	"fmt"
	"math"

	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/resource"
)

// summaryReader turns variants of a file into summaries, and notes what is missing or cannot be.
type summaryReader struct {
	kind     experiment.Kind
	quantile float64
	problems []resource.Problem
}

func (r *summaryReader) add(path, expected, format string, args ...any) {
	r.problems = append(r.problems, resource.Problem{Path: path, Expected: expected, Msg: fmt.Sprintf(format, args...)})
}

func (r *summaryReader) summary(at string, v variantFile) experiment.Summary {
	if r.kind == experiment.Quantile {
		return r.ofQuantile(at, v)
	}
	r.without(at, "is not of the metric "+string(r.kind), map[string]bool{"estimate": v.Estimate != nil, "low": v.Low != nil, "high": v.High != nil})
	s := experiment.Summary{Name: v.Name, N: v.N, Adjusted: v.Covariate != nil}
	r.moments(&s, experiment.Value, at, moments{v.Mean, v.StdDev, v.Sum, v.SumSquares})
	if r.kind != experiment.Ratio {
		r.without(at, "is of the metric ratio only", map[string]bool{"denominator": v.Denominator != nil, "covariateDenominator": v.CovariateDenominator != nil})
	}
	if v.Denominator != nil {
		r.moments(&s, experiment.Denominator, at+".denominator", *v.Denominator)
	} else if r.kind == experiment.Ratio && v.StdDev == nil {
		r.add(at+".denominator", "mean and stddev, or sum and sumSquares", "missing")
	}
	if v.Covariate != nil {
		r.moments(&s, experiment.Covariate, at+".covariate", *v.Covariate)
	}
	switch {
	case v.CovariateDenominator != nil:
		r.moments(&s, experiment.CovariateDenominator, at+".covariateDenominator", *v.CovariateDenominator)
	case v.Covariate != nil && v.Denominator != nil:
		r.add(at+".covariateDenominator", "mean and stddev, or sum and sumSquares", "missing")
	}
	r.pairs(&s, at, v)
	return s
}

func (r *summaryReader) without(at, why string, given map[string]bool) {
	for _, name := range []string{"estimate", "low", "high", "mean", "stddev", "sum", "sumSquares", "denominator", "covariate", "covariateDenominator", "covariances", "products"} {
		if given[name] {
			r.add(at+"."+name, "nothing here", "%s", why)
		}
	}
}

func (r *summaryReader) ofQuantile(at string, v variantFile) experiment.Summary {
	r.without(at, "is not of the metric quantile", map[string]bool{"mean": v.Mean != nil, "stddev": v.StdDev != nil, "sum": v.Sum != nil, "sumSquares": v.SumSquares != nil,
		"denominator": v.Denominator != nil, "covariate": v.Covariate != nil, "covariateDenominator": v.CovariateDenominator != nil, "covariances": v.Covariances != nil, "products": v.Products != nil})
	for _, f := range []struct {
		name string
		is   *float64
	}{{"estimate", v.Estimate}, {"low", v.Low}, {"high", v.High}} {
		if f.is == nil {
			r.add(at+"."+f.name, "a number", "missing")
			return experiment.Summary{}
		}
	}
	if !(*v.Low <= *v.Estimate && *v.Estimate <= *v.High) {
		r.add(at+".low", "low, estimate and high in this order", "got %v, %v and %v", *v.Low, *v.Estimate, *v.High)
	}
	return experiment.QuantileOf(v.Name, v.N, r.quantile, *v.Estimate, *v.Low, *v.High)
}

// moments fills in the mean and variance of a quantity. Those of a proportion follow from each other.
func (r *summaryReader) moments(s *experiment.Summary, of int, at string, m moments) {
	n := float64(s.N)
	switch {
	case m.Mean == nil && m.Sum == nil:
		r.add(at+"."+r.usual(), "a number", "missing")
		return
	case m.Mean != nil && m.Sum != nil:
		r.add(at+".sum", "sum or mean", "there is a mean too")
		return
	case m.StdDev != nil && m.SumSquares != nil:
		r.add(at+".sumSquares", "sumSquares or stddev", "there is a stddev too")
		return
	case m.Mean != nil:
		s.Mean[of] = *m.Mean
	case s.N > 0:
		s.Mean[of] = *m.Sum / n
	}
	mean := s.Mean[of]
	if r.kind == experiment.Proportion {
		if !(mean >= 0 && mean <= 1) || m.Sum != nil && !(*m.Sum >= 0 && *m.Sum <= n) {
			r.add(at+"."+r.usual(), fmt.Sprintf("0 to %d, the users", s.N), "got %v", mean*n)
			return
		}
		s.Cov[of][of] = mean * (1 - mean)
		if m.StdDev != nil && math.Abs(*m.StdDev**m.StdDev-s.Cov[of][of]) > 0.02*s.Cov[of][of]+1/max(n, 1) {
			r.add(at+".stddev", fmt.Sprintf("%.6g, which follows from the proportion, or nothing", math.Sqrt(s.Cov[of][of])), "got %v", *m.StdDev)
		}
		return
	}
	switch {
	case m.StdDev != nil:
		s.Cov[of][of] = *m.StdDev * *m.StdDev
	case m.SumSquares == nil:
		r.add(at+".stddev", "a number of at least 0", "missing")
	default:
		v := (*m.SumSquares - n*mean*mean) / max(n-1, 1)
		if v < -1e-9**m.SumSquares {
			r.add(at+".sumSquares", fmt.Sprintf("at least %.6g, the square of the sum over the users", mean*mean*n), "got %v", *m.SumSquares)
		}
		s.Cov[of][of] = max(v, 0)
	}
}

func (r *summaryReader) usual() string {
	if r.kind == experiment.Proportion {
		return "sum"
	}
	return "mean"
}

// pairs fills in the covariances that the metric needs.
func (r *summaryReader) pairs(s *experiment.Summary, at string, v variantFile) {
	given, field := v.Covariances, at+".covariances"
	if v.Products != nil {
		if given != nil {
			r.add(at+".products", "covariances or products", "there are covariances too")
		}
		given, field = v.Products, at+".products"
	}
	if given == nil {
		given = &joints{}
	}
	ratio, before := v.Denominator != nil, v.Covariate != nil
	for _, p := range []struct {
		name string
		i, j int
		need bool
		is   *float64
	}{
		{"denominator", experiment.Value, experiment.Denominator, ratio, given.Denominator},
		{"covariate", experiment.Value, experiment.Covariate, before, given.Covariate},
		{"covariateDenominator", experiment.Value, experiment.CovariateDenominator, ratio && before, given.CovariateDenominator},
		{"denominatorCovariate", experiment.Denominator, experiment.Covariate, ratio && before, given.DenominatorCovariate},
		{"denominatorCovariateDenominator", experiment.Denominator, experiment.CovariateDenominator, ratio && before, given.DenominatorCovariateDenom},
		{"covariateCovariateDenominator", experiment.Covariate, experiment.CovariateDenominator, ratio && before, given.CovariateCovariateDenominators},
	} {
		switch {
		case p.need && p.is == nil:
			r.add(field+"."+p.name, "a number", "missing")
		case !p.need && p.is != nil:
			r.add(field+"."+p.name, "nothing here", "there is nothing that it would be of")
		case p.need:
			c := *p.is
			if v.Products != nil {
				c = r.covariance(s, p.i, p.j, c)
			}
			if limit := math.Sqrt(s.Cov[p.i][p.i] * s.Cov[p.j][p.j]); math.Abs(c) > limit*1.02+1e-12 {
				r.add(field+"."+p.name, fmt.Sprintf("at most the product of the standard deviations, %.6g", limit), "a covariance of %.6g", c)
			}
			s.Cov[p.i][p.j], s.Cov[p.j][p.i] = c, c
		}
	}
}

func (r *summaryReader) covariance(s *experiment.Summary, i, j int, products float64) float64 {
	n := float64(s.N)
	if r.kind == experiment.Proportion {
		return products/max(n, 1) - s.Mean[i]*s.Mean[j]
	}
	if n < 2 {
		return 0
	}
	return (products - n*s.Mean[i]*s.Mean[j]) / (n - 1)
}
