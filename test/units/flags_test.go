package units

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/rollout"
)

const flagged = twoUnits + `
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: ramp}
spec:
  rings: [{name: all, bake: 1h}]
  gates: [{signal: errors, compare: stable, maxRatio: 1.5, minRequests: 40}]
---
apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: web}
spec:
  service: shop
  flags:
    banner:
      state: ENABLED
      variants: {"on": true, "off": false}
      defaultVariant: "off"
      exposure: {plan: ramp, variant: "on"}
`

// What is recorded as in force is: no data plane answers otherwise any more, neither when a variant is shown nor when it is taken
// back. And both put each user on the same side.
func TestFlagsAreInForceEverywhere(t *testing.T) {
	t.Parallel()
	r := start(t, flagged, "a", "b")
	r.ends(r.release(wire.Release{Version: "v1"}, "shop-v1").ID, rollout.Succeeded)
	for turn := range 3 {
		shown, err := r.client.Expose(r.Context(), "web", "banner", wire.Exposing{Force: turn > 0, FlagAction: wire.FlagAction{Reason: "again"}})
		if err != nil {
			t.Fatal(err)
		}
		r.until(shown.Rollout.ID, "baking", func(s rollout.State) bool { return s.Phase == rollout.Baking })
		with := 0
		for i := range 40 {
			user := fmt.Sprint("u", i)
			a, b := r.flag("a", user), r.flag("b", user)
			if a != b {
				t.Errorf("turn %d: %s gets %v in a, %v in b", turn, user, a, b)
			}
			if a {
				with++
			}
		}
		if with < 5 || with > 35 {
			t.Errorf("turn %d: %d of 40 users have the variant, about half should", turn, with)
		}
		if _, err := r.client.SwitchOff(r.Context(), "web", "banner", wire.FlagAction{Reason: "enough"}); err != nil {
			t.Fatal(err)
		}
		r.ends(shown.Rollout.ID, rollout.RolledBack)
		for i := range 40 {
			for _, unit := range []string{"a", "b"} {
				if user := fmt.Sprint("u", i); r.flag(unit, user) {
					t.Errorf("turn %d: taken back, %s still has it in %s", turn, user, unit)
				}
			}
		}
	}
}

// flag is what a unit's data plane answers a user.
func (r *rig) flag(unit, user string) bool {
	r.Helper()
	resp, err := http.Post("http://"+r.flags[unit]+"/ofrep/v1/evaluate/flags/banner", "application/json", strings.NewReader(fmt.Sprintf(`{"context":{"targetingKey":%q}}`, user)))
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	var said struct{ Value *bool }
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || said.Value == nil {
		r.Fatalf("unit %s: %s, %v", unit, resp.Status, err)
	}
	return *said.Value
}
