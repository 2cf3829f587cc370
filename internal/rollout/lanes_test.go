package rollout

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

func percents(units ...string) (State, resource.Resolved) {
	spec := resource.Resolved{Name: "shop", Plan: "p", Salt: "p", Service: resource.Service{Units: units},
		Rings: []resource.Ring{{Name: "hit", HotfixBake: 1, Bake: 2}, {Name: "all", HotfixBake: 1, Bake: 2}}, Exposure: []fleet.Ring{{Name: "hit", Percent: 5}, {Name: "all"}}}
	s := Planned(spec)
	s.ID, s.Service, s.From, s.To, s.By = "shop-2", "shop", "v1", "v2", "user:ann"
	return s, spec
}

// Who is in the first ring elsewhere has tried it; that is no leave for everyone there.
func TestAHotfixOfSomeUnitsLeavesTheOthersAsTheyWere(t *testing.T) {
	s, spec := percents("a", "b")
	s, err := s.Via(Sev1, []string{"b"}, spec)
	if err != nil {
		t.Fatal(err)
	}
	s.Phase, s.Ring = Succeeded, s.last()
	if s.AfterIn("a") != "v1" || s.AfterIn("b") != "v2" {
		t.Errorf("a has %s, b has %s", s.AfterIn("a"), s.AfterIn("b"))
	}
}

func TestAUnitNamedTwiceIsOneUnit(t *testing.T) {
	s, spec := percents("a", "b")
	s, err := s.Via(Sev0, []string{"b", "b"}, spec)
	if err != nil || s.Rings[0].Name != "hit" || !slices.Equal(s.Rings[0].Units, []string{"b"}) {
		t.Errorf("%v: %+v", err, s.Rings)
	}
}

func TestRingsOfALaneHaveNamesOfTheirOwn(t *testing.T) {
	s, spec := percents("a", "b")
	s, _ = s.Via(Sev1, []string{"b"}, spec)
	for i, r := range s.Rings {
		if s.ringIndex(r.Name) != i || s.Members[i].Name != r.Name {
			t.Errorf("ring %d is called %s, as another one", i, r.Name)
		}
	}
}

func TestGatesThatALaneSkipsRunBesideIt(t *testing.T) {
	gates := []Gate{{Gate: health.Gate{Name: "inner"}, Rings: []string{"hit"}}, {Gate: health.Gate{Name: "outer"}, Rings: []string{"all"}},
		{Gate: health.Gate{Name: "smoke"}, When: "before"}, {Gate: health.Gate{Name: "both"}, When: "always"}}
	keys := func(gates []Gate) (names []string) {
		for _, g := range gates {
			if names = append(names, g.Name); g.Informing {
				names[len(names)-1] += " (informing)"
			}
		}
		return names
	}
	everything := []string{"inner", "outer", "smoke (informing)", "both"}
	for lane, want := range map[Lane][][]string{
		Sev0: {everything}, Redeploy: {everything}, Sev1: {{"inner", "smoke (informing)", "both"}, everything},
	} {
		s, spec := percents("a", "b")
		s.Gates = slices.Clone(gates)
		s, err := s.Via(lane, []string{"b"}, spec)
		if err != nil {
			t.Fatal(err)
		}
		for i, names := range want {
			if got := keys(s.GatesIn(i, false)); !slices.Equal(got, names) || len(s.GatesIn(i, true)) > 0 {
				t.Errorf("%s, ring %s: %v, want %v", lane, s.Rings[i].Name, got, names)
			}
		}
	}
}

func TestWhereARollForwardEnters(t *testing.T) {
	ring := func(name string, percent float64) fleet.Ring { return fleet.Ring{Name: name, Percent: percent} }
	was := []fleet.Ring{ring("early", 5), ring("broad", 50), ring("all", 0)}
	for name, c := range map[string]struct {
		ring int
		now  []fleet.Ring
		want int
	}{
		"the same plan":        {1, was, 1},
		"a ring is wider":      {1, []fleet.Ring{ring("early", 5), ring("broad", 80), ring("all", 0)}, 0},
		"the first one is":     {1, []fleet.Ring{ring("early", 6), ring("broad", 50), ring("all", 0)}, -1},
		"rings are gone":       {1, []fleet.Ring{ring("early", 5), ring("all", 0)}, 0},
		"everyone, rings gone": {2, []fleet.Ring{ring("all", 0)}, 0},
		"another audience":     {0, []fleet.Ring{{Name: "early", Audience: json.RawMessage("true")}, ring("all", 0)}, -1},
	} {
		s := State{Members: was, Rings: make([]Ring, 3), Ring: c.ring, Salt: "p"}
		if got := s.Reached(c.now, "p"); got != c.want {
			t.Errorf("%s: enters ring %d, want %d", name, got, c.want)
		}
	}
}
