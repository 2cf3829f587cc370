package incident

import (
	"math"
	"math/rand/v2"
	"time"
)

// world is simulated traffic of one service.
type world struct {
	rng     *rand.Rand
	start   time.Time
	step    time.Duration
	perStep float64 // requests in a step, at noon
	rate    float64 // usual share of bad requests
	drift   float64 // by how much that grows in an hour, as a share of it
	burst   bool    // bad requests come in bursts
	diurnal bool
	shares  []struct {
		Cell
		share float64
		from  time.Time // when it got its share; before, the first cell has it
	}
	hurt func(Cell, time.Time) float64 // what is bad beyond the usual
	less func(time.Time) float64       // factor of the requests
}

func newWorld(seed uint64, perStep, rate float64) *world {
	return &world{rng: rand.New(rand.NewPCG(seed, 7)), start: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), step: 5 * time.Second, perStep: perStep, rate: rate}
}

func (w *world) cell(version, ring string, share float64, from time.Time) {
	w.shares = append(w.shares, struct {
		Cell
		share float64
		from  time.Time
	}{Cell{Version: version, Ring: ring}, share, from})
}

func (w *world) poisson(mean float64) float64 {
	if mean > 50 {
		return max(0, math.Round(mean+math.Sqrt(mean)*w.rng.NormFloat64()))
	}
	l, k, p := math.Exp(-mean), 0.0, 1.0
	for p > l {
		k++
		p *= w.rng.Float64()
	}
	return max(0, k-1)
}

// run gives the counts from the start until a time.
func (w *world) run(until time.Time) []Count {
	var all []Count
	for at := w.start.Add(w.step); !at.After(until); at = at.Add(w.step) {
		traffic := w.perStep
		if w.diurnal {
			h := at.Sub(at.Truncate(24 * time.Hour)).Hours()
			traffic *= 0.6 + 0.4*math.Sin((h-8)/24*2*math.Pi)
		}
		if w.less != nil {
			traffic *= w.less(at)
		}
		taken := 0.0
		rows := make([]Count, len(w.shares))
		for i := len(w.shares) - 1; i >= 0; i-- {
			s := w.shares[i]
			share := s.share
			if i == 0 {
				share = 1 - taken
			} else if !at.After(s.from) {
				continue
			}
			taken += share
			p := w.rate * (1 + w.drift*at.Sub(w.start).Hours())
			if w.burst {
				p *= math.Exp(0.5*w.rng.NormFloat64() - 0.125)
			}
			if w.hurt != nil {
				p = min(1, p+w.hurt(s.Cell, at))
			}
			n := w.poisson(traffic * share)
			rows[i] = Count{At: at, Cell: s.Cell, Requests: n, Bad: min(n, w.poisson(n*p))}
		}
		for _, r := range rows {
			if !r.At.IsZero() {
				all = append(all, r)
			}
		}
	}
	return all
}
