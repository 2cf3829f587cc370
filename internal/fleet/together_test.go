package fleet

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnitsTogether(t *testing.T) {
	a := ServiceStatus{Name: "shop", Generation: 7, Slots: []SlotStatus{
		{Version: "v2", Ready: 1, Wanted: 2, InFlight: 3, Failure: "no port", Instances: []Instance{{PID: 1}}},
		{Version: "v1", Ready: 2, Wanted: 2}},
		Users: []UserCount{{Ring: "canary", Version: "v2", Users: 5, Recent: 2}}}
	b := ServiceStatus{Name: "shop", Generation: 4, Slots: []SlotStatus{{Version: "v2", Ready: 2, Wanted: 2, InFlight: 1, Instances: []Instance{{PID: 2}}}},
		Users: []UserCount{{Ring: "canary", Version: "v2", Users: 1, Recent: 1}, {Ring: "all", Version: "v1", Users: 9}}}
	want := ServiceStatus{Name: "shop", Generation: 4, Slots: []SlotStatus{
		{Version: "v1", Ready: 2, Wanted: 2},
		{Version: "v2", Ready: 3, Wanted: 4, InFlight: 4, Failure: "no port", Instances: []Instance{{PID: 1}, {PID: 2}}}},
		Users: []UserCount{{Ring: "canary", Version: "v2", Users: 6, Recent: 3}, {Ring: "all", Version: "v1", Users: 9}}}
	if d := cmp.Diff(want, Together([]ServiceStatus{a, b})); d != "" {
		t.Error(d)
	}
	if got := Together(nil); got.Name != "" || got.Slots != nil {
		t.Errorf("of nothing: %+v", got)
	}
	if d := cmp.Diff(b, Together([]ServiceStatus{b})); d != "" {
		t.Errorf("of one: %s", d)
	}
	if len(a.Slots[0].Instances) != 1 {
		t.Error("what was reported is changed")
	}
}
