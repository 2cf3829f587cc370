package rollout

import (
	"slices"
	"testing"

	"github.com/ringfence/ringfence/internal/health"
)

func saying(v health.Verdict) health.Judgement {
	return health.Judgement{Gate: health.Gate{Name: "extra"}, Verdict: v, Reasons: []string{"so it says"}}
}

// Who resumes goes past what halted it, and past nothing else.
func TestResumingGoesPastNothingThatDidNotHalt(t *testing.T) {
	s, now := baked(func(s *State) {
		s.Gates = append(s.Gates, Gate{Gate: health.Gate{Name: "extra", Signal: "query"}, OnFail: "hold"})
	})
	ev := well()
	ev.Gates = append(ev.Gates, saying(health.Fail))
	s, _ = settle(s, ev, now)
	for _, verb := range []Verb{Halt, Resume} {
		events, err := Command(s, verb, "user:bob", "", now)
		if err != nil {
			t.Fatal(err)
		}
		s, _ = settle(FoldAll(s, events), ev, now)
	}
	if s.Ring != 0 {
		t.Errorf("in ring %d, past a gate that keeps it from there", s.Ring)
	}
}

// A gate that is asked before a ring, too, counts there although it was passed over in the ring before.
func TestAGateIsWaivedWhereItHalted(t *testing.T) {
	s, now := baked(func(*State) {})
	s.Gates = append(s.Gates, Gate{Gate: health.Gate{Name: "extra", Signal: "query"}, OnFail: "halt", When: "always"})
	resume := func() {
		t.Helper()
		events, err := Command(s, Resume, "user:bob", "known", now)
		if err != nil || len(events) == 0 {
			t.Fatalf("%v: not halted", err)
		}
		s = FoldAll(s, events)
	}
	ev := well()
	ev.Gates, ev.Before = append(ev.Gates, saying(health.Fail)), []health.Judgement{saying(health.Fail)}
	s, _ = settle(s, ev, now)
	resume()
	if s, _ = settle(s, ev, now); s.Ring != 0 || !s.Halted {
		t.Fatalf("ring %d, halted %v, by %v", s.Ring, s.Halted, s.HaltedBy)
	}
	resume() // past what was said before the next ring
	s, events := settle(s, ev, now)
	if s.Ring != 1 || !s.Halted || slices.Contains(s.Stages[0].Waived, beforeMark+"extra") {
		t.Errorf("ring %d, halted %v: %s", s.Ring, s.Halted, types(events))
	}
}

// Before the first ring, too, a person may go past what halted.
func TestWhatHaltedBeforeTheFirstRingIsGonePast(t *testing.T) {
	s := example("v1")
	s.Gates = append(s.Gates, Gate{Gate: health.Gate{Name: "extra", Signal: "query"}, OnFail: "halt", When: "before", Rings: []string{"canary"}})
	ev := well()
	ev.Before = []health.Judgement{saying(health.Fail)}
	s, _ = settle(s, ev, start)
	resumed, err := Command(s, Resume, "user:bob", "known", start)
	if !s.Halted || err != nil {
		t.Fatalf("halted %v, %v", s.Halted, err)
	}
	if s, _ = settle(FoldAll(s, resumed), ev, start); s.Ring != 0 {
		t.Errorf("ring %d: %s", s.Ring, s.Waiting(ev, start))
	}
}
