package controller

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/rollout"
)

// Users are taken back where that can be done, whatever has become of another unit.
func TestASilentUnitKeepsNobodyElsewhereOnWhatHurts(t *testing.T) {
	w := newWorld()
	w.spec.Service.Unit, w.spec.Service.Units = "", []string{"local", "far"}
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Phase != rollout.Baking {
			t.Fatalf("%s: %s", s.Phase, s.Reason)
		}
		w.change(func() { w.gone, w.bad["v2"] = "far", 0.3 })
		time.Sleep(8 * time.Hour)
		if s, d := find(t, ctx, c), w.desired(); s.Phase != rollout.RollingBack || slices.Contains(d.Exposure, "v2") {
			t.Fatalf("%s, exposure %v", s.Phase, d.Exposure)
		}
		w.change(func() { w.spec.Service.Units = []string{"local"} }) // it does not come back
		c.Declared()
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Phase != rollout.RolledBack {
			t.Errorf("%s: it waits for a unit that is not declared any more", s.Phase)
		}
		release(t, ctx, c, "v3")
	})
}

// What has succeeded goes back where the service runs now.
func TestARollbackIsForTheUnitsOfNow(t *testing.T) {
	w := newWorld()
	w.spec.Service.Unit, w.spec.Service.Units = "", []string{"local", "far"}
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(80 * time.Hour)
		w.change(func() { w.spec.Service.Units = []string{"local", "new"} })
		c.Declared()
		time.Sleep(soon)
		w.change(func() { w.gone = "far" })
		must[rollout.State](t)(c.Command(ctx, rollout.Rollback, "user:ann", "shop", "", time.Now()))
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Phase != rollout.RolledBack {
			t.Errorf("%s: %s", s.Phase, s.Reason)
		}
		if there, gone := w.desiredIn("new"), w.desiredIn("far"); there.Exposure[0] != "v1" || !gone.Gone {
			t.Errorf("new has %v, far %+v", there.Exposure, gone)
		}
	})
}
