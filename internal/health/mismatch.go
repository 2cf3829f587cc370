package health

import (
	"math"

	"github.com/ringfence/ringfence/internal/stat"
)

// MismatchThreshold is the e-value from which users count as wrongly split: reached by chance at most once in 2,000
// rollouts. It is stricter than alpha, since it is checked besides the verdict and stops every comparison.
const MismatchThreshold = 2000

// splitWeight is how many users' worth of belief in the expected shares the mixture over other shares has.
const splitWeight = 100

// Split watches whether users land on canary and stable in the expected shares.
type Split struct {
	Canary int64   `json:"canary"`
	Stable int64   `json:"stable"`
	Sup    float64 `json:"sup"` // logarithm of the largest e-value so far
	At     *int    `json:"at"`  // sample at which the mismatch was certain
}

func (s *Split) add(at int, expected float64, canary, stable int64) {
	if canary == 0 && stable == 0 {
		return
	}
	s.Canary += canary
	s.Stable += stable
	if s.Sup = max(s.Sup, s.value(expected)); s.At == nil && s.Sup >= math.Log(MismatchThreshold) {
		s.At = stop(at)
	}
}

func (s *Split) value(expected float64) float64 {
	return multinomial([]float64{expected, 1 - expected}, []int64{s.Canary, s.Stable})
}

// multinomial is the logarithm of the e-value of counts against the shares theta: the Dirichlet mixture test of
// Lindon and Malek (Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022), B(a+S)/B(a) · Π theta^-S
// with a = splitWeight·theta. For fixed theta it depends on the sums only, so they are all the state it needs.
func multinomial(theta []float64, counts []int64) float64 {
	var log float64
	var n int64
	for i, t := range theta {
		a, c := splitWeight*t, counts[i]
		log += stat.LogGamma(a+float64(c)) - stat.LogGamma(a) - float64(c)*math.Log(t)
		n += c
	}
	return log + stat.LogGamma(splitWeight) - stat.LogGamma(splitWeight+float64(n))
}
