package simulate

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

// What the random numbers of a run are for; with the seed and the run it decides all of them.
const (
	forHealthy = uint64(iota+1) << 32
	forRegression
	forNeeds
)

// Run simulates the case. It works on all processors, and ends early with ctx.
func Run(ctx context.Context, c Case) (Report, error) {
	r, _, _, err := simulate(ctx, c)
	return r, err
}

// simulate returns beside the report what it was made from: the world and the runs with the regression.
func simulate(ctx context.Context, c Case) (Report, *world, []outcome, error) {
	c, err := c.complete()
	if err != nil {
		return Report{}, nil, nil, err
	}
	shares, assumed, err := c.measure()
	if err != nil {
		return Report{}, nil, nil, err
	}
	w := c.world(shares)
	healthy, err := many(ctx, c.Runs, c.Seed, forHealthy, func(rng *rand.Rand) outcome { return w.run(rng, w.healthy) })
	if err != nil {
		return Report{}, nil, nil, err
	}
	sick, err := many(ctx, c.Runs, c.Seed, forRegression, func(rng *rand.Rand) outcome { return w.run(rng, w.sick) })
	if err != nil {
		return Report{}, nil, nil, err
	}
	needs, err := w.needs(ctx, min(c.Runs, needRuns), c.Seed)
	if err != nil {
		return Report{}, nil, nil, err
	}
	r := Report{
		Plan: c.Name, Traffic: c.Traffic, Users: c.Users, Runs: c.Runs, Seed: c.Seed, Signals: w.signals(), Assumed: append([]string{}, assumed...),
		Healthy: w.healthyReport(healthy), Regression: w.regressionReport(sick), Needs: needs,
	}
	for i, ring := range w.plan.Rings {
		r.Rings = append(r.Rings, Ring{Name: ring.Name, Share: math.Round(1e9*shares[i]) / 1e9, BakeMinutes: w.bake(i).Minutes()})
	}
	r.Advice = w.advise(c, r)
	return r, w, sick, nil
}

func (w *world) signals() []Signal {
	all := []Signal{}
	seen := map[string]bool{}
	for _, g := range w.plan.Gates {
		if !seen[g.Signal] && counted(g.Signal) {
			all = append(all, Signal{Signal: g.Signal, Baseline: w.stable[g.Signal], Regression: w.sick[g.Signal]})
		}
		seen[g.Signal] = true
	}
	return all
}

// many runs one thing n times, each with random numbers of its own, and returns the results in order.
func many[T any](ctx context.Context, n int, seed, purpose uint64, once func(*rand.Rand) T) ([]T, error) {
	out := make([]T, n)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				out[i] = once(rand.New(rand.NewPCG(seed, purpose|uint64(i))))
			}
		})
	}
	workers.Wait()
	return out, ctx.Err()
}
