package rollout

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"pgregory.net/rapid"
)

// machine drives a rollout with any evidence and any commands and checks, at each step, what must always hold.
type machine struct {
	s      State
	now    time.Time
	events []Event
	ev     Evidence
}

func newMachine(t *rapid.T) *machine {
	m := &machine{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	n := rapid.IntRange(1, 5).Draw(t, "rings")
	s := State{ID: "shop-2", Service: "shop", To: "v2", By: "user:ann", Within: fleet.Dur(time.Minute), Gates: []Gate{{Gate: health.Gate{Signal: "errors"}}}}
	if rapid.Bool().Draw(t, "stable") {
		s.From = "v1"
	}
	for i := range n {
		r := Ring{Name: string(rune('a' + i)), Bake: fleet.Dur(time.Duration(i+1) * time.Minute)}
		if rapid.IntRange(0, 3).Draw(t, "green") == 0 {
			r.Approval = &resource.Approval{From: []string{"sre"}, Need: "any"}
		}
		s.Rings = append(s.Rings, r)
	}
	var started Event
	m.s, started = Start(s, m.now)
	m.events = append(m.events, started)
	return m
}

func (m *machine) Observe(t *rapid.T) {
	verdicts := []health.Verdict{health.Pass, health.Pass, health.Pass, health.Hold, health.Fail}
	m.ev = Evidence{
		Seen: rapid.Bool().Draw(t, "seen"), InForce: rapid.Bool().Draw(t, "inForce"),
		To:   Instances{Ready: rapid.IntRange(0, 2).Draw(t, "to"), Wanted: 2},
		From: Instances{Ready: rapid.IntRange(0, 2).Draw(t, "from"), Wanted: 2},
	}
	if rapid.IntRange(0, 4).Draw(t, "held") == 0 {
		m.ev.Holds = []Hold{{Kind: HoldFreeze, Reason: "xmas"}}
	}
	if rapid.IntRange(0, 9).Draw(t, "judged") > 0 {
		m.ev.Gates = []health.Judgement{{Verdict: rapid.SampledFrom(verdicts).Draw(t, "verdict"), Gate: health.Gate{Signal: "errors"}, Reasons: []string{"so many"}}}
	}
}

func (m *machine) Pass(*rapid.T) { // a moment in which all is well
	m.ev = Evidence{Seen: true, InForce: true, To: Instances{Ready: 2, Wanted: 2}, From: Instances{Ready: 2, Wanted: 2},
		Gates: []health.Judgement{{Verdict: health.Pass, Gate: health.Gate{Signal: "errors"}}}}
}

func (m *machine) Wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "seconds")) * time.Second)
}

func (m *machine) Restart(t *rapid.T) { // whoever comes back has only what was stored
	b, err := json.Marshal(m.s)
	if err != nil {
		t.Fatal(err)
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m.s, s); d != "" {
		t.Fatalf("a restart loses state:\n%s", d)
	}
	m.s = s
}

func (m *machine) Command(t *rapid.T) {
	verb := rapid.SampledFrom(Verbs).Draw(t, "verb")
	before := m.s
	events, err := Command(m.s, verb, "user:ann", "", m.now)
	if err != nil && len(events) > 0 {
		t.Fatalf("%s is refused and yet does something", verb)
	}
	m.record(t, before, events)
	again, err := Command(m.s, verb, "user:ann", "", m.now)
	if len(events) > 0 && (err != nil || len(again) > 0) {
		t.Fatalf("%s repeated is not harmless: %v %v", verb, again, err)
	}
}

// Approve gives, or refuses, an approval as someone who may or may not give it.
func (m *machine) Approve(t *rapid.T) {
	who := rapid.SampledFrom([]string{"user:ann", "user:bob", "user:eve"}).Draw(t, "who")
	refuse := rapid.IntRange(0, 5).Draw(t, "refuse") == 0
	events, err := Approve(m.s, "", who, "", refuse, groups, m.now)
	if err == nil && who == "user:eve" {
		t.Fatal("one of no group decides")
	}
	if err == nil && who == "user:ann" && !refuse {
		t.Fatal("who released it approves it")
	}
	m.record(t, m.s, events)
}

var groups = map[string][]string{"sre": {"ann", "bob"}}

func (m *machine) Step(t *rapid.T) {
	before := m.s
	events := Next(m.s, m.ev, m.now)
	if d := cmp.Diff(events, Next(m.s, m.ev, m.now)); d != "" {
		t.Fatalf("Next is not a function:\n%s", d)
	}
	m.outward(t, before, events)
	m.record(t, before, events)
}

// outward checks every automatic step that gives more users the new version or ends a ring.
func (m *machine) outward(t *rapid.T, before State, events []Event) {
	for _, e := range events {
		if e.Type != EvPassed && e.Type != EvExposed && e.Type != EvSucceeded {
			continue
		}
		if before.Paused || before.Halted {
			t.Fatalf("%s while stopped", e.Type)
		}
		if e.Type == EvExposed && len(m.ev.Holds) > 0 {
			t.Fatalf("ring %s is entered in spite of %v", e.Ring, m.ev.Holds)
		}
		if e.Type == EvExposed && before.From != "" {
			i := before.ringIndex(e.Ring)
			approved := slices.ContainsFunc(before.Approved, func(a Approved) bool { return a.Ring == e.Ring && a.By == "user:bob" })
			if before.Rings[i].Approval != nil && !approved {
				t.Fatalf("ring %s is entered without approval", e.Ring)
			}
		}
		if e.Type == EvExposed && before.Phase == Starting {
			continue // the first ring needs a ready version, no verdict
		}
		if Judge(before, m.ev) != health.Pass || !m.ev.Seen {
			t.Fatalf("%s on evidence %+v", e.Type, m.ev)
		}
		baked := m.now.Sub(before.Stages[len(before.Stages)-1].Baking)
		if before.From != "" && !before.Hurried && baked < time.Duration(before.Rings[before.Ring].Bake) {
			t.Fatalf("%s after only %s of %s", e.Type, baked, before.Rings[before.Ring].Bake)
		}
	}
}

func (m *machine) record(t *rapid.T, before State, events []Event) {
	m.s = FoldAll(m.s, events)
	m.events = append(m.events, events...)
	if before.Phase.Ended() && len(events) > 0 && events[len(events)-1].Type != EvReverting {
		t.Fatalf("%s went on by itself: %v", before.Phase, events)
	}
}

// Check is called after every action.
func (m *machine) Check(t *rapid.T) {
	passed, exposed := map[string]int{}, []string{}
	for _, e := range m.events {
		switch e.Type {
		case EvPassed:
			passed[e.Ring]++
		case EvExposed:
			exposed = append(exposed, e.Ring)
		}
	}
	for ring, n := range passed {
		if n > 1 {
			t.Fatalf("ring %s was passed %d times", ring, n)
		}
	}
	if m.s.From != "" && !slices.IsSorted(exposed) || len(slices.Compact(exposed)) != len(exposed) {
		t.Fatalf("rings were exposed as %v", exposed)
	}
	w := m.s.Wanted("local")
	for i, v := range w.Exposure {
		if v != "" && !slices.Contains(w.Keep, v) {
			t.Fatalf("ring %d gets %s, which is not kept running (%v)", i, v, w.Keep)
		}
		if i > 0 && v == m.s.To && w.Exposure[i-1] != m.s.To {
			t.Fatalf("an outer ring has the new version before an inner one: %v", w.Exposure)
		}
		if m.s.Phase == RolledBack && v != m.s.From {
			t.Fatalf("rolled back, and ring %d still gets %s", i, v)
		}
	}
	if m.s.Phase == RollingBack && m.s.Reverted && m.s.From != "" && !slices.Contains(w.Keep, m.s.From) {
		t.Fatal("the version to return to is not kept")
	}
}

func TestWhatAlwaysHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		actions := map[string]func(*rapid.T){
			"": m.Check, "Observe": m.Observe, "Pass": m.Pass, "Wait": m.Wait, "Restart": m.Restart, "Command": m.Command,
			"Step": m.Step, "Step2": m.Step, "Step3": m.Step,
		}
		t.Repeat(actions)
	})
}

// Whatever happened before, harm ends on the version that ran before, paused or not.
func TestHarmEndsOnTheVersionBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			rapid.SampledFrom([]func(*rapid.T){m.Pass, m.Wait, m.Step, m.Command, m.Approve}).Draw(t, "action")(t)
		}
		if m.s.Phase.Ended() || m.s.From == "" {
			t.Skip("it has ended")
		}
		m.ev = Evidence{Seen: true, InForce: true, To: Instances{Ready: 2, Wanted: 2}, From: Instances{Ready: 2, Wanted: 2},
			Gates: []health.Judgement{{Verdict: health.Fail, Gate: health.Gate{Signal: "errors"}, Reasons: []string{"too many"}}}}
		if m.s.Phase == Starting { // nobody is harmed before the first ring
			if m.s.Paused || m.s.Halted {
				t.Skip("stopped before the first ring")
			}
			m.Step(t)
			if m.s.Phase == Starting {
				t.Skip("it waits for approval, and nobody has it")
			}
		}
		for range 5 {
			m.Step(t)
		}
		if m.s.Phase != RolledBack {
			t.Fatalf("ended as %s: %s", m.s.Phase, m.s.Reason)
		}
	})
}
