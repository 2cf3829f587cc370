package sim

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ringfence/ringfence/internal/health"
)

// Method is a way to judge a release by its minutes.
type Method struct {
	Name string
	stop func([]health.Sample) int // the minute of the stop, counted from 1; 0 for none
}

// Methods are ours and those it is shown beside.
func Methods(alpha float64) []Method {
	return []Method{
		{"ours", func(m []health.Sample) int { return ours(m, alpha) }},
		{"thr-0", func(m []health.Sample) int { return threshold(m, 0) }},
		{"thr-3", func(m []health.Sample) int { return threshold(m, 3) }},
		{"thr-5", func(m []health.Sample) int { return threshold(m, 4) }},
		{"ACA once", func(m []health.Sample) int { return kayenta(m, len(m)) }},
		{"ACA each 5 min", func(m []health.Sample) int { return kayenta(m, 5) }},
	}
}

func ours(minutes []health.Sample, alpha float64) int {
	p := health.NewProcess(ComparisonOnly(alpha))
	for _, s := range minutes {
		if err := p.Add(s); err != nil {
			panic(err) // such samples cannot be drawn
		}
		if p.StoppedAt != nil {
			return *p.StoppedAt + 1
		}
	}
	return 0
}

// threshold stops when more minutes than are tolerated had a success rate of the canary below 99 %: the example of
// Flagger's documentation, as a limit on the number of failures.
func threshold(minutes []health.Sample, tolerated int) int {
	failed := 0
	for i, s := range minutes {
		if float64(s.Canary.Bad) > 0.01*float64(s.Canary.Requests) {
			failed++
		}
		if failed > tolerated {
			return i + 1
		}
	}
	return 0
}

// kayenta judges the error ratios of all minutes so far, each time so many more have passed.
func kayenta(minutes []health.Sample, each int) int {
	var series health.Series
	for i, s := range minutes {
		series.Canary, series.Stable = append(series.Canary, ratioOf(s.Canary)), append(series.Stable, ratioOf(s.Stable))
		if (i+1)%each == 0 && health.JudgeDistribution(Kayenta(), series).Verdict == health.Fail {
			return i + 1
		}
	}
	return 0
}

// Kayenta is a metric of its judge that fails on an increase, with its defaults.
func Kayenta() health.DistributionGate {
	return health.DistributionGate{Compare: health.CompareDistribution, Method: health.MethodMannWhitney, Direction: health.DirectionIncrease}
}

func ratioOf(c *health.Counts) float64 {
	if c.Requests == 0 {
		return math.NaN()
	}
	return float64(c.Bad) / float64(c.Requests)
}

// Compare judges the same releases by every method.
func Compare(sc Scenario, methods []Method, runs int, seed uint64) []Result {
	stops := many(runs, seed, func(rng *rand.Rand) []int {
		minutes := sc.draw(rng)
		out := make([]int, len(methods))
		for i, m := range methods {
			out[i] = m.stop(minutes)
		}
		return out
	})
	results := make([]Result, len(methods))
	for i := range methods {
		var minutes []float64
		for _, s := range stops {
			if s[i] > 0 {
				minutes = append(minutes, float64(s[i]))
			}
		}
		results[i] = Result{Runs: runs, Stopped: len(minutes)}
		results[i].Mean, results[i].SD = meanOf(minutes)
	}
	return results
}

func meanOf(all []float64) (mean, sd float64) {
	if len(all) == 0 {
		return 0, 0
	}
	var sum, squares float64
	for _, v := range all {
		sum += v
		squares += v * v
	}
	n := float64(len(all))
	return sum / n, math.Sqrt(max(0, squares/n-sum/n*sum/n))
}

// draw is one release, minute by minute. So many requests come as chance will have it, on average as many as it says.
func (sc Scenario) draw(rng *rand.Rand) []health.Sample {
	var minutes []health.Sample
	for _, step := range sc.Steps {
		for range step.Minutes {
			c, s := health.Counts{Requests: Poisson(rng, step.Canary)}, health.Counts{Requests: Poisson(rng, step.Stable)}
			c.Bad, s.Bad = Binomial(rng, c.Requests, sc.CanaryBad), Binomial(rng, s.Requests, sc.StableBad)
			minutes = append(minutes, health.Sample{Canary: &c, Stable: &s})
		}
	}
	return minutes
}

// Poisson draws how many requests come where so many do on average; from 200 on by the normal distribution near to it.
func Poisson(rng *rand.Rand, mean int64) int64 {
	m := float64(mean)
	if mean >= 200 {
		return max(0, int64(math.Round(m+math.Sqrt(m)*rng.NormFloat64())))
	}
	u, chance := rng.Float64(), math.Exp(-m)
	for k := int64(0); ; k++ {
		if u -= chance; u < 0 || k > 1000 {
			return k
		}
		chance *= m / float64(k+1)
	}
}

// many runs one thing n times on all processors, each with random numbers of its own.
func many[T any](n int, seed uint64, once func(*rand.Rand) T) []T {
	out := make([]T, n)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				out[i] = once(rand.New(rand.NewPCG(seed, uint64(i))))
			}
		})
	}
	workers.Wait()
	return out
}
