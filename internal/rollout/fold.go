package rollout

import (
	"slices"

	"github.com/ringfence/ringfence/internal/health"
)

// Fold applies one event to a state. It never fails: what may happen was decided when the event was made.
func Fold(s State, e Event) State {
	s.Stages = slices.Clone(s.Stages)
	switch e.Type {
	case EvExposed:
		s.Phase, s.Ring, s.Hurried = Exposing, s.ringIndex(e.Ring), false
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
		s.Paused, s.Reason = false, e.Reason
	case EvHurried:
		s.Hurried = true
	case EvHalted:
		s.HurtAt, s.HaltedAt, s.Reason = e.HurtAt, e.Time, e.Reason
		s.noteVerdict(health.Fail, e)
	case EvAborted:
		s.Reason = e.Reason
	case EvReverting:
		s.Phase, s.Reverted, s.Ended = RollingBack, s.Ring < 0, State{}.Ended // nothing to switch back when nobody has it
	case EvReverted:
		s.Reverted = true
	case EvRolledBack:
		s.Phase, s.Ended, s.SafeAt = RolledBack, e.Time, e.Time
		s.leave(e)
	case EvSucceeded:
		s.Phase, s.Ended, s.Reason = Succeeded, e.Time, s.To+" is out to everyone"
	case EvSuperseded:
		s.Phase, s.Ended, s.Reason = Superseded, e.Time, e.Reason
		s.leave(e)
	}
	return s
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
