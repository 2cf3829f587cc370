package health

import "math"

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
	whole := lgamma(a) + lgamma(b) - lgamma(a+b)
	switch t {
	case more:
		return whole + logBeta(1-m.chance, b, a, whole)
	case less:
		return whole + logBeta(m.chance, a, b, whole)
	}
	return whole
}

// logBeta is the logarithm of the share of the beta function with parameters a and b that lies below x; whole is the logarithm of all
// of it. Where the share cannot be told from 0 it is taken to be 0, which makes evidence smaller.
func logBeta(x, a, b, whole float64) float64 {
	front := a*math.Log(x) + b*math.Log1p(-x) - whole
	if x < (a+1)/(a+b+2) {
		return front + math.Log(betaFraction(x, a, b)/a)
	}
	above := math.Exp(front) * betaFraction(1-x, b, a) / b
	if above == 0 && front > -700 { // it did not converge
		return math.Inf(-1)
	}
	return math.Log(max(0, 1-above))
}

// betaSteps bounds the work for one value. More would be needed only for billions of requests whose hits are as many as
// they should be, where there is no evidence anyway.
const betaSteps = 20_000

// betaFraction is the continued fraction of the incomplete beta function, by Lentz's method; 0 when it does not converge.
func betaFraction(x, a, b float64) float64 {
	num, den := 1.0, 1/nonzero(1-(a+b)*x/(a+1))
	value := den
	for i := 1.0; i <= betaSteps; i++ {
		last := value
		for _, c := range [2]float64{
			i * (b - i) * x / ((a + 2*i - 1) * (a + 2*i)),
			-(a + i) * (a + b + i) * x / ((a + 2*i) * (a + 2*i + 1)),
		} {
			den = 1 / nonzero(1+c*den)
			num = nonzero(1 + c/num)
			value *= den * num
		}
		if math.Abs(value-last) <= 1e-13*math.Abs(value) {
			return value
		}
	}
	return 0
}

// nonzero keeps a divisor away from 0.
func nonzero(v float64) float64 {
	if math.Abs(v) < 1e-300 {
		return 1e-300
	}
	return v
}
