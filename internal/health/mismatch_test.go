package health

import (
	"math"
	"testing"

	"github.com/ringfence/ringfence/internal/stat"
)

// twister is the Mersenne Twister, with which the published examples were drawn.
type twister struct {
	state [624]uint32
	at    int
}

func newTwister(seed uint32) *twister {
	m := &twister{at: 624}
	m.state[0] = seed
	for i := 1; i < 624; i++ {
		m.state[i] = 1812433253*(m.state[i-1]^m.state[i-1]>>30) + uint32(i)
	}
	return m
}

func (m *twister) next() uint32 {
	if m.at == 624 {
		for i := range m.state {
			y := m.state[i]&0x80000000 | m.state[(i+1)%624]&0x7fffffff
			m.state[i] = m.state[(i+397)%624] ^ y>>1 ^ y&1*0x9908b0df
		}
		m.at = 0
	}
	y := m.state[m.at]
	m.at++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

func (m *twister) float() float64 {
	a, b := m.next()>>5, m.next()>>6
	return (float64(a)*(1<<26) + float64(b)) / (1 << 53)
}

// group draws one user's group as numpy's multinomial(1, theta) does: group after group, the rarer outcome counted.
func (m *twister) group(theta []float64) int {
	rest := 1.0
	for i, t := range theta[:len(theta)-1] {
		p := t / rest
		rare := m.float() > math.Max(p, 1-p)
		if rare == (p <= 0.5) {
			return i
		}
		rest -= t
	}
	return len(theta) - 1
}

// Published stops of the multinomial test, from the examples of the savvi package (seed 1, level 0.05).
func TestMultinomialStopsAsPublished(t *testing.T) {
	canary := []float64{0.8 * math.Exp(1.5), 0.2 * math.Exp(2)}
	sum := canary[0] + canary[1]
	for _, tc := range []struct {
		name         string
		truth, theta []float64
		n            int64
		p            float64
	}{
		{"sample-ratio mismatch of three groups", []float64{0.1, 0.3, 0.6}, []float64{0.1, 0.4, 0.5}, 402, 0.04845591105969517},
		{"two processes", []float64{canary[0] / sum, canary[1] / sum}, []float64{0.8, 0.2}, 210, 0.045579631759249686},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rng, counts := newTwister(1), make([]int64, len(tc.theta))
			for n := int64(1); n <= 2000; n++ {
				counts[rng.group(tc.truth)]++
				p := math.Exp(-multinomial(tc.theta, counts))
				if p > 0.05 {
					continue
				}
				if n != tc.n || math.Abs(p-tc.p) > 1e-9 {
					t.Errorf("stopped at %d with p %v, published are %d and %v", n, p, tc.n, tc.p)
				}
				return
			}
			t.Error("never stopped")
		})
	}
}

// A split is the same test on two groups, and its users may come in lots of any size.
func TestSplitIsTheMultinomialTest(t *testing.T) {
	var one, lots Split
	for i, s := range [][2]int64{{3, 80}, {0, 40}, {9, 91}, {0, 0}, {20, 60}} {
		lots.add(i, 0.05, s[0], s[1])
		for range s[0] {
			one.add(i, 0.05, 1, 0)
		}
		for range s[1] {
			one.add(i, 0.05, 0, 1)
		}
	}
	want := multinomial([]float64{0.05, 0.95}, []int64{32, 271})
	if got := lots.value(0.05); got != want || one.value(0.05) != want {
		t.Errorf("got %v in lots and %v one by one, expected %v", got, one.value(0.05), want)
	}
	if one.Sup < lots.Sup {
		t.Errorf("looked at more often, the largest value cannot be smaller: %v, %v", one.Sup, lots.Sup)
	}
}

// The mean of the e-value under the expected shares, over every outcome, is 1.
func TestMultinomialIsAnEValue(t *testing.T) {
	for _, share := range []float64{0.01, 0.2, 0.5} {
		const n = 200
		mean := 0.0
		for k := int64(0); k <= n; k++ {
			choose := stat.LogGamma(n+1) - stat.LogGamma(float64(k)+1) - stat.LogGamma(float64(n-k)+1)
			chance := choose + float64(k)*math.Log(share) + float64(n-k)*math.Log1p(-share)
			mean += math.Exp(chance + multinomial([]float64{share, 1 - share}, []int64{k, n - k}))
		}
		if math.Abs(mean-1) > 1e-9 {
			t.Errorf("share %v: mean %v", share, mean)
		}
	}
}
