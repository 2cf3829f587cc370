package health

import (
	"math"

	"github.com/ringfence/ringfence/internal/stat"
)

// tail says which deviation of a coin from its chance a mixture bets on.
type tail uint8

const (
	both tail = iota
	more      // hits are more frequent
	less
)

const (
	// tunedFor is the number of requests at which mixtures see most: the default floor.
	tunedFor = 500
	// tunedAt is the chance of error that goes with it: a quarter of the default alpha.
	tunedAt = defaultAlpha / 4
)

// mixture is an e-process about a coin: evidence that it does not show a hit with the given chance. The bets are on all
// other chances at once, weighed by a beta distribution around it, and their mean is a ratio of two beta functions: the
// mixture of Howard, Ramdas, McAuliffe and Sekhon (Time-uniform, nonparametric, nonasymptotic confidence sequences,
// Annals of Statistics 2021). With one tail the distribution is cut at the chance. Each bet on more hits, the chance c against
// the given one, then has a mean of at most 1 for every coin that shows hits no more often than it should:
// (1-p) (1-c)/(1-chance) + p c/chance grows with p and is 1 at p = chance. So the mean of the bets is a supermartingale from
// 1 whatever such coin is thrown next, and by Ville's inequality reaches 1/alpha with a chance of at most alpha.
type mixture struct {
	chance    float64
	hit, miss float64    // the beta distribution's parameters: as if so many hits and misses had been seen
	log       [3]float64 // of the beta function, by tail

	logHit, logMiss float64 // of the chance
}

// newMixture is the mixture that is tightest when n coins were thrown, at the error alpha.
func newMixture(chance, n, alpha float64, t tail) mixture {
	variance := chance * (1 - chance)
	if t != both {
		alpha *= 2
	}
	l := 2 * math.Log(1/alpha)
	weight := max(n*variance/(l+math.Log1p(l))-variance, variance/1000)
	m := mixture{chance: chance, hit: weight / (1 - chance), miss: weight / chance, logHit: math.Log(chance), logMiss: math.Log1p(-chance)}
	for _, t := range []tail{both, more, less} {
		m.log[t] = m.mass(t, 0, 0)
	}
	return m
}

// value is the logarithm of the evidence after n throws with so many hits.
func (m mixture) value(t tail, hits, n float64) float64 {
	return m.mass(t, hits, n-hits) - m.log[t] - m.likelihood(hits, n)
}

// ceiling is no less than value, and quick.
func (m mixture) ceiling(t tail, hits, n float64) float64 {
	return m.mass(both, hits, n-hits) - m.log[t] - m.likelihood(hits, n)
}

func (m mixture) likelihood(hits, n float64) float64 {
	return hits*m.logHit + (n-hits)*m.logMiss
}

// mass is the logarithm of the beta function, cut at the chance for one tail.
func (m mixture) mass(t tail, hits, misses float64) float64 {
	a, b := m.hit+hits, m.miss+misses
	whole := stat.LogBeta(a, b)
	switch t {
	case more:
		return whole + stat.LogBetaShare(1-m.chance, b, a, whole)
	case less:
		return whole + stat.LogBetaShare(m.chance, a, b, whole)
	}
	return whole
}
