package rollout

import (
	"fmt"
	"time"
)

// refused says why a ring may not get what is rolled out, "" when it may. No lane goes past it but that of what was good before.
func (s State) refused(ring int, ev Evidence) string {
	why := ev.Refused[s.Rings[ring].Name]
	if why == "" || s.Lane == Redeploy {
		return ""
	}
	return fmt.Sprintf("ring %s may not get %s: %s", s.Rings[ring].Name, s.To, why)
}

// admitted notes, once, that the next ring may not get it, or may again.
func admitted(s State, ev Evidence, now time.Time) []Event {
	next := s.Ring + 1
	if s.Ring < 0 {
		next = s.firstRing()
	}
	if next > s.last() {
		return nil
	}
	ring := s.Rings[next].Name
	switch why := s.refused(next, ev); {
	case why == s.Refused:
		return nil
	case why == "":
		return []Event{{Type: EvAdmitted, Time: now, Ring: ring}}
	default:
		return []Event{{Type: EvRefused, Time: now, Ring: ring, Reason: why}}
	}
}
