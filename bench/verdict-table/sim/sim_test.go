package sim

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ringfence/ringfence/internal/health"
)

// sigmas is how far chance may take a measured number from the truth; with fixed seeds it is settled once.
const sigmas = 3.5

// atMost is the largest number of successes that n tries of chance p have with more than a chance of 1 in 5,000.
func atMost(n int, p float64) int {
	tail, k := 1.0, 0
	for chance := math.Pow(1-p, float64(n)); ; k++ {
		if tail -= chance; tail < 1.0/5000 {
			return k
		}
		chance *= p / (1 - p) * float64(n-k) / float64(k+1)
	}
}

func TestAtMost(t *testing.T) {
	for _, tc := range []struct {
		n    int
		p    float64
		want int
	}{{1, 0.5, 1}, {10, 0.001, 1}, {1000, 0.01, 23}} {
		if got := atMost(tc.n, tc.p); got != tc.want {
			t.Errorf("%d tries of %v: %d, expected %d", tc.n, tc.p, got, tc.want)
		}
	}
}

// The published table: healthy canaries are stopped no more often than alpha, bad ones no later than published.
func TestTable(t *testing.T) {
	const runs, alpha = 1000, 0.01
	for i, sc := range Table() {
		t.Run(sc.Name, func(t *testing.T) {
			r := Run(sc, ComparisonOnly(alpha), runs, uint64(i+1))
			if sc.Healthy() {
				if most := atMost(runs, alpha); r.Stopped > most {
					t.Errorf("%d of %d healthy canaries stopped, expected at most %d", r.Stopped, runs, most)
				}
				return
			}
			published := sc.Table.Stopped / 100
			noise := math.Sqrt(published * (1 - published) * (1.0/runs + 1.0/float64(sc.Table.Runs)))
			if r.Share() < published-0.0005-sigmas*noise {
				t.Errorf("%.1f %% stopped, published %.1f %%", 100*r.Share(), sc.Table.Stopped)
			}
			noise = r.SD * math.Sqrt(1/float64(r.Stopped)+1/(float64(sc.Table.Runs)*published))
			if m := sc.Table.Minute; m > 0 && r.Mean > m+0.5+sigmas*noise { // it is rounded to a minute
				t.Errorf("stopped after %.1f minutes, published %.1f", r.Mean, m)
			}
		})
	}
}

// Healthy canaries of many kinds, each judged more than a thousand times, are stopped no more often than alpha.
func TestHealthyAreLeftAlone(t *testing.T) {
	const runs = 300
	floor := int64(0)
	outage := Scenario{CanaryBad: 0.005, StableBad: 0.005}
	for range 6 {
		outage.Steps = append(outage.Steps, Step{200, 20, 1980, 1}, Step{20, 1000, 1000, 40}, Step{5, 1, 1000, 100})
	}
	twice, limit := Day(100, 400), Day(100, 0)
	twice.CanaryBad = 2 * twice.StableBad
	limit.CanaryBad = 0.05
	for _, tc := range []struct {
		name string
		sc   Scenario
		gate health.Gate
	}{
		{"24 h, alpha 0.01", Day(100, 100), health.Gate{}},
		{"24 h, alpha 0.05", Day(100, 100), health.Gate{Alpha: 0.05}},
		{"24 h, small share", Day(100, 1900), health.Gate{Alpha: 0.05}},
		{"24 h, latency", Day(50, 50), health.Gate{Signal: health.SignalLatency, Alpha: 0.05}},
		{"outages on both sides while shares move", outage, health.Gate{Alpha: 0.05, MaxShare: 1}},
		{"at the tolerated ratio", twice, health.Gate{Alpha: 0.05, MaxRatio: 2}},
		{"at the limit", limit, health.Gate{Alpha: 0.05, Compare: health.CompareNone, MinRequests: &floor}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := Run(tc.sc, tc.gate, runs, 7)
			if most := atMost(runs, health.Defaults(tc.gate).Alpha); r.Stopped > most {
				t.Errorf("%d of %d stopped, expected at most %d", r.Stopped, runs, most)
			}
			t.Logf("%d of %d stopped", r.Stopped, runs)
		})
	}
}

// The limit alone stops what is over it.
func TestLimitStops(t *testing.T) {
	sc := Scenario{Steps: []Step{{Minutes: 60, Canary: 100}}, CanaryBad: 0.1}
	if r := Run(sc, health.Gate{Compare: health.CompareNone}, 500, 3); r.Stopped != 500 || r.Mean > 4 {
		t.Errorf("at twice the limit %d of 500 stopped, after %.1f minutes; expected all, within 4", r.Stopped, r.Mean)
	}
}

func TestUsersWronglySplitAreFound(t *testing.T) {
	const runs = 1000
	mismatches := func(share float64) (n int) {
		rng := rand.New(rand.NewPCG(11, 0))
		for range runs {
			p := health.NewProcess(health.Gate{ExpectedShare: 0.05})
			for range 60 {
				canary := Binomial(rng, 400, share)
				s := health.Sample{Canary: &health.Counts{Requests: canary, Users: canary}, Stable: &health.Counts{Requests: 400 - canary, Users: 400 - canary}}
				if err := p.Add(s); err != nil {
					t.Fatal(err)
				}
			}
			if p.Split.At != nil {
				n++
			}
		}
		return n
	}
	if n, most := mismatches(0.05), atMost(runs, 1.0/2000); n > most {
		t.Errorf("%d of %d right splits taken for wrong, expected at most %d", n, runs, most)
	}
	if n := mismatches(0.04); n < runs*95/100 {
		t.Errorf("4 %% instead of 5 %% of 24,000 users found in %d of %d", n, runs)
	}
}

func TestBinomial(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, tc := range []struct {
		n int64
		p float64
	}{{1, 0.5}, {20, 0.005}, {1900, 0.005}, {2000, 0.4}, {3000, 0.3}, {50, 0.97}, {10, 0}, {10, 1}, {0, 0.5}} {
		const draws = 5000
		var sum, squares float64
		for range draws {
			k := Binomial(rng, tc.n, tc.p)
			if k < 0 || k > tc.n {
				t.Fatalf("%+v: drew %d", tc, k)
			}
			sum += float64(k)
			squares += float64(k) * float64(k)
		}
		mean, want := sum/draws, float64(tc.n)*tc.p
		variance := want * (1 - tc.p)
		if math.Abs(mean-want) > sigmas*math.Sqrt(variance/draws)+1e-9 {
			t.Errorf("%+v: mean %v, expected %v", tc, mean, want)
		}
		if got := squares/draws - mean*mean; math.Abs(got-variance) > 0.1*variance+1e-9 {
			t.Errorf("%+v: variance %v, expected %v", tc, got, variance)
		}
	}
}

func TestEqualSeedsGiveEqualResults(t *testing.T) {
	sc := Table()[4]
	if a, b := Run(sc, ComparisonOnly(0.01), 50, 9), Run(sc, ComparisonOnly(0.01), 50, 9); a != b {
		t.Errorf("%+v, then %+v", a, b)
	}
}
