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

	stable  rates // of requests to the version before
	healthy rates // to a new version that is as good
	sick    rates // to the one with the regression

	every  bool // rollout.Next is asked after each step, not only when its answer could be another one
	coarse bool // longer steps, for a rough answer
}

// rates are chances that a request is bad, by signal.
type rates map[string]float64

func (c Case) world(shares []float64) *world {
	w := &world{
		plan:   rollout.Planned(resource.Resolved{Name: c.Name, Plan: c.Name, Rings: c.Plan.Rings, Exposure: members(c.Plan.Rings), Gates: c.Plan.Gates}),
		shares: shares, users: float64(c.Users), traffic: c.Traffic, swing: (c.DayCurve - 1) / (c.DayCurve + 1),
		stable: rates{}, healthy: rates{}, sick: rates{},
	}
	w.plan.Service, w.plan.From, w.plan.To = c.Name, "before", "after"
	for signal, base := range c.Baseline {
		bad := base
		if change, ok := c.Regression[signal]; ok {
			bad = change.of(base)
		}
		w.stable[signal], w.healthy[signal], w.sick[signal] = base, base, bad
	}
	for i := range w.plan.Rings {
		w.plan.Rings[i].Hours, w.plan.Rings[i].Approval = nil, nil // they count as given at once
	}
	return w
}

// members says of each ring whether chance decides who is in it; which users a rule picks does not matter here.
func members(rings []resource.Ring) []fleet.Ring {
	out := make([]fleet.Ring, len(rings))
	for i, r := range rings {
		out[i].Name, out[i].Units = r.Name, r.Units
		switch {
		case r.Audience.Percent != nil:
			out[i].Percent = *r.Audience.Percent
		case !r.Audience.Everyone():
			out[i].Audience = json.RawMessage("true")
		}
	}
	return out
}

// bake is how long a ring bakes; where it has to cover the peak, on average over the times at which it is entered.
func (w *world) bake(ring int) time.Duration {
	r := w.plan.Rings[ring]
	own := time.Duration(r.Bake)
	switch {
	case !r.CoverPeak:
		return own
	case w.swing == 0:
		return max(own, day)
	}
	const slices = 96
	var sum time.Duration
	for i := range slices {
		sum += max(own, untilPeak(day*time.Duration(i)/slices))
	}
	return sum / slices
}

// bakeFrom is how long it bakes when it is entered at a time of the day.
func (w *world) bakeFrom(ring int, hour time.Duration) time.Duration {
	if r := w.plan.Rings[ring]; r.CoverPeak && w.swing > 0 {
		return max(time.Duration(r.Bake), untilPeak(hour))
	}
	return w.bake(ring)
}

// untilPeak is how long after a time of the day the first whole busiest hour ends, the one with the day's first moment in
// its middle.
func untilPeak(hour time.Duration) time.Duration {
	const early = time.Hour / 2
	return (2*day-early-hour%day)%day + time.Hour
}
