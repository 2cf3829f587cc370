package controller

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// play runs a controller over a world, with v1 stable, in time that passes at once.
func play(t *testing.T, w *world, f func(t *testing.T, ctx context.Context, c *Controller)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := w.controller()
		go func() { _ = c.Run(ctx) }()
		must[rollout.State](t)(c.Release(ctx, "user:ann", rollout.Order{Service: "shop", Version: "v1", Replace: false}, time.Now()))
		time.Sleep(soon)
		if got := must[Live](t)(c.Live(ctx, "shop")).Stable; resource.SlotOf(got).Version != "v1" {
			t.Fatalf("stable is %q after the first release", got)
		}
		f(t, ctx, c)
	})
}

func release(t *testing.T, ctx context.Context, c *Controller, version string) {
	t.Helper()
	must[rollout.State](t)(c.Release(ctx, "user:ann", rollout.Order{Service: "shop", Version: version, Replace: false}, time.Now()))
}

func TestAGoodReleaseTakesThreeDays(t *testing.T) {
	w := newWorld()
	w.bad["v1"], w.bad["v2"] = 0.005, 0.005
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(73 * time.Hour)
		s := must[rollout.State](t)(c.Find(ctx, "shop"))
		if s.Phase != rollout.Succeeded || len(s.Stages) != 3 {
			t.Fatalf("%s in ring %d: %s", s.Phase, s.Ring, s.Reason)
		}
		if d := w.desired(); len(d.Slots) != 1 || d.Slots[0].Version != "v2" || d.Exposure[2] != "v2" {
			t.Errorf("after success the unit shall run %+v", d)
		}
	})
}

func TestABadReleaseIsTakenBackInTheFirstRing(t *testing.T) {
	w := newWorld()
	w.bad["v1"], w.bad["v2"] = 0.005, 0.05
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(8 * time.Hour)
		s := must[rollout.State](t)(c.Find(ctx, "shop"))
		if s.Phase != rollout.RolledBack || len(s.Stages) != 1 {
			t.Fatalf("%s, stages %d: %s", s.Phase, len(s.Stages), s.Reason)
		}
		if s.HurtAt.IsZero() || s.HaltedAt.Before(s.HurtAt) || s.SafeAt.Sub(s.HaltedAt) > 2*time.Minute {
			t.Errorf("hurt %s, halted %s, safe %s", s.HurtAt, s.HaltedAt, s.SafeAt)
		}
		if d := w.desired(); len(d.Slots) != 1 || d.Slots[0].Version != "v1" || d.Exposure[0] != "v1" {
			t.Errorf("after the rollback the unit shall run %+v", d)
		}
	})
}

func TestAVersionThatNeverBecomesReadyIsNeverExposed(t *testing.T) {
	w := newWorld()
	w.never["v2"] = true
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(soon)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Phase != rollout.RolledBack || len(s.Stages) != 0 {
			t.Fatalf("%s, stages %d", s.Phase, len(s.Stages))
		}
	})
}

func TestNothingMovesWithoutEvidence(t *testing.T) {
	for name, blind := range map[string]func(*world){
		"no metrics":  func(w *world) { w.blind = true },
		"no traffic":  func(w *world) { w.perSec = 0 },
		"little":      func(w *world) { w.perSec = 0.001 },
		"silent unit": func(w *world) { w.silent = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
				release(t, ctx, c, "v2")
				time.Sleep(soon)
				w.change(func() { blind(w) })
				time.Sleep(30 * time.Hour)
				s := must[rollout.State](t)(c.Find(ctx, "shop"))
				if s.Phase != rollout.Baking || s.Ring != 0 {
					t.Errorf("%s in ring %d: %s", s.Phase, s.Ring, s.Reason)
				}
			})
		})
	}
}

func TestUsersAstrayHold(t *testing.T) {
	w := newWorld()
	w.astray = true
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(30 * time.Hour)
		s := must[rollout.State](t)(c.Find(ctx, "shop"))
		why, ev, err := c.Waiting(ctx, s.ID, time.Now())
		if s.Ring != 0 || err != nil || !strings.Contains(why, "users") || ev.Gates[0].Evidence.MismatchE < 2000 {
			t.Errorf("ring %d, %v: %s %+v", s.Ring, err, why, ev.Gates)
		}
	})
}

func TestEvidenceThatStopsNoLongerPasses(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(23 * time.Hour) // enough of it, all good
		w.change(func() { w.blind = true })
		time.Sleep(5 * time.Hour)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Ring != 0 {
			t.Errorf("passed ring %d on evidence of hours ago", s.Ring-1)
		}
	})
}

func TestARestartedControllerGoesOnWhereTheOtherStopped(t *testing.T) {
	w := newWorld()
	w.bad["v1"], w.bad["v2"] = 0.005, 0.005
	synctest.Test(t, func(t *testing.T) {
		var c *Controller
		for i := range 80 { // an hour each
			ctx, cancel := context.WithCancel(t.Context())
			c = w.controller()
			go func() { _ = c.Run(ctx) }()
			switch i {
			case 0:
				release(t, ctx, c, "v1")
			case 1:
				release(t, ctx, c, "v2")
			}
			time.Sleep(time.Hour)
			cancel()
			synctest.Wait()
		}
		s := must[rollout.State](t)(c.Find(t.Context(), "shop"))
		if s.Phase != rollout.Succeeded || s.Ended.Sub(s.Created) > 73*time.Hour {
			t.Fatalf("%s in ring %d after %s", s.Phase, s.Ring, s.Ended.Sub(s.Created))
		}
		passed := w.types("stage.passed")
		if len(passed) != 4 { // one of v1, three of v2
			t.Errorf("stage.passed was recorded %d times", len(passed))
		}
	})
}

func TestALostStoreStopsProgressNotUsers(t *testing.T) {
	w := newWorld()
	w.bad["v2"] = 0.5
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(time.Minute) // exposed, and not yet measured
		w.memory.mu.Lock()
		w.fail = errs.Wrap(errs.Unavailable, errors.New("disk full"), "store")
		w.memory.mu.Unlock()
		before := w.desired()
		time.Sleep(time.Hour)
		if after := w.desired(); after.Generation != before.Generation {
			t.Error("the unit was told something that was not recorded")
		}
		w.memory.mu.Lock()
		w.fail = nil
		w.memory.mu.Unlock()
		time.Sleep(soon)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Phase != rollout.RolledBack {
			t.Errorf("the store is back, and the rollout is %s", s.Phase)
		}
	})
}

func TestOneRolloutAtATime(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		first := must[rollout.State](t)(c.Find(ctx, "shop"))
		release(t, ctx, c, "v2") // a retry
		if again := must[rollout.State](t)(c.Find(ctx, "shop")); again.ID != first.ID {
			t.Errorf("a retried release started %s beside %s", again.ID, first.ID)
		}
		if _, err := c.Release(ctx, "user:ann", rollout.Order{Service: "shop", Version: "v3", Replace: false}, time.Now()); !errs.Is(err, errs.Conflict) {
			t.Errorf("a second rollout: %v", err)
		}
		time.Sleep(time.Hour)
		must[rollout.State](t)(c.Release(ctx, "user:ann", rollout.Order{Service: "shop", Version: "v3", Replace: true}, time.Now()))
		time.Sleep(soon)
		if old := must[rollout.State](t)(c.Find(ctx, first.ID)); old.Phase != rollout.Superseded {
			t.Errorf("%s is %s", old.ID, old.Phase)
		}
		if d := w.desired(); slices.ContainsFunc(d.Exposure, func(v string) bool { return v == "v2" }) {
			t.Errorf("v2 was given up and is still exposed: %v", d.Exposure)
		}
	})
}

func TestRollbackAfterSuccessAndReleaseAgain(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(73 * time.Hour)
		must[rollout.State](t)(c.Command(ctx, rollout.Rollback, "user:ann", "shop", "", time.Now()))
		time.Sleep(soon)
		if live := must[Live](t)(c.Live(ctx, "shop")); live.Stable != "v1" {
			t.Errorf("stable is %s after the rollback", live.Stable)
		}
		if d := w.desired(); d.Exposure[2] != "v1" || len(d.Slots) != 1 {
			t.Errorf("the unit shall run %+v", d)
		}
		release(t, ctx, c, "v3")
		time.Sleep(soon)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.From != "v1" || s.To != "v3" {
			t.Errorf("%s goes from %s to %s", s.ID, s.From, s.To)
		}
	})
}

func TestADeletedServiceIsStoppedAndItsNameCanBeUsedAgain(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		w.change(func() { w.deleted = true })
		c.Declared()
		time.Sleep(soon)
		if d := w.desired(); !d.Gone || len(d.Slots) != 0 {
			t.Fatalf("the unit shall run %+v", d)
		}
		w.change(func() { w.deleted = false })
		release(t, ctx, c, "v5")
		time.Sleep(soon)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.ID != "shop-2" || s.Phase != rollout.Succeeded {
			t.Errorf("%s is %s", s.ID, s.Phase)
		}
	})
}
