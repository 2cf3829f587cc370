package simulate

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/ringfence/ringfence/internal/health"
)

// Power is how surely a ring should see a regression by itself.
const Power = 0.95

const (
	needRuns   = 400 // on which a need rests
	mostShare  = 0.5 // a comparison is at its best when both sides get as much
	searchSize = 7   // halvings of the search for a share
)

// Need is what a ring would need to see the regression alone in 95 of 100 releases, whatever the rings before it do. The
// three ways are alternatives; nil where there is none.
type Need struct {
	Ring        string   `json:"ring"`
	Power       float64  `json:"power" doc:"share of the releases in which the ring sees it alone, as it is"`
	HalfMinutes *float64 `json:"halfMinutes" doc:"after this time in the ring, half of them"`
	BakeMinutes *float64 `json:"bakeMinutes" doc:"bake for 95 %"`
	Share       *float64 `json:"share" doc:"of the users, with the rings before, for 95 % in the same bake; null where the ring suffices"`
	Traffic     *float64 `json:"traffic" doc:"requests a second for 95 % in the same bake; null where they suffice"`
}

// needs asks the rings that compare, from the innermost to the first that suffices.
func (w *world) needs(ctx context.Context, runs int, seed uint64) ([]Need, error) {
	rough := *w
	rough.coarse = true
	needs := []Need{}
	for ring := range len(w.shares) - 1 {
		n, err := rough.need(ctx, ring, runs, seed)
		if err != nil {
			return nil, err
		}
		needs = append(needs, n)
		if n.Power >= Power {
			break
		}
	}
	return needs, nil
}

func (w *world) need(ctx context.Context, ring, runs int, seed uint64) (Need, error) {
	n := Need{Ring: w.plan.Rings[ring].Name}
	if !w.visible(ring) {
		return n, nil
	}
	bake, share := w.bake(ring), w.shares[ring]
	times, err := w.times(ctx, ring, share, bake+patience, runs, seed)
	if err != nil {
		return n, err
	}
	inTime, stay := 0, w.stay(ring, share)
	for _, t := range times {
		if t <= stay {
			inTime++
		}
	}
	n.Power = float64(inTime) / float64(runs)
	n.HalfMinutes = quantileOf(times, 0.5, runs)
	n.BakeMinutes = quantileOf(times, Power, runs)
	if n.Power >= Power {
		return n, nil
	}
	if n.BakeMinutes != nil { // twice the traffic shows in an hour what took two
		t := w.traffic * *n.BakeMinutes / bake.Minutes()
		n.Traffic = &t
	}
	n.Share, err = w.shareFor(ctx, ring, runs, seed)
	return n, err
}

// stay is how long a healthy change is in a ring of a given size: its bake, or longer where traffic comes slowly.
func (w *world) stay(ring int, share float64) time.Duration {
	seconds := float64(w.floor(ring, share)) / (w.traffic * share)
	return max(w.bake(ring), time.Duration(min(seconds, patience.Seconds())*float64(time.Second)))
}

// floor is the most requests that a ring of a given size or one of its gates asks for.
func (w *world) floor(ring int, share float64) int64 {
	most := w.asked(ring, share)
	for _, g := range w.plan.GatesIn(ring, false) {
		if n := g.MinRequests; n != nil && counted(g.Signal) && !g.Informing {
			most = max(most, *n)
		}
	}
	return most
}

// asked is how many requests the ring itself asks for; for users, in how many these have come.
func (w *world) asked(ring int, share float64) int64 {
	r := w.plan.Rings[ring]
	all, users := share*w.users, float64(r.MinUsers)
	switch {
	case users == 0:
		return r.MinRequests
	case users > math.Round(all):
		return math.MaxInt64 / 2 // there are not so many
	}
	return max(r.MinRequests, int64(math.Ceil(-all*math.Log1p(-min(users-0.5, all-0.5)/all))))
}

// visible reports whether any gate can tell the regression from health in a ring.
func (w *world) visible(ring int) bool {
	state := w.plan
	state.Ring = ring
	for _, t := range state.Trials(ring, false) {
		g := t.Gate
		stable, sick := w.stable[g.Signal], w.sick[g.Signal]
		if t.Process != nil && bears(g) && (g.Compare == health.CompareStable && sick > g.MaxRatio*stable || sick > g.MaxShare) {
			return true
		}
	}
	return false
}

// times returns when the regression is seen in a ring, of those runs in which it is.
func (w *world) times(ctx context.Context, ring int, share float64, limit time.Duration, runs int, seed uint64) ([]time.Duration, error) {
	all, err := many(ctx, runs, seed, forNeeds, func(rng *rand.Rand) time.Duration {
		t, _ := w.alone(rng, ring, share, limit)
		return t
	})
	var seen []time.Duration
	for _, t := range all {
		if t > 0 {
			seen = append(seen, t)
		}
	}
	return seen, err
}

// quantileOf is the time at which a part q of all runs has seen it, nil when fewer ever do.
func quantileOf(times []time.Duration, q float64, runs int) *float64 {
	if float64(len(times)) < q*float64(runs) {
		return nil
	}
	return quantile(times, q*float64(runs)/float64(len(times)))
}

// shareFor searches the smallest share of the users that suffices in the ring's bake.
func (w *world) shareFor(ctx context.Context, ring, runs int, seed uint64) (*float64, error) {
	suffices := func(share float64) (bool, error) {
		seen, err := w.times(ctx, ring, share, w.stay(ring, share), runs, seed)
		return float64(len(seen)) >= Power*float64(runs), err
	}
	lo, hi := w.shares[ring], mostShare
	if lo >= hi {
		return nil, nil
	}
	if ok, err := suffices(hi); !ok || err != nil {
		return nil, err
	}
	lo = max(lo, 1e-9)
	for range searchSize {
		mid := math.Sqrt(lo * hi)
		ok, err := suffices(mid)
		if err != nil {
			return nil, err
		}
		if ok {
			hi = mid
		} else {
			lo = mid
		}
	}
	return &hi, nil
}
