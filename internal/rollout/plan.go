package rollout

import (
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// Planned is a rollout as its service's plan has it, before anyone has released anything.
func Planned(spec resource.Resolved) State {
	s := State{Plan: spec.Plan, Members: spec.Exposure, Salt: spec.Salt, Gates: gatesOf(spec.Gates), Within: spec.Service.Ready.Within}
	for _, r := range spec.Rings {
		s.Rings = append(s.Rings, Ring{Name: r.Name, Purpose: r.Purpose, Bake: r.Bake})
	}
	return s
}

// gatesOf turns a plan's gates into those that are judged.
func gatesOf(gates []resource.Gate) []health.Gate {
	var out []health.Gate
	for _, g := range gates {
		h := health.Gate{Signal: g.Signal, Compare: g.Compare, Alpha: g.Alpha, MaxRatio: g.MaxRatio, MaxShare: g.MaxShare}
		if n := g.MinRequests; n != 0 {
			h.MinRequests = &n
		}
		if g.Signal == health.SignalLatency {
			h.Over = strconv.FormatFloat(time.Duration(g.Over).Seconds(), 'g', -1, 64)
		}
		out = append(out, health.Defaults(h))
	}
	return out
}

// Trials are the plan's gates as they judge the state's ring, with no evidence yet.
func (s State) Trials() []Trial {
	trials := make([]Trial, len(s.Gates))
	for i, g := range s.Gates {
		if s.Everyone() {
			g.Compare = health.CompareNone // nobody is left on the version before
		}
		g.ExpectedShare = s.expectedShare()
		g.Alpha /= float64(len(s.Rings)) // each ring spends an equal part of the bound
		trials[i].Gate = g
		if g.Judges() {
			trials[i].Process = health.NewProcess(g)
		}
	}
	return trials
}

// ByChance reports whether chance alone decides about a ring's members: a percentage, or everyone who is left.
func (s State) ByChance(ring int) bool {
	return len(s.Members[ring].Audience) == 0
}

// expectedShare is the share of the users placed by chance who should be on the new version; 0 when that cannot be
// said: in a ring with a rule, with such a ring between percentages, or when everyone has it.
func (s State) expectedShare() float64 {
	if s.Everyone() || !s.ByChance(s.Ring) {
		return 0
	}
	chance := false
	for i := range s.Members {
		if chance && !s.ByChance(i) {
			return 0
		}
		chance = chance || s.ByChance(i)
	}
	return s.Members[s.Ring].Percent / 100
}
