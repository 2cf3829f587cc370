package health

import (
	"math"
	"testing"

	"github.com/ringfence/ringfence/internal/stat"
)

func within(t *testing.T, what string, got, want, slack float64) {
	t.Helper()
	if !(math.Abs(got-want) <= slack) {
		t.Errorf("%s: got %v, expected %v", what, got, want)
	}
}

// published is a mixture as the tests of its authors' own library set it up: by variance rather than by requests.
func published(variance, chance float64, t tail) mixture {
	return newMixture(chance, variance/(chance*(1-chance)), 0.05, t)
}

// deviation finds how far the sum of hits may be from its mean before the evidence is 1/alpha.
func deviation(m mixture, t tail, variance, alpha float64) float64 {
	n := variance / (m.chance * (1 - m.chance))
	lo, hi := 0.0, n*(1-m.chance)
	for range 200 {
		mid := (lo + hi) / 2
		if m.value(t, n*m.chance+mid, n) < math.Log(1/alpha) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// The numbers are those that the authors' library confseq is tested with, from their implementation in R.
func TestMixtureAsPublished(t *testing.T) {
	m := published(100, 0.2, both)
	within(t, "two tails, log", m.value(both, 625*0.2+10, 625), -0.6941012, 1e-6)
	within(t, "two tails, bound", deviation(m, both, 100, 0.05), 31.4308, 1e-4)
	m = published(100, 0.2, more)
	within(t, "one tail, log", m.value(more, 625*0.2+10, 625), -0.07134019, 1e-6)
	within(t, "one tail, bound", deviation(m, more, 100, 0.05), 28.41238, 1e-4)
	m = published(100, 0.8, less)
	within(t, "the other tail, log", m.value(less, 625*0.8-10, 625), -0.07134019, 1e-6)
}

// The same for the interval of a chance: 700 hits of 1000.
func TestMixtureInterval(t *testing.T) {
	at := func(chance float64) float64 { return newMixture(chance, 100, 0.05, both).value(both, 700, 1000) }
	for _, end := range []float64{0.651629, 0.745949} {
		within(t, "evidence at the interval's end", at(end), math.Log(20), 1e-3)
	}
	if at(0.7) > 0 || at(0.6) < math.Log(20) || at(0.8) < math.Log(20) {
		t.Error("evidence is not smallest in the middle")
	}
}

// The test of two medians as published: the least evidence over all values that both sides' quantile could be.
func TestMixtureABAsPublished(t *testing.T) {
	for _, tc := range []struct {
		quantile, offset, want float64
	}{{0.5, 70, 0.814704}, {0.5, 85, 0.0838055}, {0.5, 100, 0.0054947}, {0.9, 55, 0.0340463}} {
		const n = 1000
		m := newMixture(1-tc.quantile, 100, 0.05, both)
		lowest, where := math.Inf(1), 0.0 // the hits that speak least against the chance
		for hits := 0.0; hits <= n; hits += 0.001 {
			if v := m.value(both, hits, n); v < lowest {
				lowest, where = v, hits
			}
		}
		// side is the evidence against x being the quantile of the values from+1 … from+1000.
		side := func(x, from float64) float64 {
			below, upTo := min(n, max(0, x-1-from)), min(n, max(0, x-from))
			if n-upTo <= where && where <= n-below {
				return lowest
			}
			return min(m.value(both, n-below, n), m.value(both, n-upTo, n))
		}
		least := math.Inf(1)
		for x := 1.0; x <= n+tc.offset; x++ {
			least = min(least, side(x, 0)+side(x, tc.offset))
		}
		within(t, "p value", min(1, math.Exp(-least)), tc.want, 1e-4)
	}
}

// The mean of the evidence is 1 when hits come as often as they should, and at most 1 when they come less often.
func TestMixtureIsFair(t *testing.T) {
	const n = 60
	for _, chance := range []float64{0.01, 0.1, 0.5, 0.99} {
		m := newMixture(chance, tunedFor, tunedAt, more)
		for _, side := range []tail{more, less} {
			for _, harmless := range []float64{1, 0.7, 0.1} {
				p := chance * harmless
				if side == less {
					p = 1 - (1-chance)*harmless
				}
				mean := 0.0
				for hits := 0.0; hits <= n; hits++ {
					ways := stat.LogGamma(n+1) - stat.LogGamma(hits+1) - stat.LogGamma(n-hits+1)
					mean += math.Exp(ways + hits*math.Log(p) + (n-hits)*math.Log1p(-p) + m.value(side, hits, n))
				}
				if mean > 1+1e-9 || harmless == 1 && mean < 1-1e-9 {
					t.Errorf("chance %v, tail %d, hits with %v: mean %v", chance, side, p, mean)
				}
			}
		}
	}
}

// Evidence for more hits grows with every hit, and for less falls, up to numbers of requests that no ring will see. Where
// there is none, it need not be told from 0.
func TestMixtureIsMonotone(t *testing.T) {
	for _, chance := range []float64{0.0001, 0.01, 0.5, 0.95} {
		m := newMixture(chance, tunedFor, tunedAt, more)
		for _, n := range []float64{1, 50, 5000, 1e6, 1e9, MaxCount} {
			low, high := 0.0, math.Inf(1)
			for i := range 201 {
				hits := math.Round(n * chance * float64(i) / 100)
				if hits > n {
					break
				}
				up, down := max(0, m.value(more, hits, n)), max(0, m.value(less, hits, n))
				if math.IsNaN(up) || math.IsNaN(down) || up < low-0.02 || down > high+0.02 {
					t.Fatalf("chance %v, %v of %v: %v after %v, %v after %v", chance, hits, n, up, low, down, high)
				}
				low, high = up, down
			}
		}
	}
}

// The band that holds for all quantiles at once, by its authors' bound, is far wider for p99 than what is used here.
func TestMixtureIsTighterThanTheUniformBand(t *testing.T) {
	within(t, "the uniform band as published", uniformBand(1000, 0.05, 100, 0.85), 0.08204769, 1e-6)
	for _, n := range []float64{500, 2000, 10_000, 100_000, 1e6} {
		for _, q := range []float64{0.5, 0.9, 0.99} {
			chance := 1 - q
			m := newMixture(chance, tunedFor, tunedAt, more)
			own := deviation(m, more, n*chance*q, 0.025) / n // both tails at 0.05 together
			if uniform := uniformBand(n, 0.05, 100, 0.85); own >= uniform {
				t.Errorf("%v requests, quantile %v: half width %.4f, the uniform band has %.4f", n, q, own, uniform)
			} else {
				t.Logf("%v requests, quantile %v: half width %.4f, the uniform band has %.4f", n, q, own, uniform)
			}
		}
	}
}

// uniformBand is the half width of the band of Howard and Ramdas (Sequential estimation of quantiles with applications to
// A/B testing and best-arm identification, Bernoulli 2022) around a distribution function, for all times from first on.
func uniformBand(n, alpha, first, scale float64) float64 {
	miss := func(c float64) float64 { // chance that it fails, at the best eta
		least := math.Inf(1)
		for i := 1; i < 20_000; i++ {
			eta := 1 + (2*scale*scale-1)*float64(i)/20_000
			room := scale - math.Sqrt(2*(eta-1)/c)
			if gamma := 2 / eta * room * room; room > 0 && gamma > 1 {
				least = min(least, 4*math.Exp(-gamma*c)*(1+1/((gamma-1)*math.Log(eta))))
			}
		}
		return least
	}
	lo, hi := 1.0, 1000.0
	for range 60 {
		if mid := (lo + hi) / 2; miss(mid) > alpha {
			lo = mid
		} else {
			hi = mid
		}
	}
	return scale * math.Sqrt((math.Log1p(math.Log(n/first))+hi)/n)
}
