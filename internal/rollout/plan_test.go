package rollout

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

func planned(members ...fleet.Ring) State {
	spec := resource.Resolved{Plan: "p", Exposure: members, Gates: []resource.Gate{
		resource.Gate{Signal: "errors", Alpha: 0.04}.Defaults(), resource.Gate{Signal: "latency", Over: fleet.Dur(300 * time.Millisecond)}.Defaults()}}
	for _, m := range members {
		spec.Rings = append(spec.Rings, resource.Ring{Name: m.Name, Bake: fleet.Dur(time.Hour)})
	}
	return Planned(spec)
}

func TestTrialsOfEachRing(t *testing.T) {
	rule := json.RawMessage(`{"in": [1, [1]]}`)
	s := planned(fleet.Ring{Name: "staff", Audience: rule}, fleet.Ring{Name: "early", Percent: 5}, fleet.Ring{Name: "broad", Percent: 50}, fleet.Ring{Name: "all"})
	for ring, expected := range []float64{0, 0.05, 0.5, 0} {
		s.Ring = ring
		trials := s.Trials(s.Ring, false)
		if len(trials) != 2 || trials[1].Gate.Over != "0.3" {
			t.Fatalf("ring %d: %+v", ring, trials)
		}
		for i, alpha := range []float64{0.01, 0.0025} { // a quarter each
			g := trials[i].Gate
			if math.Abs(g.Alpha-alpha) > 1e-12 || g.ExpectedShare != expected {
				t.Errorf("ring %d, gate %d: alpha %v, expected share %v", ring, i, g.Alpha, g.ExpectedShare)
			}
			if last := ring == 3; (g.Compare == health.CompareNone) != last {
				t.Errorf("ring %d compares with %s", ring, g.Compare)
			}
			if judged := ring < 3 || g.Signal == health.SignalErrors; (trials[i].Process != nil) != judged {
				t.Errorf("ring %d, gate %d: has a process: %v", ring, i, trials[i].Process != nil)
			}
		}
	}
	mixed := planned(fleet.Ring{Name: "early", Percent: 5}, fleet.Ring{Name: "staff", Audience: rule}, fleet.Ring{Name: "broad", Percent: 50}, fleet.Ring{Name: "all"})
	mixed.Ring = 2
	if got := mixed.Trials(mixed.Ring, false)[0].Gate.ExpectedShare; got != 0 {
		t.Errorf("a rule between percentages: %v is expected", got)
	}
}

// With nobody left to compare with and no limit, a floor of traffic is all that a gate asks for.
func TestATrialWithNothingToJudgeBy(t *testing.T) {
	s := planned(fleet.Ring{Name: "all"})
	s.Ring = 0
	trial := s.Trials(s.Ring, false)[1]
	for _, step := range []struct {
		requests, more int64
		verdict        health.Verdict
	}{{0, 500, health.Hold}, {400, 100, health.Hold}, {100, 0, health.Pass}} {
		if err := trial.Add(health.Sample{Canary: &health.Counts{Requests: step.requests, Bad: step.requests}}); err != nil {
			t.Fatal(err)
		}
		if j := trial.Judgement(); j.Verdict != step.verdict || j.Evidence.MoreRequests != step.more {
			t.Errorf("after %d more: %+v", step.requests, j)
		}
	}
	if err := trial.Add(health.Sample{}); err != nil || trial.Judgement().Verdict != health.Pass {
		t.Errorf("a sample without data changed it: %v", err)
	}
}
