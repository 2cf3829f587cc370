package simulate

import (
	"math"
	"math/rand/v2"
)

// binomial draws how many of n independent requests are bad. What depends on n and p only is kept from draw to draw.
//
// Few expected bad ones are counted up from none. Many are drawn by rejection from a curve above the distribution, with a
// region in which no comparison is needed (Hörmann, The Generation of Binomial Random Variates, 1993, algorithm BTRS).
type binomial struct {
	n    int64
	p    float64
	flip bool // p above one half: the good ones are drawn

	odds, none float64 // counting up

	a, b, c, v, height, base, mode float64 // rejection
}

// fewest is the expected count from which rejection is used; the curve fits from there on.
const fewest = 10

func (d *binomial) draw(rng *rand.Rand, n int64, p float64) int64 {
	if n <= 0 || p <= 0 {
		return 0
	}
	if p >= 1 {
		return n
	}
	if n != d.n || p != d.p {
		d.prepare(n, p)
	}
	var k int64
	if d.none > 0 {
		k = d.count(rng)
	} else {
		k = d.reject(rng)
	}
	if d.flip {
		return n - k
	}
	return k
}

func (d *binomial) prepare(n int64, p float64) {
	*d = binomial{n: n, p: p, flip: p > 0.5}
	if d.flip {
		p = 1 - p
	}
	q, size := 1-p, float64(n)
	d.odds = p / q
	if size*p < fewest {
		d.none = math.Exp(size * math.Log1p(-p))
		return
	}
	sd := math.Sqrt(size * p * q)
	d.b = 1.15 + 2.53*sd
	d.a = -0.0873 + 0.0248*d.b + 0.01*p
	d.c = size*p + 0.5
	d.v = 0.92 - 4.2/d.b
	d.height = (2.83 + 5.1/d.b) * sd
	d.mode = math.Floor((size + 1) * p)
	d.base = math.NaN()
}

func (d *binomial) count(rng *rand.Rand) int64 {
	u, chance := rng.Float64(), d.none
	for k := int64(0); ; k++ {
		if u < chance || k == d.n || chance < 1e-300 { // below, what is left of u is rounding
			return k
		}
		u -= chance
		chance *= d.odds * float64(d.n-k) / float64(k+1)
	}
}

func (d *binomial) reject(rng *rand.Rand) int64 {
	for {
		u, v := rng.Float64()-0.5, rng.Float64()
		us := 0.5 - math.Abs(u)
		k := math.Floor((2*d.a/us+d.b)*u + d.c)
		if us >= 0.07 && v <= d.v {
			return int64(k)
		}
		if k < 0 || k > float64(d.n) || us == 0 {
			continue
		}
		if math.IsNaN(d.base) { // most draws do not come here
			d.base = d.density(d.mode)
		}
		if math.Log(v*d.height/(d.a/(us*us)+d.b)) <= d.density(k)-d.base {
			return int64(k)
		}
	}
}

// density is the logarithm of the chance of k, up to what is the same for all k.
func (d *binomial) density(k float64) float64 {
	x, _ := math.Lgamma(k + 1)
	y, _ := math.Lgamma(float64(d.n) - k + 1)
	return k*math.Log(d.odds) - x - y
}
