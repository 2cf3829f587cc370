package controller

import (
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

// split is how many users each side has got since the exposure last changed, among those whom a percentage placed.
// A canary that loses users, or a router that sends them astray, shows in it (sample-ratio mismatch).
type split struct{ canary, stable int64 }

func splitOf(users []fleet.UserCount, state rollout.State) (s split) {
	chance := map[string]bool{}
	for i, m := range state.Members {
		chance[m.Name] = state.ByChance(i)
	}
	for _, u := range users {
		switch {
		case !chance[u.Ring]:
		case u.Version == state.To:
			s.canary += u.Recent
		case state.Replaces(u.Version):
			s.stable += u.Recent
		}
	}
	if n := s.canary + s.stable; n > fleet.ExactUsers { // estimates: no more weight than the exact numbers had
		s.canary = s.canary * fleet.ExactUsers / n
		s.stable = fleet.ExactUsers - s.canary
	}
	return s
}

// addTo puts the users who came since the last call into the last sample that has both sides.
func (s *split) addTo(samples []health.Sample, now split) {
	for i := len(samples) - 1; i >= 0; i-- {
		if c, st := samples[i].Canary, samples[i].Stable; c != nil && st != nil {
			c.Users, st.Users = max(0, now.canary-s.canary), max(0, now.stable-s.stable)
			s.canary, s.stable = max(s.canary, now.canary), max(s.stable, now.stable)
			return
		}
	}
}
