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
