package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/health"
)

// lostFor is how long a new version that users see may be without a ready instance before it is taken back.
const lostFor = 10 * time.Second

// Next decides what follows from the state and the evidence at time now; nothing when it has to wait.
// Each call takes one step, so that each step is recorded with the evidence it was made on.
func Next(s State, ev Evidence, now time.Time) []Event {
	switch s.Phase {
	case Starting:
		return nextStarting(s, ev, now)
	case Exposing, Baking:
		return nextRing(s, ev, now)
	case RollingBack:
		return nextBack(s, ev, now)
	default:
		return nil
	}
}

// nextStarting waits for the new version. A unit that is not seen, or has not taken up what it shall run, tells
// nothing of it: what it last said may be of an earlier life of the same version.
func nextStarting(s State, ev Evidence, now time.Time) []Event {
	switch {
	case !ev.Seen || !ev.InForce:
		return nil
	case ev.To.ready() && s.Paused:
		return nil
	case ev.To.ready():
		return []Event{{Type: EvReady, Time: now}, exposed(s, s.firstRing(), now)}
	case now.Sub(s.Created) >= s.Within.D(time.Minute):
		why := fmt.Sprintf("%s did not become ready within %s", s.To, s.Within.D(time.Minute))
		if ev.To.Failure != "" {
			why += ": " + ev.To.Failure
		}
		ev.HurtAt = s.Created
		return halt(s, ev, why, now)
	default:
		return nil
	}
}

func nextRing(s State, ev Evidence, now time.Time) []Event {
	if why := harm(s, ev, now); why != "" {
		return halt(s, ev, why, now)
	}
	if e := presence(s, ev, now); e != nil {
		return e
	}
	if s.Phase == Exposing {
		if !ev.InForce {
			return nil
		}
		return []Event{{Type: EvBaking, Time: now, Ring: s.ringName()}}
	}
	verdict := Judge(s, ev)
	if ready, _ := s.mayPass(ev, verdict, now); ready {
		return pass(s, ev, now)
	}
	if st := s.stage(); st.Verdict != verdict {
		return []Event{{Type: EvJudged, Time: now, Ring: st.Ring, Gates: ev.Gates, Users: ev.Users, Reason: string(verdict)}}
	}
	return nil
}

// nextBack returns everyone to the version before as soon as it is ready, and ends when that is in force. What nobody
// has seen is back at once. A version counts as ready on the word of a unit that knows that it is wanted again.
func nextBack(s State, ev Evidence, now time.Time) []Event {
	switch {
	case s.Ring < 0:
		return []Event{{Type: EvRolledBack, Time: now, To: s.From}}
	case !s.Reverted && (s.From == "" || ev.InForce && ev.From.Ready > 0):
		return []Event{{Type: EvReverted, Time: now, To: s.From}}
	case s.Reverted && ev.InForce:
		return []Event{{Type: EvRolledBack, Time: now, To: s.From, Users: ev.Users}}
	default:
		return nil
	}
}

// harm says why the change must be taken back, "" when it must not.
func harm(s State, ev Evidence, now time.Time) string {
	for _, j := range ev.Gates {
		if j.Verdict == health.Fail {
			return fmt.Sprintf("ring %s: %s", s.ringName(), j.Reasons[0]) // what failed it comes first
		}
	}
	if !s.LostAt.IsZero() && ev.Seen && ev.To.Ready == 0 && now.Sub(s.LostAt) >= lostFor {
		why := fmt.Sprintf("no instance of %s is ready since %s", s.To, lostFor)
		if ev.To.Failure != "" {
			why += ": " + ev.To.Failure
		}
		return why
	}
	return ""
}

// presence notes when the last ready instance of the new version goes and when one comes back.
func presence(s State, ev Evidence, now time.Time) []Event {
	switch {
	case ev.Seen && ev.To.Ready == 0 && s.LostAt.IsZero():
		return []Event{{Type: EvLost, Time: now, Reason: ev.To.Failure}}
	case ev.Seen && ev.To.Ready > 0 && !s.LostAt.IsZero():
		return []Event{{Type: EvFound, Time: now}}
	default:
		return nil
	}
}

// Judge joins the judgements of all gates: one fail fails, one hold holds, none at all is hold.
// A first release has nothing to compare with and nobody to protect: it passes once it is in force.
func Judge(s State, ev Evidence) health.Verdict {
	if s.From == "" {
		return health.Pass
	}
	verdict := health.Pass
	for _, j := range ev.Gates {
		switch {
		case j.Verdict == health.Fail:
			return health.Fail
		case j.Verdict != health.Pass:
			verdict = health.Hold
		}
	}
	if len(ev.Gates) == 0 || len(ev.Gates) < len(s.Gates) {
		return health.Hold
	}
	return verdict
}

// mayPass reports whether the current ring has baked and is healthy, and if not what it is waiting for.
func (s State) mayPass(ev Evidence, verdict health.Verdict, now time.Time) (bool, string) {
	ring := s.Rings[s.Ring]
	st := s.stage()
	left := time.Duration(ring.Bake) - now.Sub(st.Baking) + ev.Unwatched
	switch {
	case s.Paused:
		return false, "paused"
	case !ev.Seen:
		return false, "no report from the data plane"
	case !ev.To.ready():
		return false, fmt.Sprintf("%d of %d instances of %s are ready", ev.To.Ready, ev.To.Wanted, s.To)
	case verdict != health.Pass:
		return false, "verdict is hold: " + waitingFor(ev.Gates)
	case s.From != "" && !s.Hurried && left > 0:
		return false, fmt.Sprintf("baking for another %s", left.Round(time.Second))
	default:
		return true, ""
	}
}

func waitingFor(gates []health.Judgement) string {
	for _, j := range gates {
		if j.Verdict == health.Hold {
			return strings.Join(j.Reasons, "; ")
		}
	}
	return "no evidence yet"
}

// Waiting says in one sentence what a rollout is waiting for.
func (s State) Waiting(ev Evidence, now time.Time) string {
	switch s.Phase {
	case Starting:
		switch {
		case !ev.Seen:
			return "no report from the data plane"
		case !ev.InForce:
			return "waiting for the data plane to take up " + s.To
		case ev.To.ready() && s.Paused:
			return s.To + " is ready; paused"
		}
		if ev.To.Failure != "" {
			return fmt.Sprintf("waiting for %s to become ready: %s", s.To, ev.To.Failure)
		}
		return fmt.Sprintf("waiting for %s to become ready", s.To)
	case Exposing:
		return "waiting for the data plane to switch ring " + s.ringName()
	case Baking:
		_, why := s.mayPass(ev, Judge(s, ev), now)
		return why
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

// pass ends the current ring and either enters the next one or ends the rollout.
func pass(s State, ev Evidence, now time.Time) []Event {
	events := []Event{{Type: EvPassed, Time: now, Ring: s.ringName(), Gates: ev.Gates, Users: ev.Users}}
	if s.Ring == len(s.Rings)-1 {
		return append(events, Event{Type: EvSucceeded, Time: now, To: s.To})
	}
	return append(events, exposed(s, s.Ring+1, now))
}

func exposed(s State, ring int, now time.Time) Event {
	return Event{Type: EvExposed, Time: now, Ring: s.Rings[ring].Name, From: s.From, To: s.To}
}

func halt(s State, ev Evidence, why string, now time.Time) []Event {
	hurt := ev.HurtAt
	if hurt.IsZero() {
		hurt = now
	}
	return []Event{
		{Type: EvHalted, Time: now, Ring: s.ringName(), Reason: why, HurtAt: hurt, Gates: ev.Gates, Users: ev.Users},
		{Type: EvReverting, Time: now, From: s.To, To: s.From, Reason: why},
	}
}

// firstRing is the innermost ring, or the last one for a first release: there is no one to protect yet.
func (s State) firstRing() int {
	if s.From == "" {
		return len(s.Rings) - 1
	}
	return 0
}

func (s State) ringName() string {
	if s.Ring < 0 {
		return ""
	}
	return s.Rings[s.Ring].Name
}

func (s State) ringIndex(name string) int {
	return slices.IndexFunc(s.Rings, func(r Ring) bool { return r.Name == name })
}
