package rollout

import (
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/health"
)

// Fold applies one event to a state. It never fails: what may happen was decided when the event was made.
func Fold(s State, e Event) State {
	s.Stages = slices.Clone(s.Stages)
	switch e.Type {
	case EvReady:
		s.ReadyAt = e.Time
	case EvExposed:
		s.Phase, s.Ring, s.Hurried, s.Warned = Exposing, s.ringIndex(e.Ring), false, nil
		s.Waived = nil
		s.Stages = append(s.Stages, Stage{Ring: e.Ring, Exposed: e.Time})
		s.Reason = "switching ring " + e.Ring + " to " + s.To
	case EvBaking:
		s.Phase, s.stage().Baking = Baking, e.Time
		s.Reason = "ring " + e.Ring + " is baking"
	case EvJudged:
		s.noteVerdict(health.Verdict(e.Reason), e)
	case EvPassed:
		s.noteVerdict(health.Pass, e)
		s.stage().Left = e.Time
	case EvLost:
		s.LostAt = e.Time
	case EvFound:
		s.LostAt = State{}.LostAt
	case EvPaused:
		s.Paused, s.Reason = true, e.Reason
	case EvResumed:
		s.waive()
		s.Paused, s.Halted, s.Reason = false, false, e.Reason
	case EvAsked:
		s.Asked, s.Reason = e.Ring, e.Reason
	case EvApproved:
		s.Approved = append(slices.Clone(s.Approved), Approved{Ring: e.Ring, By: e.Actor, At: e.Time, Why: e.Reason})
	case EvRejected:
		s.Halted, s.HaltedAt, s.Reason = true, e.Time, "approval of ring "+e.Ring+" was refused by "+e.Actor
		if e.Reason != "" {
			s.Reason += ": " + e.Reason
		}
	case EvWarned:
		s.Warned = append(slices.Clone(s.Warned), e.Gate)
	case EvRetired:
		s.Retired = true
	case EvRestrained:
		s.Restraint = e.Restraint
	case EvRefused:
		s.Refused = e.Reason
	case EvAdmitted:
		s.Refused = ""
	case EvHurried:
		s.Hurried = true
	case EvHalted:
		s.Halted, s.HurtAt, s.HaltedAt, s.Reason = true, e.HurtAt, e.Time, e.Reason
		s.HaltedBy = nil
		if e.Actor == "" {
			s.HaltedBy = s.halting(e)
		}
		if e.Actor == "" && e.Before == "" {
			s.noteVerdict(health.Fail, e)
		}
	case EvAborted:
		s.Reason = e.Reason
	case EvReverting:
		s.Phase, s.Halted, s.Reverted, s.Ended = RollingBack, false, s.Ring < 0, State{}.Ended // nothing to switch back when nobody has it
		s.BackAt = e.Time
	case EvReverted:
		s.Reverted = true
	case EvRolledBack:
		s.Phase, s.Ended, s.SafeAt = RolledBack, e.Time, e.Time
		s.leave(e)
	case EvSucceeded:
		s.Phase, s.Ended, s.Reason = Succeeded, e.Time, s.To+" is out to everyone"
		if s.Spared > 0 {
			s.Reason = s.To + " is out to ring " + s.ringName()
		}
	case EvSuperseded:
		s.Phase, s.Ended, s.Reason = Superseded, e.Time, e.Reason
		s.leave(e)
	}
	return s
}

// waive notes the gates that a person goes past by letting a halted rollout go on.
func (s *State) waive() {
	for _, key := range s.HaltedBy {
		name, before := strings.CutPrefix(key, beforeMark)
		if st := s.stage(); before {
			s.Waived = append(slices.Clone(s.Waived), name)
		} else if st != nil {
			st.Waived = append(slices.Clone(st.Waived), name)
		}
	}
	s.HaltedBy = nil
}

// beforeMark stands before the names of gates that are asked before a ring, in HaltedBy.
const beforeMark = "before "

// halting are the gates that an event halts for.
func (s State) halting(e Event) (keys []string) {
	ring, mark := s.Ring, ""
	if e.Before != "" {
		ring, mark = s.ringIndex(e.Before), beforeMark
	}
	for _, j := range s.judge(s.GatesIn(ring, e.Before != ""), e.Gates, e.Before != "") {
		if j.verdict == health.Fail && j.onFail == "halt" {
			keys = append(keys, mark+Key(j.gate.Gate))
		}
	}
	return keys
}

func (s *State) noteVerdict(v health.Verdict, e Event) {
	if st := s.stage(); st != nil && st.Left.IsZero() {
		st.Verdict, st.Gates, st.Users = v, e.Gates, max(st.Users, e.Users)
	}
}

func (s *State) leave(e Event) {
	if st := s.stage(); st != nil && st.Left.IsZero() {
		st.Left, st.Users = e.Time, max(st.Users, e.Users)
	}
}

// FoldAll applies events in order.
func FoldAll(s State, events []Event) State {
	for _, e := range events {
		s = Fold(s, e)
	}
	return s
}
