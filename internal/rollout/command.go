package rollout

import (
	"maps"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Verb is what a person can ask of a rollout.
type Verb string

const (
	Pause    Verb = "pause"    // nothing moves outward; harm is still taken back
	Resume   Verb = "resume"   // go on
	Promote  Verb = "promote"  // do not wait for the rest of this ring's bake; the verdict must still pass
	Abort    Verb = "abort"    // take it back while it is in flight
	Rollback Verb = "rollback" // take it back, also after it has succeeded
	Halt     Verb = "halt"     // stop it where it is because it may be hurting; on the record as that
)

// Verbs lists all verbs.
var Verbs = []Verb{Pause, Resume, Promote, Abort, Rollback, Halt}

// Start begins a rollout; the state is complete but for what its life will add.
func Start(s State, now time.Time) (State, Event) {
	s.Phase, s.Ring, s.Created, s.Stages = Starting, -1, now, nil
	s.Reason = "starting " + s.To
	s.Changes = ChangesBetween(s.From, s.To)
	if s.Kind == KindFlag {
		s.Changes = []Change{{KindFlag, s.From, s.To}}
	}
	return s, Event{Type: EvStarted, Time: now, Actor: s.By, From: s.From, To: s.To, Lane: s.Lane, Reason: s.Why}
}

// Command turns what a person asks for into events, or says why it cannot be done now.
// Asking for what is already so gives no events and no error, so that a retry is harmless.
func Command(s State, verb Verb, actor, reason string, now time.Time) ([]Event, error) {
	e := Event{Time: now, Actor: actor, Reason: reason}
	switch verb {
	case Pause:
		e.Type = EvPaused
		return s.inFlight(verb, s.Paused, e)
	case Resume:
		e.Type = EvResumed
		return s.inFlight(verb, !s.Paused && !s.Halted, e)
	case Halt:
		e.Type, e.Ring = EvHalted, s.ringName()
		if e.Reason == "" {
			e.Reason = "halted by " + actor
		}
		return s.inFlight(verb, s.Halted, e)
	case Promote:
		return s.hurry(e)
	case Abort, Rollback:
		return s.back(verb, e)
	default:
		return nil, errs.E(errs.Invalid, "unknown command %q, expected one of %v", verb, Verbs)
	}
}

func (s State) inFlight(verb Verb, already bool, e Event) ([]Event, error) {
	switch {
	case s.Phase.Ended():
		return nil, errs.E(errs.Conflict, "cannot %s %s: it has ended (%s)", verb, s.ID, s.Phase)
	case s.Phase == RollingBack:
		return nil, errs.E(errs.Conflict, "cannot %s %s: it is being rolled back", verb, s.ID)
	case already:
		return nil, nil
	default:
		return []Event{e}, nil
	}
}

func (s State) hurry(e Event) ([]Event, error) {
	if s.Phase != Baking && s.Phase != Exposing {
		return nil, errs.E(errs.Conflict, "cannot promote %s: no ring is baking (%s)", s.ID, s.Phase)
	}
	if s.Paused || s.Halted {
		return nil, errs.E(errs.Conflict, "cannot promote %s: it is %s", s.ID, s.stopped()).Next("resume it first: ringfence rollout resume %s", s.Service)
	}
	e.Type, e.Ring = EvHurried, s.ringName()
	return s.inFlight(Promote, s.Hurried, e)
}

func (s State) back(verb Verb, e Event) ([]Event, error) {
	switch {
	case s.Phase == RollingBack || s.Phase == RolledBack:
		return nil, nil
	case s.Phase == Superseded:
		return nil, errs.E(errs.Conflict, "cannot %s %s: a newer rollout took its place", verb, s.ID)
	case s.Phase == Succeeded && verb == Abort:
		return nil, errs.E(errs.Conflict, "cannot abort %s: it has succeeded", s.ID).Next("take it back with: ringfence rollout rollback %s", s.Service)
	case s.Phase == Succeeded && s.Lane == Redeploy:
		return nil, errs.E(errs.Conflict, "cannot roll back %s: it replaced %s, which hurt, by what was last known good", s.ID, s.From).
			Next("release a fixed version")
	case s.Phase == Succeeded && s.From == "":
		return nil, errs.E(errs.Conflict, "cannot roll back %s: %s is the first release, nothing ran before it", s.ID, s.To)
	}
	e.Type = EvAborted
	if e.Reason == "" {
		e.Reason = string(verb) + " asked for by " + e.Actor
	}
	return s.atOnce([]Event{e, {Type: EvReverting, Time: e.Time, Actor: e.Actor, From: s.To, To: s.From, Reason: e.Reason}}), nil
}

// atOnce switches a flag back together with the decision: its variants are always ready, so there is nothing to wait for.
func (s State) atOnce(reverting []Event) []Event {
	if s.Kind != KindFlag || s.Ring < 0 {
		return reverting
	}
	last := reverting[len(reverting)-1]
	return append(reverting, Event{Type: EvReverted, Time: last.Time, Actor: last.Actor, To: s.From})
}

// Return is what follows at once from the start of a rollout that takes a flag back to what it gave before: no unit has to
// become ready for it, and nothing that keeps changes from moving outward keeps harm from ending.
func Return(s State, now time.Time) []Event {
	if s.Kind != KindFlag || s.Lane != Redeploy {
		return nil
	}
	return []Event{exposed(s, s.firstRing(), now)}
}

// Supersede gives a rollout up for a newer one; users return at once to the version that it leaves them on.
func Supersede(s State, actor, by string, now time.Time) ([]Event, error) {
	switch {
	case s.Phase.Ended():
		return nil, nil
	case s.Phase == RollingBack && s.Leaves() == s.From && !s.struckStays():
		return nil, errs.E(errs.Conflict, "%s is being rolled back; a new rollout starts from the version before it", s.ID).Next("wait for the rollback: ringfence rollout status %s --watch", s.Service)
	}
	return []Event{{Type: EvSuperseded, Time: now, Actor: actor, Reason: "superseded by " + by, To: s.Leaves()}}, nil
}

// Leaves is the version that everyone has when the rollout is given up now. It is the one before, but for a rollback
// of what everyone has that waits for a version which does not become ready again: the way out of it is forward.
func (s State) Leaves() string {
	if s.Phase == RollingBack && s.Everyone() && !s.Reverted && s.From != "" {
		return s.To
	}
	return s.From
}

// struckStays reports whether units that a hotfix was for still have it, as what ran before does not become ready there.
func (s State) struckStays() bool {
	return s.Phase == RollingBack && s.Spared > 0 && s.Ring == s.last() && !s.Reverted && s.From != ""
}

// LeavesUnits are the units that have another version than Leaves when the rollout is given up now.
func (s State) LeavesUnits() map[string]string {
	if s.Leaves() == s.To {
		return nil
	}
	versions := maps.Clone(s.Before)
	for _, u := range s.Units {
		if s.struckStays() && s.fills(u) {
			if versions == nil {
				versions = map[string]string{}
			}
			versions[u] = s.To
		}
	}
	return versions
}
