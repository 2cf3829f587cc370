package rollout

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// Lane is a way of its own through the rings, for when users are hurt already. What it leaves out is on the record.
type Lane string

const (
	Sev0     Lane = "sev0"     // straight to the units that are hit
	Sev1     Lane = "sev1"     // the first ring, then the units that are hit, on approval
	Hotfix   Lane = "hotfix"   // all rings, with shorter bakes
	Forward  Lane = "forward"  // straight to the rings that had what it replaces, then on as planned
	Redeploy Lane = "redeploy" // what was last known good, straight to everyone
)

// Lanes are all lanes that people may ask for.
var Lanes = []Lane{Sev0, Sev1, Hotfix}

// hasty lanes do not wait for a gate to say pass; one that says fail still takes the change back, and what the gates
// say while it bakes is reported.
func (l Lane) hasty() bool { return l == Sev0 || l == Sev1 || l == Redeploy }

// urgent lanes do not wait for business hours.
func (l Lane) urgent() bool { return l != "" }

// Preempts reports whether a lane takes the place of a rollout in flight without being asked.
func (l Lane) Preempts() bool { return l != "" }

// Via sends a planned rollout through a lane; hit are the units that are hit, all of them when there are none.
func (s State) Via(lane Lane, hit []string, spec resource.Resolved) (State, error) {
	s.Lane = lane
	switch lane {
	case "", Forward:
		return s, nil
	case Hotfix:
		for i := range s.Rings {
			s.Rings[i].Bake, s.Rings[i].CoverPeak = spec.Rings[i].HotfixBake, false
		}
		return s, nil
	case Redeploy:
		s.Control = 0 // there is nothing to try
		n := len(s.Rings) - 1
		return s.only(Ring{Name: s.Rings[n].Name, Bake: spec.Rings[n].HotfixBake}).beside(0), nil
	case Sev0, Sev1:
	default:
		return s, errs.E(errs.Invalid, "unknown lane %q, expected one of sev0, sev1, hotfix", lane)
	}
	for _, u := range hit {
		if !slices.Contains(spec.Service.Units, u) {
			return s, errs.E(errs.Invalid, "there is no unit %q of %s, expected some of %s", u, s.Service, strings.Join(spec.Service.Units, ", "))
		}
	}
	s.Control = 0
	hit = slices.Compact(slices.Sorted(slices.Values(hit)))
	bake := spec.Rings[0].HotfixBake
	first, firstMembers := s.Rings[0], s.Members[0]
	s = s.struck(hit, bake, len(spec.Service.Units))
	own := 0 // rings that are the plan's own
	if lane == Sev1 {
		first.Bake, first.CoverPeak, first.MinRequests, first.MinUsers = bake, false, 0, 0
		s.Rings[0].Approval = &resource.Approval{Need: "any"}
		if outer := spec.Rings[len(spec.Rings)-1].Approval; outer != nil {
			s.Rings[0].Approval = outer
		}
		if len(s.Members) > 0 && len(spec.Rings) > 1 {
			for i := range s.Rings {
				s.Rings[i].Name = unlike(s.Rings[i].Name, first.Name)
				s.Members[i].Name = s.Rings[i].Name
			}
			s.Rings, s.Members = append([]Ring{first}, s.Rings...), append([]fleet.Ring{firstMembers}, s.Members...)
			own = 1
		}
	}
	return s.beside(own), nil
}

// unlike is a name, or another one where that is taken.
func unlike(name, taken string) string {
	if name == taken {
		return name + "-units"
	}
	return name
}

// beside lets the gates that a lane does not wait for run beside it in its own rings, which come after those of the
// plan: those of other rings weigh what they weigh there, and those that are asked before a ring only tell.
func (s State) beside(own int) State {
	gates := make([]Gate, len(s.Gates))
	for i, g := range s.Gates {
		if g.When == "before" {
			g.Rings, g.Informing = nil, true
		}
		g.When = "during"
		if len(g.Rings) > 0 {
			g.Rings = slices.Clone(g.Rings)
			for _, r := range s.Rings[own:] {
				g.Rings = append(g.Rings, r.Name)
			}
		}
		gates[i] = g
	}
	s.Gates = gates
	return s
}

// Reached is the outermost ring of a plan as it is now whose users all had a rollout's version; -1 when the rollout
// went through other rings.
func (s State) Reached(members []fleet.Ring, salt string) int {
	if s.Everyone() {
		return len(members) - 1
	}
	reached := -1
	for i := 0; i <= s.Ring && i < min(len(s.Members), len(members)) && s.Salt == salt; i++ {
		if !reflect.DeepEqual(s.Members[i], members[i]) {
			break
		}
		reached = i
	}
	return reached
}

// struck leaves the units that are hit, and the rest, which is not reached. With every unit hit there is no rest.
func (s State) struck(hit []string, bake fleet.Dur, units int) State {
	if len(hit) == 0 || len(hit) == units {
		return s.only(Ring{Name: "everyone", Bake: bake})
	}
	s.Rings = []Ring{{Name: "hit", Purpose: "where users are hurt", Units: hit, Bake: bake}, {Name: "rest", Bake: bake}}
	s.Members = []fleet.Ring{{Name: "hit", Units: hit, Audience: json.RawMessage("true")}, {Name: "rest"}}
	s.Spared = 1
	return s
}

func (s State) only(r Ring) State {
	s.Rings, s.Members = []Ring{r}, []fleet.Ring{{Name: r.Name}}
	return s
}

// Preempt gives a rollout up for one in a lane, and says what becomes of it.
func Preempt(s State, actor, by string, lane Lane, why string, now time.Time) ([]Event, error) {
	events, err := Supersede(s, actor, by, now)
	if err != nil || len(events) == 0 || lane == "" {
		return events, err
	}
	fate := "its users return to " + s.Leaves() + "; release " + s.To + " again when " + by + " is out, with the fix in it"
	if s.struckStays() {
		fate = "its users keep it until " + by + " is out"
	}
	if s.Ring < 0 {
		fate = "nobody had it; release it again when " + by + " is out, with the fix in it"
	}
	if lane == Forward {
		fate = "its users get what replaces it as soon as that is ready, and " + s.Leaves() + " until then"
	}
	e := Event{Type: EvPreempted, Time: now, Actor: actor, From: s.To, Ring: s.ringName(), Reason: strings.TrimSpace(why + "; " + fate)}
	return append([]Event{e}, events...), nil
}
