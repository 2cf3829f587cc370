package rollout

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/health"
)

// mayPass reports whether the current ring has baked and is healthy, and if not what it is waiting for.
func (s State) mayPass(ev Evidence, verdict health.Verdict, now time.Time) (bool, string) {
	ring := s.Rings[s.Ring]
	left := s.bake(s.Ring) - now.Sub(s.stage().Baking) + ev.Unwatched
	switch {
	case s.Paused || s.Halted:
		return false, s.stopped()
	case !ev.Seen:
		return false, "no report from the data plane"
	case !ev.InForce:
		return false, "waiting for the data plane to take up what it shall run"
	case !ev.To.ready():
		return false, fmt.Sprintf("%d of %d instances of %s are ready", ev.To.Ready, ev.To.Wanted, s.To)
	case s.From == "":
		return true, ""
	case verdict != health.Pass && !s.Lane.hasty():
		return false, "verdict is hold: " + s.waitingFor(ev)
	case !s.Hurried && left > 0:
		return false, fmt.Sprintf("baking for another %s", left.Round(time.Second)) + s.whySlow()
	case s.Lane.hasty():
		return true, ""
	case ring.MinRequests > ev.Requests:
		return false, fmt.Sprintf("%d of %d requests in ring %s", ev.Requests, ring.MinRequests, ring.Name)
	case ring.MinUsers > ev.Users:
		return false, fmt.Sprintf("%d of %d users in ring %s", ev.Users, ring.MinUsers, ring.Name)
	case ring.CoverPeak && !s.Hurried && !ev.Peak.Covered:
		return false, "the bake has not covered the peak: " + ev.Peak.Waiting
	default:
		return true, ""
	}
}

// Leaving is the ring that a rollout is about to enter, as far as its own evidence goes, so that the gates before that
// ring are worth asking; -1 for none.
func (s State) Leaving(ev Evidence, now time.Time) int {
	switch {
	case s.Phase == Starting && ev.Seen && ev.InForce && ev.To.ready():
		return s.firstRing()
	case s.Phase == Baking && s.Ring < s.last():
		if ok, _ := s.mayPass(ev, Judge(s, ev), now); ok {
			return s.Ring + 1
		}
	}
	return -1
}

// BakedAt is when the current ring's bake ends, if it is watched until then; zero when none is under way.
func (s State) BakedAt(ev Evidence) time.Time {
	if s.Phase != Baking || s.From == "" {
		return time.Time{}
	}
	return s.stage().Baking.Add(s.bake(s.Ring) + ev.Unwatched)
}

// mayEnter reports whether a ring may get the new version now, and if not what it is waiting for. The approval is
// asked for last, when nothing else is in the way.
func (s State) mayEnter(ring int, ev Evidence, now time.Time) (ok bool, why string, approval bool) {
	if why := s.held(ev); why != "" {
		return false, why, false
	}
	if why := s.refused(ring, ev); why != "" {
		return false, why, false
	}
	if s.From == "" {
		return true, "", false
	}
	if r := s.Restraint; r != nil && r.Hold != "" && !s.Lane.urgent() {
		return false, "held: " + r.Hold, false
	}
	r := s.Rings[ring]
	if r.Hours != nil && !s.Lane.urgent() {
		if open, next := Hours(*r.Hours).Open(now); !open {
			return false, fmt.Sprintf("ring %s may be entered in its hours, from %s", r.Name, clock(next, r.Hours.Zone)), false
		}
	}
	for _, j := range s.judge(s.GatesIn(ring, true), ev.Before, true) {
		if j.counts() != health.Pass && !s.Lane.hasty() {
			return false, fmt.Sprintf("before ring %s, %s: %s", r.Name, Key(j.gate.Gate), j.sentence()), false
		}
	}
	if missing := s.unapproved(ring, ev.Groups); missing != "" {
		return false, missing, true
	}
	return true, "", false
}

// held says what beyond the rollout keeps it from moving outward, "" when nothing does.
func (s State) held(ev Evidence) string {
	for _, h := range ev.Holds {
		if h.Kind == HoldFreeze && s.Through || (h.Kind == HoldLine || h.Kind == HoldUnit) && s.Lane == Sev0 {
			continue
		}
		why := "the line is stopped: " + h.Reason
		switch h.Kind {
		case HoldReach:
			why = h.Reason
		case HoldUnit:
			why = fmt.Sprintf("unit %s is in maintenance: %s", h.Name, h.Reason)
		case HoldFreeze:
			why = fmt.Sprintf("frozen by %s: %s", h.Name, h.Reason)
		}
		if !h.Until.IsZero() {
			why += ", until " + clock(h.Until, "")
		}
		return why
	}
	return ""
}

func clock(t time.Time, zone string) string {
	if t.IsZero() {
		return "a time that does not come"
	}
	if loc, err := time.LoadLocation(zone); err == nil {
		t = t.In(loc)
	}
	return t.Format("Mon 2 Jan 15:04 MST")
}

func (s State) stopped() string {
	if s.Halted {
		return "halted: " + s.Reason
	}
	return "paused"
}

func (j judged) sentence() string {
	if j.said == nil {
		return "no evidence yet"
	}
	return strings.Join(j.said.Reasons, "; ")
}

func (s State) waitingFor(ev Evidence) string {
	for _, j := range s.judge(s.GatesIn(s.Ring, false), ev.Gates, false) {
		if j.counts() != health.Pass {
			return j.sentence()
		}
	}
	return "no evidence yet"
}

// Waiting says in one sentence what a rollout is waiting for.
func (s State) Waiting(ev Evidence, now time.Time) string {
	switch s.Phase {
	case Starting:
		return s.waitingToStart(ev, now)
	case Exposing:
		return "waiting for the data plane to switch ring " + s.ringName()
	case Baking:
		if ok, why := s.mayPass(ev, Judge(s, ev), now); !ok {
			return why
		}
		if s.Ring < s.last() {
			ok, why, _ := s.mayEnter(s.Ring+1, ev, now)
			if ok {
				why = "it enters ring " + s.Rings[s.Ring+1].Name
			}
			return why
		}
		return "ring " + s.ringName() + " has baked"
	case RollingBack:
		if !s.Reverted && ev.From.Failure != "" {
			return fmt.Sprintf("waiting for %s to become ready again: %s", s.From, ev.From.Failure)
		}
		if !s.Reverted {
			return fmt.Sprintf("waiting for %s to become ready again", s.From)
		}
		return "waiting for the data plane to switch back to " + s.From
	default:
		return s.Reason
	}
}

func (s State) waitingToStart(ev Evidence, now time.Time) string {
	switch {
	case !ev.Seen:
		return "no report from the data plane"
	case !ev.InForce:
		return "waiting for the data plane to take up " + s.To
	case ev.To.ready() && (s.Paused || s.Halted):
		return s.To + " is ready; " + s.stopped()
	case ev.To.ready():
		ok, why, _ := s.mayEnter(s.firstRing(), ev, now)
		if ok {
			why = "it enters ring " + s.Rings[s.firstRing()].Name
		}
		return s.To + " is ready; " + why
	case ev.To.Failure != "":
		return fmt.Sprintf("waiting for %s to become ready: %s", s.To, ev.To.Failure)
	default:
		return fmt.Sprintf("waiting for %s to become ready", s.To)
	}
}
