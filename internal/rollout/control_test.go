package rollout

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// ramp is the plan of a flag's exposure, a part of whose ring in trial goes without.
func ramp(control float64) State {
	return Planned(resource.Resolved{Kind: KindFlag, Plan: "standard", Salt: "standard", Control: control,
		Rings:    []resource.Ring{{Name: "staff"}, {Name: "some"}, {Name: "all"}},
		Exposure: []fleet.Ring{{Name: "staff", Audience: []byte(`{"in":[{"var":"targetingKey"},["ann"]]}`)}, {Name: "some", Percent: 10}, {Name: "all"}},
		Gates:    []resource.Gate{{Signal: health.SignalErrors, Compare: "stable", MaxRatio: 1.2, Alpha: 0.01}}})
}

// Chance decides in every ring of a flag who goes without, so that the sides can be compared there, up to the last one.
func TestControlIsComparedInEveryRing(t *testing.T) {
	for control, wants := range map[float64][]struct {
		compare string
		share   float64
	}{
		0:  {{"stable", 0}, {"stable", 0.1}, {health.CompareNone, 0}},
		50: {{"stable", 0.5}, {"stable", 0.5}, {"stable", 0.5}},
		20: {{"stable", 0.8}, {"stable", 0.8}, {"stable", 0.8}},
	} {
		s := ramp(control)
		for i, want := range wants {
			g := s.Trials(i, false)[0].Gate
			if g.Compare != want.compare || g.ExpectedShare != want.share {
				t.Errorf("control %g, ring %d: compare %s, expected share %g, want %v", control, i, g.Compare, g.ExpectedShare, want)
			}
		}
	}
}

func TestControlIsNotEveryone(t *testing.T) {
	s := ramp(50)
	s.Ring, s.Phase, s.From = 2, Baking, "off"
	if s.Everyone() {
		t.Error("everyone has it, while a part of the last ring goes without")
	}
	if s.Phase = Succeeded; !s.Everyone() {
		t.Error("it has succeeded, and not everyone has it")
	}
	s.Phase, s.To = RollingBack, "on"
	if got := s.Leaves(); got != "off" {
		t.Errorf("given up now, it leaves %q", got)
	}
}

// What goes to everyone at once has nothing to try.
func TestLanesLeaveNoControl(t *testing.T) {
	spec := resource.Resolved{Kind: KindFlag, Rings: []resource.Ring{{Name: "some"}, {Name: "all"}}, Exposure: []fleet.Ring{{Name: "some", Percent: 10}, {Name: "all"}}, Control: 50,
		Service: resource.Service{Units: []string{"@flags"}}}
	for lane, want := range map[Lane]float64{"": 50, Hotfix: 50, Forward: 50, Sev0: 0, Redeploy: 0} {
		s, err := Planned(spec).Via(lane, nil, spec)
		if err != nil || s.Control != want {
			t.Errorf("lane %q: control %g, want %g (%v)", lane, s.Control, want, err)
		}
	}
}

func TestAFlagIsOneChange(t *testing.T) {
	s := ramp(50)
	s.From, s.To = "off", "on"
	s, _ = Start(s, time.Unix(0, 0))
	if len(s.Changes) != 1 || s.Changes[0] != (Change{KindFlag, "off", "on"}) {
		t.Errorf("changes: %v", s.Changes)
	}
}
