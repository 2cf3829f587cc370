package health

import (
	"math"
	"math/rand/v2"
	"testing"
)

// metric draws n windows of both sides.
type metric func(r *rand.Rand, n int) Series

// shifted is a metric with a mean of 10 and a spread of 1 on stable; on the canary by so much more.
func shifted(by float64) metric {
	return func(r *rand.Rand, n int) Series { return drawn(r, n, 0, by, nil) }
}

// drawn draws both sides as autoregressions with correlation phi from one window to the next, around the same base.
func drawn(r *rand.Rand, n int, phi, by float64, base func(i int) float64) (s Series) {
	c, b, fresh := r.NormFloat64(), r.NormFloat64(), math.Sqrt(1-phi*phi)
	for i := range n {
		level := 10.0
		if base != nil {
			level += base(i)
		}
		s.Canary = append(s.Canary, level+by+c)
		s.Stable = append(s.Stable, level+b)
		c, b = phi*c+fresh*r.NormFloat64(), phi*b+fresh*r.NormFloat64()
	}
	return s
}

// stopped is the share of runs that fail, and after how many windows on average.
func stopped(g DistributionGate, m metric, n, runs int) (share, mean float64) {
	for i := range runs {
		s := m(rand.New(rand.NewPCG(11, uint64(i))), n)
		if j := judge(g, s.Canary, s.Stable); j.Verdict == Fail {
			share++
			mean += float64(*j.StoppedAt + 1)
		}
	}
	return share / float64(runs), mean / max(share, 1)
}

// A healthy canary is failed with a chance of at most alpha, looked at after every window, whatever moves both sides
// alike. Values that are correlated with their own side's earlier ones break what this assumes; how much is documented.
func TestFalseAlarms(t *testing.T) {
	day := func(i int) float64 { return 30 * math.Sin(float64(i)/20) }
	for _, tc := range []struct {
		name        string
		m           metric
		least, most float64 // with either, alpha 0.05
	}{
		{"independent windows", shifted(0), 0, 0.05},
		{"a load that moves both", func(r *rand.Rand, n int) Series { return drawn(r, n, 0, 0, day) }, 0, 0.05},
		{"many ties", func(r *rand.Rand, n int) Series {
			s := drawn(r, n, 0, 0, nil)
			for i := range s.Canary {
				s.Canary[i], s.Stable[i] = math.Round(s.Canary[i]), math.Round(s.Stable[i])
			}
			return s
		}, 0, 0.05},
		{"correlation of 0.5 within each side", func(r *rand.Rand, n int) Series { return drawn(r, n, 0.5, 0, nil) }, 0.1, 0.4},
		{"correlation of 0.9 within each side", func(r *rand.Rand, n int) Series { return drawn(r, n, 0.9, 0, nil) }, 0.7, 1},
	} {
		const runs = 400
		for _, direction := range []string{DirectionIncrease, DirectionEither} {
			loose, _ := stopped(DistributionGate{Direction: direction, Alpha: 0.05}, tc.m, 120, runs)
			strict, _ := stopped(DistributionGate{Direction: direction}, tc.m, 120, runs)
			old, _ := stopped(DistributionGate{Direction: direction, Method: MethodMannWhitney}, tc.m, 120, runs)
			t.Logf("%s, %s, 120 windows: alpha 0.05 %.2f %%, alpha 0.01 %.2f %%, Mann-Whitney %.2f %%", tc.name, direction, 100*loose, 100*strict, 100*old)
			slack := 3 * math.Sqrt(0.05/runs)
			if direction == DirectionEither && loose < tc.least-slack || loose > tc.most+slack {
				t.Errorf("%s, %s: %v of healthy canaries are stopped, documented are %v to %v", tc.name, direction, loose, tc.least, tc.most)
			}
			if tc.least == 0 && strict > 0.01+3*math.Sqrt(0.01/runs) {
				t.Errorf("%s, %s: %v of healthy canaries are stopped at 0.01", tc.name, direction, strict)
			}
		}
	}
}

// How well harm is seen, next to the Mann-Whitney method, which looks once at the end.
func TestPower(t *testing.T) {
	for _, tc := range []struct {
		name  string
		m     metric
		n     int
		least float64 // of the sequential method with direction either
	}{
		{"half a standard deviation more", shifted(0.5), 60, 0.07},
		{"one standard deviation more", shifted(1), 60, 0.8},
		{"two more", shifted(2), 30, 0.95},
		{"four more", shifted(4), 30, 0.99},
		{"a third more, under a load that moves both by ten times as much", func(r *rand.Rand, n int) Series {
			return drawn(r, n, 0, 1, func(i int) float64 { return 30 * math.Sin(float64(i)/10) })
		}, 60, 0.5},
		{"three times the spread", func(r *rand.Rand, n int) Series {
			s := shifted(0)(r, n)
			for i := range s.Canary {
				s.Canary[i] = 10 + 3*(s.Canary[i]-10)
			}
			return s
		}, 60, 0.7},
		{"a spike in every fifth window", func(r *rand.Rand, n int) Series {
			s := shifted(0)(r, n)
			for i := range s.Canary {
				if r.Float64() < 0.2 {
					s.Canary[i] += 8
				}
			}
			return s
		}, 120, 0.3},
	} {
		const runs = 200
		up, upAt := stopped(DistributionGate{Direction: DirectionIncrease}, tc.m, tc.n, runs)
		both, bothAt := stopped(DistributionGate{}, tc.m, tc.n, runs)
		old, _ := stopped(DistributionGate{Method: MethodMannWhitney}, tc.m, tc.n, runs)
		t.Logf("%s, %d windows: increase %.0f %% at %.0f, either %.0f %% at %.0f, Mann-Whitney %.0f %%", tc.name, tc.n, 100*up, upAt, 100*both, bothAt, 100*old)
		if both < tc.least {
			t.Errorf("%s: %v are stopped, expected at least %v", tc.name, both, tc.least)
		}
	}
}
