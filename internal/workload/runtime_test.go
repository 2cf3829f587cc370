package workload

import (
	"slices"
	"testing"

	"github.com/ringfence/ringfence/internal/fleet"
)

func TestStartsReadyThenEndpoint(t *testing.T) {
	g := newRig(t)
	g.traffic.onSet = func(_ string, eps []fleet.Endpoint) {
		for _, e := range eps {
			if got := get(t, e.Address, "/readyz"); got != "" {
				t.Errorf("endpoint %s announced, but it answers %q", e.ID, got)
			}
		}
	}
	g.open()
	g.rt.Apply(shop(g.slot("v1", 2)))
	st := g.awaitReady("v1", 2)
	g.await("two endpoints", func() bool { return len(g.traffic.of("v1")) == 2 })
	if st.Wanted != 2 || st.Failure != "" {
		t.Errorf("status %+v", st)
	}
	before := pids(st)
	g.rt.Apply(shop(g.slot("v1", 2)))
	if after := pids(g.awaitReady("v1", 2)); len(before) != 2 || before["shop/v1/1"] != after["shop/v1/1"] || before["shop/v1/2"] != after["shop/v1/2"] {
		t.Errorf("applying the same again changed instances: %v, then %v", before, after)
	}
	g.rt.Apply(nil)
	g.await("no slot", func() bool { return len(g.rt.Status("shop")) == 0 })
	if want := "endpoints v1 0"; !slices.Contains(g.traffic.all(), want) {
		t.Errorf("%q is not in %v", want, g.traffic.all())
	}
	for id, pid := range before {
		if alive(pid) {
			t.Errorf("%s still runs", id)
		}
	}
}
