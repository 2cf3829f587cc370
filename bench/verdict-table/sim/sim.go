// Package sim runs gates against simulated canaries of which the truth is known, to measure how often healthy ones
// are stopped and how soon bad ones are. Equal seeds give equal results. Its tests hold the package health to the
// published numbers; the program has no use for it.
package sim

import (
	"math"
	"math/rand/v2"

	"github.com/ringfence/ringfence/internal/health"
)

// Step is a stretch of one-minute samples with the same traffic.
type Step struct {
	Minutes        int
	Canary, Stable int64   // requests a minute
	Trouble        float64 // what the chance of a bad request is multiplied by on both sides; 0 means 1
}

// Scenario is a release of which the truth is known.
type Scenario struct {
	Name      string
	Steps     []Step
	CanaryBad float64 // chance that a request is bad
	StableBad float64
	Table     Expected
}

// Expected is what the research note's own simulation gave for a scenario: stops in percent, and the mean minute of
// the stop, 0 where it gives none.
type Expected struct {
	Stopped, Minute float64
	Runs            int // on which it rests
}

// Result is what runs of a scenario gave.
type Result struct {
	Runs, Stopped int
	Mean, SD      float64 // minute of the stop, counted from 1
}

// Share is the share of runs that were stopped.
func (r Result) Share() float64 { return float64(r.Stopped) / float64(r.Runs) }

// Run simulates the scenario, judging after each minute as a controller does.
func Run(sc Scenario, gate health.Gate, runs int, seed uint64) Result {
	rng := rand.New(rand.NewPCG(seed, 0))
	res := Result{Runs: runs}
	var sum, squares float64
	for range runs {
		minute := once(sc, gate, rng)
		if minute == 0 {
			continue
		}
		res.Stopped++
		sum += float64(minute)
		squares += float64(minute) * float64(minute)
	}
	if n := float64(res.Stopped); n > 0 {
		res.Mean = sum / n
		res.SD = math.Sqrt(max(0, squares/n-res.Mean*res.Mean))
	}
	return res
}

// once returns the minute of the stop, 0 when there was none.
func once(sc Scenario, gate health.Gate, rng *rand.Rand) int {
	p := health.NewProcess(gate)
	var canary, stable health.Counts
	sample := health.Sample{Canary: &canary, Stable: &stable}
	for _, step := range sc.Steps {
		trouble := step.Trouble
		if trouble == 0 {
			trouble = 1
		}
		for range step.Minutes {
			canary.Requests, canary.Bad = step.Canary, Binomial(rng, step.Canary, sc.CanaryBad*trouble)
			stable.Requests, stable.Bad = step.Stable, Binomial(rng, step.Stable, sc.StableBad*trouble)
			if err := p.Add(sample); err != nil {
				panic(err) // such samples cannot be drawn
			}
			if p.StoppedAt != nil {
				return *p.StoppedAt + 1
			}
		}
	}
	return 0
}

// Binomial draws how many of n independent requests are bad, by counting up its distribution from 0.
func Binomial(rng *rand.Rand, n int64, p float64) int64 {
	switch {
	case n <= 0 || p <= 0:
		return 0
	case p > 0.5:
		return n - Binomial(rng, n, 1-p)
	case float64(n)*p > 200: // the chance of none gets too small to start from
		return Binomial(rng, n/2, p) + Binomial(rng, n-n/2, p)
	}
	odds := p / (1 - p)
	chance := math.Exp(float64(n) * math.Log1p(-p))
	u := rng.Float64()
	for k := int64(0); k < n; k++ {
		if u < chance {
			return k
		}
		u -= chance
		chance *= odds * float64(n-k) / float64(k+1)
		if chance < 1e-300 {
			return k // what is left of u is rounding
		}
	}
	return n
}
