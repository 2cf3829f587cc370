package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/health"
)

// lostFor is how long a new version that users see may be without a ready instance before it is taken back.
const lostFor = 10 * time.Second

// silentFor is how long a rollback waits for units that do not report before users of the others return without them.
const silentFor = 15 * time.Second

// Next decides what follows from the state and the evidence at time now; nothing when it has to wait.
// Each call takes one step, so that each step is recorded with the evidence it was made on.
func Next(s State, ev Evidence, now time.Time) []Event {
	if events := next(s, ev, now); len(events) > 0 || s.Phase.Ended() || s.Phase == RollingBack {
		return events
	}
	if events := admitted(s, ev, now); len(events) > 0 {
		return events
	}
	return restrained(s, ev, now)
}

func next(s State, ev Evidence, now time.Time) []Event {
	switch s.Phase {
	case Starting:
		return nextStarting(s, ev, now)
	case Exposing, Baking:
		return nextRing(s, ev, now)
	case RollingBack:
		return nextBack(s, ev, now)
	case Succeeded:
		if s.Standing() && now.Sub(s.Ended) >= time.Duration(s.Standby) {
			return []Event{{Type: EvRetired, Time: now, From: s.From}}
		}
	}
	return nil
}

// nextStarting waits for the new version, and for leave to enter the first ring. A unit that is not seen, or has not
// taken up what it shall run, tells nothing of it: what it last said may be of an earlier life of the same version.
func nextStarting(s State, ev Evidence, now time.Time) []Event {
	switch {
	case !ev.Seen || !ev.InForce:
		return nil
	case !ev.To.ready():
		return nextUnready(s, ev, now)
	case !s.LostAt.IsZero():
		return []Event{{Type: EvFound, Time: now}}
	}
	var ready []Event
	if s.ReadyAt.IsZero() {
		ready = []Event{{Type: EvReady, Time: now}}
	}
	if s.Paused || s.Halted {
		return ready
	}
	first := s.firstRing()
	if events := harmBefore(s, first, ev, now); events != nil {
		return append(ready, events...)
	}
	ok, why, approval := s.mayEnter(first, ev, now)
	switch {
	case ok:
		return append(ready, exposed(s, first, now))
	case approval:
		return append(ready, ask(s, first, why, now)...)
	}
	return ready
}

// nextUnready takes back what does not become ready in its time, or is not ready for as long again before anyone has it.
func nextUnready(s State, ev Evidence, now time.Time) []Event {
	since := s.Created
	if !s.ReadyAt.IsZero() {
		if s.LostAt.IsZero() {
			return []Event{{Type: EvLost, Time: now, Reason: ev.To.Failure}}
		}
		since = s.LostAt
	}
	if now.Sub(since) < s.Within.D(time.Minute) {
		return nil
	}
	why := fmt.Sprintf("%s did not become ready within %s", s.To, s.Within.D(time.Minute))
	if ev.To.Failure != "" {
		why += ": " + ev.To.Failure
	}
	ev.HurtAt = since
	return revert(s, ev, why, now)
}

func nextRing(s State, ev Evidence, now time.Time) []Event {
	if events := harm(s, ev, now); events != nil {
		return events
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
	if e := warned(s, s.GatesIn(s.Ring, false), ev.Gates, false, now); e != nil {
		return e
	}
	verdict := Judge(s, ev)
	if ready, _ := s.mayPass(ev, verdict, now); ready {
		if events := nextOutward(s, ev, now); events != nil {
			return events
		}
	}
	if st := s.stage(); st.Verdict != verdict {
		return []Event{{Type: EvJudged, Time: now, Ring: st.Ring, Gates: ev.Gates, Users: ev.Users, Reason: string(verdict)}}
	}
	return nil
}

// nextOutward leaves the current ring, which has baked, for the next one when that may be entered.
func nextOutward(s State, ev Evidence, now time.Time) []Event {
	if s.Ring == s.last() {
		return pass(s, ev, now)
	}
	if events := harmBefore(s, s.Ring+1, ev, now); events != nil {
		return events
	}
	ok, why, approval := s.mayEnter(s.Ring+1, ev, now)
	switch {
	case ok:
		return pass(s, ev, now)
	case approval:
		return ask(s, s.Ring+1, why, now)
	}
	return nil
}

// ask asks for approval, once for a ring.
func ask(s State, ring int, why string, now time.Time) []Event {
	if s.Asked == s.Rings[ring].Name {
		return nil
	}
	return []Event{{Type: EvAsked, Time: now, Ring: s.Rings[ring].Name, Reason: why}}
}

// nextBack returns everyone to the version before as soon as it is ready, and ends when that is in force. What nobody
// has seen is back at once. A version counts as ready on the word of a unit that knows that it is wanted again. A unit
// that does not report keeps nobody elsewhere on what hurts, but it is not over before that unit is back as well.
func nextBack(s State, ev Evidence, now time.Time) []Event {
	switch {
	case s.Ring < 0:
		return []Event{{Type: EvRolledBack, Time: now, To: s.From}}
	case !s.Reverted && (s.From == "" || ev.InForce && ev.From.Ready > 0):
		return []Event{{Type: EvReverted, Time: now, To: s.From}}
	case !s.Reverted && ev.Returns && now.Sub(s.BackAt) >= silentFor:
		return []Event{{Type: EvReverted, Time: now, To: s.From}}
	case s.Reverted && ev.InForce:
		return []Event{{Type: EvRolledBack, Time: now, To: s.From, Users: ev.Users}}
	default:
		return nil
	}
}

// harm takes the change back, or halts it, when a gate of the current ring says so or no instance is left.
func harm(s State, ev Evidence, now time.Time) []Event {
	for _, j := range s.judge(s.GatesIn(s.Ring, false), ev.Gates, false) {
		why := "ring " + s.ringName() + ": "
		switch {
		case j.verdict != health.Fail || j.said == nil:
		case j.onFail == "rollback":
			return revert(s, ev, why+j.said.Reasons[0], now) // what failed it comes first
		case j.onFail == "halt" && !s.Halted:
			return []Event{halted(s, ev, why+j.said.Reasons[0], now)}
		}
	}
	if !s.LostAt.IsZero() && ev.Seen && ev.To.Ready == 0 && now.Sub(s.LostAt) >= lostFor {
		why := fmt.Sprintf("no instance of %s is ready since %s", s.To, lostFor)
		if ev.To.Failure != "" {
			why += ": " + ev.To.Failure
		}
		return revert(s, ev, why, now)
	}
	return nil
}

// harmBefore takes the change back, or halts it, when a gate that is asked before a ring says so.
func harmBefore(s State, ring int, ev Evidence, now time.Time) []Event {
	gates := s.GatesIn(ring, true)
	for _, j := range s.judge(gates, ev.Before, true) {
		if j.verdict != health.Fail || j.said == nil {
			continue
		}
		why := fmt.Sprintf("before ring %s: %s: %s", s.Rings[ring].Name, Key(j.gate.Gate), j.said.Reasons[0])
		switch {
		case j.onFail == "rollback":
			return revert(s, ev, why, now)
		case j.onFail == "halt" && !s.Halted:
			e := halted(s, ev, why, now)
			e.Before, e.Gates = s.Rings[ring].Name, ev.Before
			return []Event{e}
		}
	}
	return warned(s, gates, ev.Before, true, now)
}

// warned tells, once in a ring, of gates that failed and do not take the change back.
func warned(s State, gates []Gate, said []health.Judgement, before bool, now time.Time) []Event {
	for _, j := range s.judge(gates, said, before) {
		key := Key(j.gate.Gate)
		if j.said == nil || j.said.Verdict != health.Fail || slices.Contains(s.Warned, key) {
			continue
		}
		return []Event{{Type: EvWarned, Time: now, Ring: s.ringName(), Gate: key, Reason: j.said.Reasons[0], Gates: []health.Judgement{*j.said}}}
	}
	return nil
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

// pass ends the current ring and either enters the next one or ends the rollout.
func pass(s State, ev Evidence, now time.Time) []Event {
	passed := Event{Type: EvPassed, Time: now, Ring: s.ringName(), Gates: ev.Gates, Users: ev.Users}
	if verdict := Judge(s, ev); verdict != health.Pass {
		passed.Reason = fmt.Sprintf("lane %s does not wait for the gates: %s", s.Lane, s.waitingFor(ev))
	}
	events := []Event{passed}
	if s.Ring == s.last() {
		return append(events, Event{Type: EvSucceeded, Time: now, To: s.To})
	}
	return append(events, exposed(s, s.Ring+1, now))
}

func exposed(s State, ring int, now time.Time) Event {
	return Event{Type: EvExposed, Time: now, Ring: s.Rings[ring].Name, From: s.From, To: s.To}
}

// halted stops the change where it is.
func halted(s State, ev Evidence, why string, now time.Time) Event {
	hurt := ev.HurtAt
	if hurt.IsZero() {
		hurt = now
	}
	return Event{Type: EvHalted, Time: now, Ring: s.ringName(), Reason: why, HurtAt: hurt, Gates: ev.Gates, Users: ev.Users}
}

// revert stops the change and takes it back. Where what ran before has lost its schema, it is only stopped: the way back would hurt more
// users than it helps.
func revert(s State, ev Evidence, why string, now time.Time) []Event {
	if ev.Stranded != "" && s.Ring >= 0 {
		if s.Halted {
			return nil
		}
		return []Event{halted(s, ev, why+"; it is not taken back: "+ev.Stranded, now)}
	}
	return s.atOnce([]Event{halted(s, ev, why, now), {Type: EvReverting, Time: now, From: s.To, To: s.From, Reason: why}})
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
