package sim

import (
	"math"
	"math/rand/v2"

	"github.com/ringfence/ringfence/internal/health"
)

// Effect is a release that makes requests go bad so many times as often, of which the truth is known.
type Effect struct {
	Share float64 // of the requests, on the canary
	Times float64 // stable's bad share
}

// Effects are the grid over which requests to detection are averaged: the effects that the gate bets on, others between
// them, and the splits of traffic of the table.
func Effects() []Effect {
	var all []Effect
	for _, share := range []float64{0.05, 0.5} {
		for _, times := range []float64{1.25, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 5, 7, 10, 15, 20} {
			all = append(all, Effect{share, times})
		}
	}
	return all
}

// Race is how many requests to the canary tests need to see the same releases.
type Race struct {
	Effect
	Ours, Wald float64 // mean number of requests until the stop
	Omniscient float64 // of Wald's test that knows stable's bad share beforehand, too, and so needs no stable

	OursFalse, WaldFalse float64 // share of healthy releases stopped within ten times the requests that Wald's test needs
}

// Ratio is how many times Wald's requests ours needs.
func (r Race) Ratio() float64 { return r.Ours / r.Wald }

// Run lets both tests judge the same releases, each until it stops. Wald's sequential test of the likelihood ratio knows by
// how much the canary is worse, and is told of it as we are: by the split of the bad requests. It never decides that all
// is well, as ours never does, and stops where the ratio reaches 1/alpha: the bound on false alarms is the same.
func (e Effect) Run(alpha float64, runs int, seed uint64) Race {
	r := Race{Effect: e}
	n := float64(runs)
	for _, at := range many(runs, seed, func(rng *rand.Rand) stops { return e.once(rng, alpha, e.Times, math.MaxFloat64) }) {
		r.Ours += at.ours / n
		r.Wald += at.wald / n
		r.Omniscient += at.omniscient / n
	}
	for _, at := range many(runs, seed+1<<32, func(rng *rand.Rand) stops { return e.once(rng, alpha, 1, 10*r.Wald) }) {
		r.OursFalse += min(at.ours, 1) / n
		r.WaldFalse += min(at.wald, 1) / n
	}
	return r
}

// stops are after how many requests the tests stopped, 0 when they had not.
type stops struct{ ours, wald, omniscient float64 }

// once lets a canary be so many times worse than stable, up to a number of requests. It samples finely: a sample has a fifth of a
// bad request of the canary.
func (e Effect) once(rng *rand.Rand, alpha, worse, most float64) (at stops) {
	canary := int64(max(1, math.Round(0.2/(baseline*e.Times))))
	stable := int64(math.Round(float64(canary) * (1 - e.Share) / e.Share))
	share := float64(canary) / float64(canary+stable)
	up, cost := math.Log(e.Times), math.Log1p(share*(e.Times-1))
	p := health.NewProcess(ComparisonOnly(alpha))
	ratio, known := 0.0, 0.0
	bad, good := math.Log(e.Times), math.Log1p(-baseline*e.Times)-math.Log1p(-baseline)
	for n := float64(canary); n <= most && (at.ours == 0 || at.wald == 0 || at.omniscient == 0); n += float64(canary) {
		c := health.Counts{Requests: canary, Bad: Binomial(rng, canary, baseline*worse)}
		s := health.Counts{Requests: stable, Bad: Binomial(rng, stable, baseline)}
		if at.ours == 0 {
			if err := p.Add(health.Sample{Canary: &c, Stable: &s}); err != nil {
				panic(err) // such samples cannot be drawn
			}
			if p.StoppedAt != nil {
				at.ours = n
			}
		}
		ratio += float64(c.Bad)*up - float64(c.Bad+s.Bad)*cost
		if at.wald == 0 && ratio >= -math.Log(alpha) {
			at.wald = n
		}
		known += float64(c.Bad)*bad + float64(c.Requests-c.Bad)*good
		if at.omniscient == 0 && known >= -math.Log(alpha) {
			at.omniscient = n
		}
	}
	return at
}

// Mean averages over the grid.
func Mean(races []Race, of func(Race) float64) float64 {
	sum := 0.0
	for _, r := range races {
		sum += of(r)
	}
	return sum / float64(len(races))
}
