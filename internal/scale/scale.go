package scale

import (
	"fmt"
	"math"
	"time"
)

const (
	// tolerance is the share of what is there by which the need may differ without a change.
	tolerance = 0.1
	// step is the time in which there may become twice as many: what was just started has to show what it takes over.
	step = 15 * time.Second
	// stepLeast is what may be added in that time where doubling adds less.
	stepLeast = 4
	// bucket is for how long recommendations are remembered as one.
	bucket = 5 * time.Second
	// DefaultDown is how long less must have been enough.
	DefaultDown = 5 * time.Minute
)

// Limits of a service. One of InFlight and Rate is over 0; with both, the one that needs more counts.
type Limits struct {
	Min, Max int
	InFlight float64       // requests at a time that one instance shall have
	Rate     float64       // requests a second that one instance shall have
	Down     time.Duration // 0 for DefaultDown
}

// Load is what is asked of a service in all its versions, averaged over some seconds.
type Load struct {
	InFlight float64 // requests at a time
	Rate     float64 // requests a second
}

// State is what the next decision rests on.
type State struct {
	Target int       // instances of each version
	Since  time.Time // it has been that many
	Reason string    // why

	needs []need // newest last, at most one for each bucket of Limits.Down
	base  int    // how many there were when the present step began
	began time.Time
}

// need is the most that was needed in a bucket: from its first to its last look.
type need struct {
	from, to time.Time
	n        int
}

// Begin is the state of a service that has n instances of a version, brought within the limits.
func Begin(l Limits, n int, now time.Time) State {
	return State{Target: l.clamp(n), Since: now}
}

// Next is the state after what is asked now. It differs in Target when something is to be done, and then says why.
func (s State) Next(l Limits, load Load, now time.Time) State {
	n, why := l.need(s.Target, load)
	s.remember(n, l.down(), now)
	switch clamped := l.clamp(s.Target); {
	case clamped != s.Target: // the limits have changed
		return s.to(clamped, fmt.Sprintf("the limits are now %d to %d", l.Min, l.Max), now)
	case n > s.Target:
		if s.began.IsZero() || now.Sub(s.began) >= step {
			s.base, s.began = s.Target, now
		}
		if most := max(2*s.base, s.base+stepLeast); most > s.Target {
			return s.to(min(n, most), why, now)
		}
	case n < s.Target && now.Sub(s.Since) >= l.down():
		if most := s.most(); most < s.Target {
			return s.to(most, fmt.Sprintf("%s; no more than %d were needed for %s", why, most, l.down()), now)
		}
	}
	return s
}

func (s State) to(n int, why string, now time.Time) State {
	s.Target, s.Since, s.Reason = n, now, why
	return s
}

// need is how many instances the load asks for, within the limits; what there is when that is about right.
func (l Limits) need(have int, load Load) (int, string) {
	n, why := 0, ""
	ask := func(what string, asked, each float64) {
		if each <= 0 {
			return
		}
		k := int(math.Ceil(asked / each))
		if have > 0 && math.Abs(asked/(each*float64(have))-1) <= tolerance {
			k = have
		}
		if why == "" || k > n {
			n, why = k, fmt.Sprintf("%.4g %s, %.4g for each instance", asked, what, each)
		}
	}
	ask("requests at a time", load.InFlight, l.InFlight)
	ask("requests a second", load.Rate, l.Rate)
	return l.clamp(n), why
}

func (l Limits) clamp(n int) int { return max(l.Min, min(n, l.Max)) }

func (l Limits) down() time.Duration {
	if l.Down > 0 {
		return l.Down
	}
	return DefaultDown
}

// remember keeps what was needed, and forgets what was longer ago than down. The slice is not shared with earlier states.
func (s *State) remember(n int, down time.Duration, now time.Time) {
	kept := make([]need, 0, len(s.needs)+1)
	for _, old := range s.needs {
		if now.Sub(old.to) < down {
			kept = append(kept, old)
		}
	}
	if k := len(kept); k > 0 && now.Sub(kept[k-1].from) < bucket {
		kept[k-1].n, kept[k-1].to = max(kept[k-1].n, n), now
	} else {
		kept = append(kept, need{now, now, n})
	}
	s.needs = kept
}

func (s State) most() int {
	most := 0
	for _, n := range s.needs {
		most = max(most, n.n)
	}
	return most
}
