package health

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/stat"
)

// binomial gives the chance of every outcome of n requests.
func binomial(n int64, p float64) []float64 {
	out := make([]float64, n+1)
	for i := range out {
		k := float64(i)
		choose := stat.LogGamma(float64(n)+1) - stat.LogGamma(k+1) - stat.LogGamma(float64(n)-k+1)
		out[i] = math.Exp(choose) * math.Pow(p, k) * math.Pow(1-p, float64(n)-k)
	}
	return out
}

// The bound on false alarms rests on one thing: a sample of a harmless canary multiplies the evidence by at most 1
// in the mean. Here the mean is taken exactly, over every outcome of two small sides.
func TestComparisonNeverGrowsWhenHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		canary, stable := rapid.Int64Range(1, 25).Draw(t, "canary"), rapid.Int64Range(1, 25).Draw(t, "stable")
		m := rapid.Float64Range(0.2, 4).Draw(t, "maxRatio")
		ps := rapid.Float64Range(0, min(1, 1/m)).Draw(t, "stable rate")
		pc := ps * m * rapid.OneOf(rapid.Just(1.0), rapid.Float64Range(0, 1)).Draw(t, "part of the tolerated rate")
		rho := float64(canary) / float64(canary+stable)
		mean := 0.0
		for bad, chance := range binomial(canary, pc) {
			for worse, chance2 := range binomial(stable, ps) {
				var l Ladder
				l.add(tilted(rho, m), int64(bad), int64(bad+worse))
				mean += chance * chance2 * math.Exp(l.value())
			}
		}
		if mean > 1+1e-9 {
			t.Fatalf("mean %v", mean)
		}
	})
}

func TestLimitNeverGrowsWhenHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 60).Draw(t, "requests")
		limit := rapid.Float64Range(1e-3, 0.999).Draw(t, "limit")
		p := limit * rapid.OneOf(rapid.Just(1.0), rapid.Float64Range(0, 1)).Draw(t, "part of the limit")
		mean := 0.0
		for bad, chance := range binomial(n, p) {
			var l Ladder
			l.add(limit, int64(bad), n)
			mean += chance * math.Exp(l.value())
		}
		if mean > 1+1e-9 {
			t.Fatalf("mean %v", mean)
		}
	})
}

// What cannot say anything must not move the evidence.
func TestLadderIgnoresTheEmpty(t *testing.T) {
	for _, tc := range []struct {
		share       float64
		hits, total int64
	}{{0.5, 0, 0}, {0, 0, 10}, {1, 10, 10}, {1, 5, 10}} {
		var l Ladder
		if l.add(tc.share, tc.hits, tc.total) || l.value() != 0 {
			t.Errorf("%+v moved the evidence to %v", tc, l.value())
		}
	}
}
