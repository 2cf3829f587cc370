package controller

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
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

// After a hotfix of one unit the same version goes out to the others: that all users of that unit have it already is no
// sign of users going astray.
func TestAHotfixThatGoesOutToTheOthers(t *testing.T) {
	w := newWorld()
	w.spec.Service.Unit, w.spec.Service.Units = "", []string{"local", "far"}
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		hotfix := func(o *rollout.Order) { o.Lane, o.Why, o.Hit = rollout.Sev0, "nobody can pay", []string{"far"} }
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("v2", hotfix), time.Now()))
		time.Sleep(soon)
		if d, far := w.desired(), w.desiredIn("far"); d.Exposure[0] != "v1" || far.Exposure[2] != "v2" {
			t.Fatalf("%v, far %v", d.Exposure, far.Exposure)
		}
		release(t, ctx, c, "v2")
		time.Sleep(80 * time.Hour)
		live := must[Live](t)(c.Live(ctx, "shop"))
		if s := find(t, ctx, c); s.Phase != rollout.Succeeded || live.Stable != "v2" || len(live.Versions) > 0 {
			t.Errorf("%s: %s; %v", s.Phase, s.Reason, live.Versions)
		}
	})
}

// What a hotfix replaced may not start any more, which is why it was needed. The way out of its rollback is forward, too.
func TestAHotfixThatCannotBeTakenBackMayBeReplaced(t *testing.T) {
	w := newWorld()
	w.spec.Service.Unit, w.spec.Service.Units = "", []string{"local", "far"}
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		hotfix := func(o *rollout.Order) { o.Lane, o.Why, o.Hit = rollout.Sev0, "nobody can pay", []string{"far"} }
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("v2", hotfix), time.Now()))
		time.Sleep(soon)
		w.change(func() { w.never["v1"] = true })
		must[rollout.State](t)(c.Command(ctx, rollout.Rollback, "user:ann", "shop", "", time.Now()))
		time.Sleep(soon)
		if _, err := c.Release(ctx, "user:ann", order("v2", hotfix), time.Now()); !errs.Is(err, errs.Conflict) {
			t.Errorf("what is taken back is released: %v", err)
		}
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("v3", hotfix), time.Now()))
		if far := w.desiredIn("far"); far.Exposure[0] != "v2" {
			t.Errorf("far is sent to %s, which is not ready", far.Exposure[0])
		}
		time.Sleep(soon)
		live := must[Live](t)(c.Live(ctx, "shop"))
		if far := w.desiredIn("far"); far.Exposure[0] != "v3" || w.desired().Exposure[0] != "v1" || live.In("far") != "v3" {
			t.Errorf("far has %v, local %v: %v", far.Exposure, w.desired().Exposure, find(t, ctx, c).Reason)
		}
	})
}
