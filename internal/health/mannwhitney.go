package health

import (
	"errors"
	"math"
	"slices"
)

// shift is where one sample lies against another: the estimate of Hodges and Lehmann and a confidence interval.
type shift struct {
	Estimate, Low, High float64
}

var errTied = errors.New("all values are the same when one side is shifted to the other")

// rankSum is a Mann-Whitney test of two sorted samples, neither of them empty.
type rankSum struct{ x, y []float64 }

// z is the standardised rank sum of x, moved down by mu, against y: by the normal approximation, with mid-ranks, the
// variance corrected for ties and half a rank of continuity. It falls as mu grows.
func (t rankSum) z(mu float64) (float64, error) {
	m, n := float64(len(t.x)), float64(len(t.y))
	sum, ties, rank := 0.0, 0.0, 0.0
	for i, j := 0, 0; i < len(t.x) || j < len(t.y); { // a merge, one group of equal values at a time
		var v float64
		if j == len(t.y) || i < len(t.x) && t.x[i]-mu < t.y[j] {
			v = t.x[i] - mu
		} else {
			v = t.y[j]
		}
		ofX, ofY := i, j
		for i < len(t.x) && t.x[i]-mu == v {
			i++
		}
		for j < len(t.y) && t.y[j] == v {
			j++
		}
		group := float64(i - ofX + j - ofY)
		sum += float64(i-ofX) * (rank + (group+1)/2)
		ties += group*group*group - group
		rank += group
	}
	d := sum - m*(m+1)/2 - m*n/2
	variance := m * n / 12 * (m + n + 1 - ties/((m+n)*(m+n-1)))
	if variance <= 0 {
		return 0, errTied
	}
	switch {
	case d > 0:
		d -= 0.5
	case d < 0:
		d += 0.5
	}
	return d / math.Sqrt(variance), nil
}

// mannWhitney estimates how much higher x is than y.
func mannWhitney(x, y []float64, confidence float64) (shift, error) {
	t := rankSum{slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y))}
	lo, hi := t.x[0]-t.y[len(t.y)-1], t.x[len(t.x)-1]-t.y[0]
	zLo, err := t.z(lo)
	if err != nil {
		return shift{}, err
	}
	zHi, err := t.z(hi)
	if err != nil {
		return shift{}, err
	}
	solve := func(quantile float64) float64 {
		return brent(lo, hi, zLo-quantile, zHi-quantile, func(mu float64) float64 {
			z, _ := t.z(mu) // between lo and hi no shift ties all that is not tied there
			return z - quantile
		})
	}
	end := func(quantile float64) float64 {
		switch {
		case zLo <= quantile:
			return lo
		case zHi >= quantile:
			return hi
		}
		return solve(quantile)
	}
	q := math.Sqrt2 * math.Erfinv(confidence)
	return shift{Estimate: solve(0), Low: end(q), High: end(-q)}, nil
}

const (
	// rootTolerance is absolute. It is Kayenta's, and so is what it brings: where values are not much larger than it,
	// a shift is lost in it.
	rootTolerance  = 1e-4
	rootIterations = 1000
)

// brent finds a root of f between a and b, where f has the values fa and fb of different signs, by the method of Brent
// (1973): inverse quadratic or linear steps while they close in fast enough, else halves. f need not be continuous;
// what is returned is then where it changes sign.
func brent(a, b, fa, fb float64, f func(float64) float64) float64 {
	if fa == 0 {
		return a
	}
	c, fc := a, fa // the root is between b, the best so far, and c; a is the b before
	for range rootIterations {
		before := b - a
		if math.Abs(fc) < math.Abs(fb) {
			a, b, c = b, c, b
			fa, fb, fc = fb, fc, fb
		}
		tolerance := 2*0x1p-52*math.Abs(b) + rootTolerance/2
		step := (c - b) / 2
		if math.Abs(step) <= tolerance || fb == 0 {
			return b
		}
		if math.Abs(before) >= tolerance && math.Abs(fa) > math.Abs(fb) {
			if p, q := interpolate(a, b, c, fa, fb, fc); p < 0.75*(c-b)*q-math.Abs(tolerance*q)/2 && p < math.Abs(before*q/2) {
				step = p / q
			}
		}
		if math.Abs(step) < tolerance {
			step = math.Copysign(tolerance, step)
		}
		a, fa = b, fb
		b += step
		fb = f(b)
		if fb > 0 && fc > 0 || fb < 0 && fc < 0 {
			c, fc = a, fa
		}
	}
	return b
}

// interpolate is the step p/q from b to where a curve through the points would be 0, with p not negative.
func interpolate(a, b, c, fa, fb, fc float64) (p, q float64) {
	if a == c {
		s := fb / fa
		p, q = (c-b)*s, 1-s
	} else {
		r, s, t := fa/fc, fb/fc, fb/fa
		p = t * ((c-b)*r*(r-s) - (b-a)*(s-1))
		q = (r - 1) * (s - 1) * (t - 1)
	}
	if p > 0 {
		return p, -q
	}
	return -p, q
}
