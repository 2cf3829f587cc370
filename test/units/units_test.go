package units

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/rollout"
)

// The first ring is everyone in unit a; the second waits until it is told to go on, so that what is so in between can
// be looked at without hurry.
const twoUnits = `
apiVersion: ringfence.dev/v1
kind: Service
metadata: {name: shop}
spec:
  units: [a, b]
  run: {command: ["{artifact}", "--listen", "{address}"]}
  ready: {http: /readyz, within: 30s}
  route: {host: shop.localhost, targetingKey: {header: X-User-ID}}
  plan: by-unit
  drain: 2s
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: by-unit}
spec:
  rings:
    - {name: canary-unit, units: [a], bake: 1s, hotfixBake: 1s}
    - {name: all, bake: 1s, hotfixBake: 1s, approval: {own: true}}
  gates:
    - {signal: errors, compare: stable, maxRatio: 1.5, minRequests: 40}
`

func TestUnitsHaveVersionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := start(t, twoUnits, "a", "b")
	first := r.release(wire.Release{Version: "v1"}, "shop-v1")
	r.ends(first.ID, rollout.Succeeded)
	r.everyoneSees("a", "version v1")
	r.everyoneSees("b", "version v1")
	quiet := r.drive("a", "b")

	// A good release is in unit a before it is in unit b.
	good := r.release(wire.Release{Version: "v2"}, "shop-v2")
	r.asks(good.ID, "all")
	r.everyoneSees("a", "version v2")
	r.everyoneSees("b", "version v1")
	r.approve(good.ID, "all")
	r.ends(good.ID, rollout.Succeeded)
	r.everyoneSees("a", "version v2")
	r.everyoneSees("b", "version v2")

	// A bad one is taken back in unit a, and nobody in unit b has had it.
	bad := r.ends(r.release(wire.Release{Version: "v3"}, "shop-v3").ID, rollout.RolledBack)
	if len(bad.Stages) != 1 || bad.Stages[0].Ring != "canary-unit" || bad.HurtAt.IsZero() {
		t.Errorf("%+v", bad)
	}
	r.everyoneSees("a", "version v2")
	r.everyoneSees("b", "version v2")
	if failed := quiet(); failed["a"] == 0 || failed["b"] != 0 {
		t.Errorf("answers of 500 and above: %v, expected some in a alone", failed)
	}
	if !r.answered("a", "v3") || r.answered("b", "v3") {
		t.Errorf("v3 answered in a: %v, in b: %v", r.answered("a", "v3"), r.answered("b", "v3"))
	}

	// A hotfix goes straight to the unit that is hit, and to no other.
	hot := r.release(wire.Release{Version: "v2-hot", Env: map[string]string{"GREETING": "Mended."}, Lane: "sev0", Hit: []string{"b"},
		Reason: "carts are lost in b"}, "shop-v1")
	hot = r.ends(hot.ID, rollout.Succeeded)
	if hot.Lane != rollout.Sev0 || hot.Spared != 1 || hot.Why != "carts are lost in b" {
		t.Errorf("%+v", hot)
	}
	r.everyoneSees("a", "version v2.")
	r.everyoneSees("b", "Mended.")
	r.runs(map[string]string{"a": "v2", "b": "v2-hot"})
	r.shown(map[string]string{"a": "v2", "b": "v2-hot"})

	// What is taken back leaves each unit as it was.
	quiet = r.drive("a", "b")
	r.ends(r.release(wire.Release{Version: "v3-again"}, "shop-v3").ID, rollout.RolledBack)
	r.everyoneSees("a", "version v2.")
	r.everyoneSees("b", "Mended.")
	r.runs(map[string]string{"a": "v2", "b": "v2-hot"})

	// The next release finds each unit as it is, and brings both together.
	next := r.release(wire.Release{Version: "v4", Env: map[string]string{"GREETING": "Together."}}, "shop-v2")
	if d := cmp.Diff(map[string]string{"b": "v2-hot"}, next.Before); d != "" || next.From != "v2" {
		t.Errorf("from %s: %s", next.From, d)
	}
	r.asks(next.ID, "all")
	r.everyoneSees("a", "Together.")
	r.everyoneSees("b", "Mended.")
	r.approve(next.ID, "all")
	r.ends(next.ID, rollout.Succeeded)
	if failed := quiet(); failed["b"] != 0 {
		t.Errorf("answers of 500 and above: %v, expected none in b", failed)
	}
	r.everyoneSees("a", "Together.")
	r.everyoneSees("b", "Together.")
	r.runs(map[string]string{"a": "v4", "b": "v4"})

	r.leavesAndComesBack()
}

// leavesAndComesBack declares the service in one unit, and in both again.
func (r *rig) leavesAndComesBack() {
	r.Helper()
	// It leaves a unit that it is no longer declared in, and goes on in the other.
	r.apply(strings.Replace(twoUnits, "units: [a, b]", "units: [a]", 1))
	r.runs(map[string]string{"a": "v4", "b": ""})
	r.everyoneSees("a", "Together.")
	if status, body := r.get("b", "u1@customers.example", "/"); status != http.StatusNotFound {
		r.Errorf("in b: %d %s", status, body)
	}
	r.apply(twoUnits)
	r.await("it is back in b", func() error {
		if status, body := r.get("b", "u1@customers.example", "/"); status != http.StatusOK || !strings.Contains(body, "Together.") {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
}

// shown wants the API to say what each unit has, and what a user gets there.
func (r *rig) shown(want map[string]string) {
	r.Helper()
	s, err := r.client.Service(r.Context(), "shop")
	if err != nil {
		r.Fatal(err)
	}
	got := map[string]string{}
	for _, u := range s.ByUnit {
		ring, err := r.client.RingOf(r.Context(), "shop", u.Unit, "u1@customers.example", nil)
		if err != nil || ring.Version != u.Version || (ring.Ring == "canary-unit") != (u.Unit == "a") {
			r.Errorf("unit %s has %s; a user there: %+v, %v", u.Unit, u.Version, ring, err)
		}
		got[u.Unit] = u.Version
	}
	if d := cmp.Diff(want, got); d != "" || s.Stable != "v2" {
		r.Errorf("stable %s: %s", s.Stable, d)
	}
	if _, err := r.client.RingOf(r.Context(), "shop", "", "u1@customers.example", nil); err == nil || !strings.Contains(err.Error(), "one of a, b") {
		r.Errorf("of no unit: %v", err)
	}
	logs, err := r.client.Logs(r.Context(), wire.LogQuery{Service: "shop", Unit: "b", Version: "v2-hot", Tail: 100})
	if err != nil {
		r.Fatal(err)
	}
	defer logs.Close()
	if said, err := io.ReadAll(logs); err != nil || !strings.Contains(string(said), "shop is open") {
		r.Errorf("the log of b: %q, %v", said, err)
	}
}

// runs wants each unit to run one version, or none, once what it ran before is gone.
func (r *rig) runs(want map[string]string) {
	r.Helper()
	r.await("what runs", func() error {
		got := map[string][]string{}
		for unit, admin := range r.admins {
			seen, err := health(r.Context(), admin)
			if err != nil {
				return err
			}
			for _, s := range seen.Observed.Services {
				for _, slot := range s.Slots {
					got[unit] = append(got[unit], slot.Version)
				}
			}
		}
		for unit, version := range want {
			if strings.Join(got[unit], ", ") != version {
				return fmt.Errorf("unit %s runs %v, expected %s", unit, got[unit], version)
			}
		}
		return nil
	})
}
