package simulate

import (
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// world is a case made ready to be run many times, by several at once.
type world struct {
	plan    rollout.State
	shares  []float64 // of the users, in each ring and those before it
	users   float64
	traffic float64 // requests a second
	swing   float64 // of the day's curve, 0 for none

	stable  []float64 // by gate, chance that a request to the version before is bad
	healthy []float64 // to a new version that is as good
	sick    []float64 // to the one with the regression

	every  bool // rollout.Next is asked after each step, not only when its answer could be another one
	coarse bool // longer steps, for a rough answer
}

func (c Case) world(shares []float64) *world {
	w := &world{
		plan:   rollout.Planned(resource.Resolved{Name: c.Name, Plan: c.Name, Rings: c.Plan.Rings, Exposure: members(c.Plan.Rings), Gates: c.Plan.Gates}),
		shares: shares, users: float64(c.Users), traffic: c.Traffic, swing: (c.DayCurve - 1) / (c.DayCurve + 1),
	}
	w.plan.Service, w.plan.From, w.plan.To = c.Name, "before", "after"
	for _, g := range w.plan.Gates {
		base, bad := c.Baseline[g.Signal], c.Baseline[g.Signal]
		if change, ok := c.Regression[g.Signal]; ok {
			bad = change.of(base)
		}
		w.stable, w.healthy, w.sick = append(w.stable, base), append(w.healthy, base), append(w.sick, bad)
	}
	return w
}

// members says of each ring whether chance decides who is in it; which users a rule picks does not matter here.
func members(rings []resource.Ring) []fleet.Ring {
	out := make([]fleet.Ring, len(rings))
	for i, r := range rings {
		out[i].Name = r.Name
		switch {
		case r.Audience.Percent != nil:
			out[i].Percent = *r.Audience.Percent
		case !r.Audience.Everyone():
			out[i].Audience = json.RawMessage("true")
		}
	}
	return out
}

func (w *world) bake(ring int) time.Duration { return time.Duration(w.plan.Rings[ring].Bake) }
