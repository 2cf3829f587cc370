package rollout

import (
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// Planned is a rollout as its service's plan has it, before anyone has released anything.
func Planned(spec resource.Resolved) State {
	s := State{Kind: spec.Kind, Plan: spec.Plan, Members: spec.Exposure, Salt: spec.Salt, Within: spec.Service.Ready.Within, Standby: spec.Standby, Units: spec.Service.Units, Control: spec.Control, Base: spec.Baseline}
	for _, g := range spec.Gates {
		s.Gates = append(s.Gates, gateOf(g))
	}
	for _, r := range spec.Rings {
		s.Rings = append(s.Rings, Ring{Name: r.Name, Purpose: r.Purpose, Risk: r.Risk, Bake: r.Bake, Units: r.Units, CoverPeak: r.CoverPeak,
			MinRequests: r.MinRequests, MinUsers: r.MinUsers, Hours: r.Hours, Approval: r.Approval})
	}
	return s
}

// Trials are the gates as they judge the state's ring, or before it is entered, with no evidence yet.
func (s State) Trials(ring int, before bool) []Trial {
	gates := s.GatesIn(ring, before)
	trials := make([]Trial, len(gates))
	for i, g := range gates {
		switch g.Signal {
		case health.SignalErrors, health.SignalLatency, health.SignalQuantile:
			if ring == len(s.Rings)-1 && s.Control == 0 {
				g.Compare = health.CompareNone // nobody is left on the version before
			}
			g.ExpectedShare = s.expectedShare(ring)
			if g.Signal == health.SignalQuantile {
				g.ExpectedShare = 0
			}
		}
		share := float64(len(s.Rings)) // each ring spends an equal part of the bound
		g.Alpha /= share
		if d := g.Distribution; d != nil && d.Alpha > 0 {
			part := *d
			part.Alpha /= share
			g.Distribution = &part
		}
		trials[i] = newTrial(g)
	}
	return trials
}

// ByChance reports whether chance alone decides about who in a ring has the new version: a percentage, everyone who is
// left, or the part of a flag's ring that is in trial.
func (s State) ByChance(ring int) bool {
	return s.Control > 0 || len(s.Members[ring].Audience) == 0 && len(s.Members[ring].Units) == 0
}

// expectedShare is the share of the users placed by chance who should be on the new version; 0 when that cannot be
// said: in a ring with a rule, with such a ring between percentages, or when everyone has it.
func (s State) expectedShare(ring int) float64 {
	if s.Control > 0 {
		return 1 - s.Control/100
	}
	if ring == len(s.Rings)-1 || !s.ByChance(ring) {
		return 0
	}
	chance := false
	for i := range s.Members {
		if chance && !s.ByChance(i) {
			return 0
		}
		chance = chance || s.ByChance(i)
	}
	return s.Members[ring].Percent / 100
}
