package controller

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// reports are what units say; those that are not in it are silent.
type reports map[string]fleet.ServiceStatus

func (r reports) Publish(string) {}

func (r reports) Observe(unit, _ string) (fleet.ServiceStatus, time.Time) {
	if s, ok := r[unit]; ok {
		return s, time.Now()
	}
	return fleet.ServiceStatus{}, time.Time{}
}

// What a rollout does in one unit does not wait for another one that is gone: least of all a hotfix for it.
func TestOnlyTheUnitsThatARolloutConcernsAreWaitedFor(t *testing.T) {
	here := fleet.ServiceStatus{Generation: 3, Slots: []fleet.SlotStatus{{Version: "v1", Ready: 1, Wanted: 1}, {Version: "v2", Ready: 1, Wanted: 1}}}
	byUnit := rollout.State{Service: "shop", From: "v1", To: "v2", Units: []string{"a", "b"}, Ring: -1, Phase: rollout.Starting,
		Rings:   []rollout.Ring{{Name: "first", Units: []string{"a"}}, {Name: "all"}},
		Members: []fleet.Ring{{Name: "first", Units: []string{"a"}, Audience: json.RawMessage("true")}, {Name: "all"}}}
	exposed := byUnit
	exposed.Ring, exposed.Phase, exposed.Stages = 0, rollout.Baking, []rollout.Stage{{Ring: "first"}}
	hotfix := byUnit
	hotfix.Spared = 1
	struck := exposed
	struck.Spared = 1
	everyone := exposed
	everyone.Ring, everyone.Stages = 1, []rollout.Stage{{Ring: "first"}, {Ring: "all"}}
	for _, c := range []struct {
		name   string
		state  rollout.State
		silent string
		seen   bool
	}{
		{"nobody has it yet, and the unit comes later", byUnit, "b", true},
		{"nobody has it yet, and the unit is the first", byUnit, "a", false},
		{"the unit is next", exposed, "b", false},
		{"everyone has it", everyone, "b", false},
		{"a hotfix starts elsewhere", hotfix, "b", true},
		{"a hotfix is elsewhere", struck, "b", true},
		{"a hotfix is there", struck, "a", false},
		{"all are seen", exposed, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			fleetOf := reports{"a": here, "b": here}
			delete(fleetOf, c.silent)
			sit := situation{spec: resource.Resolved{Name: "shop"}, rollout: versioned[rollout.State]{value: c.state}, desired: map[string]versioned[fleet.Service]{}}
			sit.live.value.Rollout = "shop-2"
			for _, u := range c.state.Units {
				sit.desired[u] = versioned[fleet.Service]{rev: 1, value: fleet.Service{Generation: 3}}
			}
			s := New(Options{Fleet: fleetOf}).look(sit, time.Now())
			if s.seen != c.seen || s.inForce != c.seen || (s.to.Ready > 0) != c.seen {
				t.Errorf("%+v", s)
			}
		})
	}
}
