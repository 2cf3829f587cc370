package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func example(from string) State {
	s, _ := Start(State{ID: "shop-2", Service: "shop", From: from, To: "v2", By: "user:ann", Within: fleet.Dur(time.Minute),
		Gates: []Gate{{Gate: health.Gate{Signal: "errors"}}},
		Rings: []Ring{{Name: "canary", Bake: fleet.Dur(30 * time.Minute)}, {Name: "early", Bake: fleet.Dur(time.Hour)}, {Name: "all", Bake: fleet.Dur(time.Hour)}}}, start)
	return s
}

func well() Evidence {
	return Evidence{Seen: true, InForce: true, To: Instances{Ready: 2, Wanted: 2}, From: Instances{Ready: 2, Wanted: 2},
		Gates: []health.Judgement{{Verdict: health.Pass, Gate: health.Gate{Signal: "errors"}}}}
}

// run lets time pass in steps with the same evidence and returns the types of the events.
func run(s State, ev Evidence, from time.Time, steps int, every time.Duration) (State, []string, time.Time) {
	var types []string
	now := from
	for range steps {
		for events := Next(s, ev, now); len(events) > 0; events = Next(s, ev, now) {
			for _, e := range events {
				types = append(types, strings.TrimSpace(e.Type+" "+e.Ring))
			}
			s = FoldAll(s, events)
		}
		now = now.Add(every)
	}
	return s, types, now
}

func TestAGoodReleaseReachesEveryone(t *testing.T) {
	s, types, _ := run(example("v1"), well(), start, 200, time.Minute)
	want := "rollout.ready|stage.exposed canary|stage.baking canary|stage.judged canary|stage.passed canary|stage.exposed early|stage.baking early|stage.judged early|" +
		"stage.passed early|stage.exposed all|stage.baking all|stage.judged all|stage.passed all|rollout.succeeded"
	if got := strings.Join(types, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if took := s.Ended.Sub(start); took != 150*time.Minute {
		t.Errorf("took %s, the bakes add up to 2h30m", took)
	}
}

func TestAFirstReleaseGoesStraightToEveryone(t *testing.T) {
	s, types, _ := run(example(""), well(), start, 3, time.Second)
	if got := strings.Join(types, "|"); got != "rollout.ready|stage.exposed all|stage.baking all|stage.passed all|rollout.succeeded" {
		t.Error(got)
	}
	if s.Wanted("local").Exposure[0] != "v2" {
		t.Errorf("exposure %v", s.Wanted("local").Exposure)
	}
}

func TestWhatTakesAReleaseBack(t *testing.T) {
	baking, _, now := run(example("v1"), well(), start, 2, time.Minute)
	for name, c := range map[string]struct {
		from   State
		change func(*Evidence)
		steps  int
		reason string
	}{
		"never ready": {example("v1"), func(e *Evidence) { e.To = Instances{Wanted: 2, Failure: "GET /readyz: 503"} }, 100, "did not become ready within 1m0s: GET /readyz: 503"},
		"a failing gate": {baking, func(e *Evidence) {
			e.Gates[0].Verdict, e.Gates[0].Reasons = health.Fail, []string{"6 % against 0.2 %"}
		}, 2, "ring canary: 6 % against 0.2 %"},
		"no instance left": {baking, func(e *Evidence) { e.To = Instances{Wanted: 2, Failure: "exit status 1"} }, 30, "no instance of v2 is ready since 10s: exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			ev := well()
			c.change(&ev)
			s, _, _ := run(c.from, ev, now, c.steps, time.Second)
			if s.Phase != RolledBack || !strings.Contains(s.Reason, c.reason) {
				t.Errorf("%s: %s", s.Phase, s.Reason)
			}
			if s.HaltedAt.IsZero() || s.SafeAt.Before(s.HaltedAt) {
				t.Errorf("halted %s, safe %s", s.HaltedAt, s.SafeAt)
			}
		})
	}
}

func TestWhatHolds(t *testing.T) {
	baking, _, now := run(example("v1"), well(), start, 2, time.Minute)
	for name, c := range map[string]struct {
		change func(*Evidence)
		why    string
	}{
		"no judgement": {func(e *Evidence) { e.Gates = nil }, "no evidence yet"},
		"a holding gate": {func(e *Evidence) {
			e.Gates[0] = health.Judgement{Gate: health.Gate{Signal: "errors"}, Verdict: health.Hold, Reasons: []string{"12 of 500"}}
		}, "12 of 500"},
		"an unseen unit":     {func(e *Evidence) { *e = Evidence{} }, "no report"},
		"a missing instance": {func(e *Evidence) { e.To.Ready = 1 }, "1 of 2 instances"},
	} {
		t.Run(name, func(t *testing.T) {
			ev := well()
			c.change(&ev)
			s, _, end := run(baking, ev, now, 600, time.Minute)
			if s.Phase != Baking || s.Ring != 0 {
				t.Errorf("%s in ring %d", s.Phase, s.Ring)
			}
			if why := s.Waiting(ev, end); !strings.Contains(why, c.why) {
				t.Errorf("waiting: %q, want %q", why, c.why)
			}
		})
	}
}

func TestPausedHoldsAndHarmStillRollsBack(t *testing.T) {
	s, _, now := run(example("v1"), well(), start, 2, time.Minute)
	events, err := Command(s, Pause, "user:ann", "lunch", now)
	if err != nil {
		t.Fatal(err)
	}
	s, _, now = run(FoldAll(s, events), well(), now, 600, time.Minute)
	if s.Phase != Baking || s.Ring != 0 {
		t.Fatalf("paused, yet %s in ring %d", s.Phase, s.Ring)
	}
	bad := well()
	bad.Gates[0].Verdict, bad.Gates[0].Reasons = health.Fail, []string{"too many"}
	if s, _, _ = run(s, bad, now, 3, time.Second); s.Phase != RolledBack {
		t.Fatalf("harm while paused: %s", s.Phase)
	}
}

func TestPromoteWaivesTheBakeNotTheVerdict(t *testing.T) {
	s, _, now := run(example("v1"), well(), start, 2, time.Minute)
	events, err := Command(s, Promote, "user:ann", "", now)
	if err != nil {
		t.Fatal(err)
	}
	hold := well()
	hold.Gates[0].Verdict = health.Hold
	s, _, now = run(FoldAll(s, events), hold, now, 10, time.Minute)
	if s.Ring != 0 {
		t.Fatal("promoted on hold")
	}
	if s, _, _ = run(s, well(), now, 1, time.Second); s.Ring != 1 || s.Hurried {
		t.Fatalf("ring %d, hurried %v", s.Ring, s.Hurried)
	}
}

func TestRollbackAfterSuccessWaitsForTheVersionBefore(t *testing.T) {
	s, _, now := run(example("v1"), well(), start, 200, time.Minute)
	events, err := Command(s, Rollback, "user:ann", "", now)
	if err != nil {
		t.Fatal(err)
	}
	s = FoldAll(s, events)
	cold := well()
	cold.From.Ready = 0
	s, _, now = run(s, cold, now, 5, time.Second)
	if got := s.Wanted("local").Exposure[0]; got != "v2" {
		t.Fatalf("users were sent to %s, which is not ready", got)
	}
	if s, _, _ = run(s, well(), now, 2, time.Second); s.Phase != RolledBack || s.Wanted("local").Exposure[2] != "v1" {
		t.Fatalf("%s %v", s.Phase, s.Wanted("local"))
	}
}

// What a unit said before it took up what it shall run may be of an earlier life of the same version.
func TestAWordFromBeforeIsNoReadiness(t *testing.T) {
	before := well()
	before.InForce = false
	if s, types, _ := run(example("v1"), before, start, 600, time.Second); s.Phase != Starting || len(types) != 0 {
		t.Errorf("%s: %v", s.Phase, types)
	}
	s, _, now := run(example("v1"), well(), start, 200, time.Minute)
	events, err := Command(s, Rollback, "user:ann", "", now)
	if err != nil {
		t.Fatal(err)
	}
	if s, types, _ := run(FoldAll(s, events), before, now, 600, time.Second); s.Reverted || len(types) != 0 {
		t.Errorf("users were sent back on it: %v", types)
	}
}

func TestWhatNobodyWatchedIsNotBaked(t *testing.T) {
	s, _, now := run(example("v1"), well(), start, 2, time.Minute)
	ev := well()
	ev.Unwatched = 10 * time.Minute
	if s, _, now = run(s, ev, now, 35, time.Minute); s.Ring != 0 {
		t.Fatalf("passed after 37 minutes of which 10 were not watched; the bake is 30")
	}
	if s, _, _ = run(s, ev, now, 5, time.Minute); s.Ring != 1 {
		t.Errorf("in ring %d: %s", s.Ring, s.Waiting(ev, now))
	}
}

func TestWhatNobodyGotIsBackAtOnce(t *testing.T) {
	events, err := Command(example("v1"), Abort, "user:ann", "", start)
	if err != nil {
		t.Fatal(err)
	}
	if s, _, _ := run(FoldAll(example("v1"), events), Evidence{}, start, 1, time.Second); s.Phase != RolledBack || s.SafeAt.IsZero() {
		t.Errorf("%s: %s", s.Phase, s.Waiting(Evidence{}, start))
	}
}

func TestARollbackGivesWayOnlyWhenItCannotEnd(t *testing.T) {
	back := func(s State) State { return Fold(s, Event{Type: EvReverting, From: s.To, To: s.From}) }
	baking, _, _ := run(example("v1"), well(), start, 2, time.Minute)
	done, _, _ := run(example("v1"), well(), start, 200, time.Minute)
	first, _, _ := run(example(""), well(), start, 3, time.Second)
	for name, c := range map[string]struct {
		s      State
		leaves string
		given  bool
	}{
		"some have it":         {back(baking), "v1", false},
		"everyone has it":      {back(done), "v2", true},
		"everyone is on v1":    {Fold(back(done), Event{Type: EvReverted}), "v1", false},
		"nothing ran before":   {back(first), "", false},
		"it is not taken back": {baking, "v1", true},
	} {
		events, err := Supersede(c.s, "user:ann", "shop-3", start)
		if c.s.Leaves() != c.leaves || (err == nil) != c.given || c.given && events[0].To != c.leaves {
			t.Errorf("%s: leaves users on %q, %v %v", name, c.s.Leaves(), events, err)
		}
	}
}

func TestRefusedCommands(t *testing.T) {
	done, _, now := run(example("v1"), well(), start, 200, time.Minute)
	first, _, _ := run(example(""), well(), start, 3, time.Second)
	paused := Fold(example("v1"), Event{Type: EvPaused})
	for name, c := range map[string]struct {
		s    State
		verb Verb
		kind errs.Kind
	}{
		"abort after success":           {done, Abort, errs.Conflict},
		"pause after success":           {done, Pause, errs.Conflict},
		"roll back the first release":   {first, Rollback, errs.Conflict},
		"promote before the first ring": {paused, Promote, errs.Conflict},
		"unknown":                       {done, "explode", errs.Invalid},
	} {
		if _, err := Command(c.s, c.verb, "user:ann", "", now); errs.KindOf(err) != c.kind || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnArtifactReplacedStartsItsBakeAgain(t *testing.T) {
	s, _, now := run(example("v1"), well(), start, 20, time.Minute)
	events, err := Supersede(s, "user:ann", "shop-3", now)
	if err != nil {
		t.Fatal(err)
	}
	if s = FoldAll(s, events); s.Phase != Superseded || s.Wanted("local").Exposure[0] != "v1" {
		t.Fatalf("%s %v", s.Phase, s.Wanted("local"))
	}
	next := example("v1")
	next.ID, next.To = "shop-3", "v3"
	next, _ = Start(next, now)
	next, _, _ = run(next, well(), now, 29, time.Minute)
	if next.Ring != 0 {
		t.Fatal("the bake of the version before was counted")
	}
}

func BenchmarkNext(b *testing.B) {
	s, _, now := run(example("v1"), well(), start, 2, time.Minute)
	ev := well()
	b.ReportAllocs()
	for b.Loop() {
		Next(s, ev, now)
	}
}
