package experiment

import (
	"math"
	"slices"
	"sort"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/stat"
)

// What is known of each user, as an index into a summary. A ratio has a denominator; a covariate is the same metric from before the
// experiment, and a ratio's has a denominator too.
const (
	Value = iota
	Denominator
	Covariate
	CovariateDenominator
	quantities
)

// Summary is one metric in one variant. Cov holds variances on its diagonal.
type Summary struct {
	Name     string                          `json:"name"`
	N        int64                           `json:"n"`
	Mean     [quantities]float64             `json:"mean"`
	Cov      [quantities][quantities]float64 `json:"cov"`
	Adjusted bool                            `json:"adjusted,omitempty"` // there is a covariate
}

// ProportionOf is the summary of n users of whom so many did it.
func ProportionOf(name string, n int64, did float64) Summary {
	s := Summary{Name: name, N: n}
	if n > 0 {
		p := did / float64(n)
		s.Mean[Value], s.Cov[Value][Value] = p, p*(1-p)
	}
	return s
}

// MeanOf is the summary of n users with a mean and a standard deviation. It serves for a ratio too, if the standard deviation is
// that of the delta method.
func MeanOf(name string, n int64, mean, stddev float64) Summary {
	s := Summary{Name: name, N: n}
	s.Mean[Value], s.Cov[Value][Value] = mean, stddev*stddev
	return s
}

// quantileSpan is the confidence of a quantile's interval in a summary.
var quantileSpan = stat.NormalQuantile(0.975)

// QuantileOf is the summary of n users of whom a share q is below estimate, with a 95 % interval for it. The interval stands
// for nothing when its ends are ranks beyond the first or last user: such a summary does not vary.
func QuantileOf(name string, n int64, q, estimate, low, high float64) Summary {
	s := Summary{Name: name, N: n}
	s.Mean[Value] = estimate
	fewest := quantileSpan * quantileSpan * max(q/(1-q), (1-q)/q)
	if sd := (high - low) / (2 * quantileSpan); float64(n) > fewest {
		s.Cov[Value][Value] = float64(n-1) * sd * sd
	}
	return s
}

// QuantileOfValues is QuantileOf values, one a user; it sorts them. The interval lies between order statistics.
func QuantileOfValues(name string, values []float64, q float64) Summary {
	n := len(values)
	if n == 0 {
		return Summary{Name: name}
	}
	slices.Sort(values)
	at := func(q float64) float64 { return values[min(max(int(math.Ceil(q*float64(n)))-1, 0), n-1)] }
	low, high := ranks(q, float64(n))
	return QuantileOf(name, int64(n), q, at(q), at(low), at(high))
}

// QuantileOfHistogram is QuantileOf counts of users between ascending bounds: counts[i] are at most bounds[i], and the last
// ones, of which there is one more than bounds, are above all. Values are taken to lie evenly between their bounds. A
// quantile or an end of its interval above the last bound is an error.
func QuantileOfHistogram(name string, bounds []float64, counts []int64, q float64) (Summary, error) {
	if len(counts) != len(bounds)+1 || !sort.Float64sAreSorted(bounds) || !finite(bounds...) {
		return Summary{}, errs.E(errs.Invalid, "histogram of %s: expected ascending bounds and one more count than bounds", name)
	}
	n := int64(0)
	for _, c := range counts {
		if c < 0 {
			return Summary{}, errs.E(errs.Invalid, "histogram of %s: got a count of %d, expected at least 0", name, c)
		}
		n += c
	}
	if n == 0 {
		return Summary{Name: name}, nil
	}
	at := func(q float64) float64 {
		want, below := q*float64(n), 0.0
		for i, bound := range bounds {
			c := float64(counts[i])
			if below+c >= want && c > 0 {
				from := bound
				if i > 0 {
					from = bounds[i-1]
				} else if bound > 0 {
					from = 0
				}
				return from + (bound-from)*max(0, want-below)/c
			}
			below += c
		}
		return math.Inf(1)
	}
	low, high := ranks(q, float64(n))
	if math.IsInf(at(high), 1) {
		return Summary{}, errs.E(errs.Invalid, "histogram of %s: the quantile %v lies above the last bound", name, q)
	}
	return QuantileOf(name, n, q, at(q), at(low), at(high)), nil
}

// ranks are the shares of users between which a quantile lies with a chance of 95 %.
func ranks(q, n float64) (low, high float64) {
	half := quantileSpan * math.Sqrt(q*(1-q)/n)
	return max(q-half, 0), min(q+half, 1)
}

// Sums are sums over users of one metric in one variant, and of their products. They may be merged; what they hold is all
// that a Summary needs.
type Sums struct {
	N       int64                           `json:"n"`
	Sum     [quantities]float64             `json:"sum"`
	Product [quantities][quantities]float64 `json:"product"`
}

// Add adds one user.
func (s *Sums) Add(user [quantities]float64) {
	s.N++
	for i, x := range user {
		s.Sum[i] += x
		for j, y := range user {
			s.Product[i][j] += x * y
		}
	}
}

// Merge adds the users of o.
func (s *Sums) Merge(o Sums) {
	s.N += o.N
	for i := range quantities {
		s.Sum[i] += o.Sum[i]
		for j := range quantities {
			s.Product[i][j] += o.Product[i][j]
		}
	}
}

// Summary is what the sums say of a metric that is no quantile. The variance of a proportion is that of the users who are
// there, of others that of those whom they stand for: the divisor is n and n - 1.
func (s Sums) Summary(name string, kind Kind, covariate bool) Summary {
	all := Summary{Name: name, N: s.N, Adjusted: covariate}
	if s.N == 0 {
		return all
	}
	n := float64(s.N)
	for i := range quantities {
		all.Mean[i] = s.Sum[i] / n
	}
	if n <= kind.lost() {
		return all
	}
	for i := range quantities {
		for j := range quantities {
			all.Cov[i][j] = (s.Product[i][j] - s.Sum[i]*s.Sum[j]/n) / (n - kind.lost())
		}
	}
	return all
}

// lost is how many users the mean costs a variance.
func (k Kind) lost() float64 {
	if k == Proportion {
		return 0
	}
	return 1
}
