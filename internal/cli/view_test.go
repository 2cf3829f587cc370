package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

func example() wire.Rollout {
	began := time.Now().Add(-time.Hour)
	return wire.Rollout{
		Rollout: rollout.State{
			ID: "shop-3", From: "v2", To: "v3", Plan: "standard", Phase: rollout.Baking, Ring: 1,
			Rings: []rollout.Ring{{Name: "canary", Bake: fleet.Dur(30 * time.Minute)}, {Name: "early", Bake: fleet.Dur(time.Minute)}, {Name: "all", Bake: fleet.Dur(time.Hour)}},
			Stages: []rollout.Stage{
				{Ring: "canary", Exposed: began, Baking: began, Left: began.Add(30 * time.Minute), Verdict: health.Pass, Users: 12},
				{Ring: "early", Exposed: began, Baking: began, Verdict: health.Hold},
			},
		},
		Waiting: "verdict is hold: \x1b[31mmore requests",
		Evidence: &wire.Evidence{Users: 41, Gates: []health.Judgement{{Gate: health.Gate{Signal: "errors"}, Verdict: health.Hold,
			Evidence: health.Evidence{E: 1.234, Threshold: 400, CanaryRequests: 100, CanaryBad: 1, StableRequests: 900, StableBad: 8}}}},
	}
}

func TestView(t *testing.T) {
	want := []string{
		"shop-3  v2 → v3  plan standard  baking",
		"  canary  ████████████  12 users  pass  30m",
		"  early   ████████████  41 users  100 requests  hold",
		"  all     ░░░░░░░░░░░░  bake 1h",
		"  errors: e 1.23 of 400  new 1/100  stable 8/900  hold",
		"  → verdict is hold:  [31mmore requests",
	}
	if diff := cmp.Diff(want, view(example(), false, 100)); diff != "" {
		t.Error(diff)
	}
}

// What is not so of every rollout stands in its view: its way, what else it changes, who has to approve, and gates of all kinds.
func TestViewOfWhatIsNotUsual(t *testing.T) {
	r := example()
	s := &r.Rollout
	s.From, s.To, s.Lane, s.Why, s.Through, s.Halted = "v2@c1", "v3@c2", rollout.Hotfix, "checkout is down", true, true
	s.Changes = rollout.ChangesBetween(s.From, s.To)
	s.Units, s.Before = []string{"eu-1", "us-1"}, map[string]string{"us-1": "v1"}
	s.Gates = []rollout.Gate{{Gate: health.Gate{Signal: "query", Name: "carts"}, Informing: true}, {Gate: health.Gate{Signal: "probe", Name: "page"}, When: "before"}}
	r.Evidence.Gates = []health.Judgement{{Gate: s.Gates[0].Gate, Verdict: health.Fail, Reasons: []string{"The query gave 3, more than 2.", "more"}}}
	r.Evidence.Before = []health.Judgement{{Gate: s.Gates[1].Gate, Verdict: health.Pass, Reasons: []string{"The probe passed."}}}
	r.Pending = &wire.Pending{Ring: "all", Missing: "ring all waits for the approval of ann"}
	r.Waiting = "halted: unsure"
	want := []string{
		"shop-3  v2@c1 → v3@c2  plan standard  baking, halted",
		"  release v2 → v3, config c1 → c2",
		"  lane hotfix, through freezes: checkout is down",
		"  units eu-1, us-1 (from v1)",
		"  canary  ████████████  12 users  pass  30m",
		"  early   ████████████  41 users  hold",
		"  all     ░░░░░░░░░░░░  bake 1h",
		"  carts (informing): The query gave 3, more than 2.  fail",
		"  before the next ring, page: The probe passed.  pass",
		"  then ring all waits for the approval of ann",
		"  → halted: unsure",
	}
	if diff := cmp.Diff(want, view(r, false, 100)); diff != "" {
		t.Error(diff)
	}
	for _, line := range view(r, false, 40) {
		if n := len([]rune(line)); n > 40 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}

// A line that wraps would make the next drawing begin in the wrong place.
func TestViewKeepsToItsWidth(t *testing.T) {
	for _, line := range view(example(), false, 40) {
		if n := len([]rune(line)); n > 40 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}

func TestWhatOthersWroteCannotSteerTheTerminal(t *testing.T) {
	e := audit.Event{Type: "rollout.aborted", Subject: "rollout/shop-3", Actor: "user:x", Data: []byte(`{"reason":"\u001b[2Jgone\nforged line"}`)}
	for _, c := range []paint{true, false} {
		line := eventLine(e, c)
		if strings.Contains(line, "\x1b[2J") || strings.Contains(line, "\n") {
			t.Errorf("%q", line)
		}
	}
}
