package controller

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

func TestAStepOnDocumentsThatHaveChangedMeanwhileIsRefused(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(soon + time.Second) // between the steps of its own
		other := w.controller()        // another control plane on the same database
		w.hook(func(_ context.Context, kind string) error {
			if kind != KindDesired {
				return nil
			}
			w.hook(nil) // the step has read the rollout; before it reads the rest, another one takes the version back
			if _, err := other.Command(ctx, rollout.Abort, "user:bob", "shop", "", time.Now()); err != nil {
				return err
			}
			_, err := stepOnce(ctx, other)
			return err
		})
		_, err := stepOnce(ctx, c)
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("a decision on old documents: %v", err)
		}
		if d := w.desired(); slices.Contains(d.Exposure, "v2") {
			t.Errorf("what was taken back is exposed again: %v", d.Exposure)
		}
	})
}

func TestAUnitAheadOfARestoredControlPlaneAcknowledgesNothing(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		w.change(func() { w.ahead = 40 })
		release(t, ctx, c, "v2")
		time.Sleep(time.Hour)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Phase != rollout.Starting {
			t.Errorf("%s on the word of a unit that has other things in force", s.Phase)
		}
		w.change(func() { w.ahead = 0 }) // it has adopted what the control plane has
		time.Sleep(soon)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Phase != rollout.Baking {
			t.Errorf("%s: %s", s.Phase, s.Reason)
		}
	})
}

func TestAPlanThatChangesInFlightLeavesItsGatesWhatTheyNeed(t *testing.T) {
	w := newWorld()
	w.spec.Gates = []resource.Gate{{Signal: "latency", Over: fleet.Dur(300 * time.Millisecond), MinRequests: 500}}
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(soon)
		w.change(func() {
			w.spec.Gates = []resource.Gate{{Signal: "latency", Over: fleet.Dur(700 * time.Millisecond), MinRequests: 500}}
		})
		time.Sleep((restFor + 1) * beat)
		want := []fleet.Dur{fleet.Dur(300 * time.Millisecond), fleet.Dur(700 * time.Millisecond)}
		if got := w.desired().SlowOver; !slices.Equal(got, want) {
			t.Errorf("the gateway counts requests slower than %v, want %v", got, want)
		}
	})
}

func TestTimeThatNobodyWatchedIsNotBaked(t *testing.T) {
	w := newWorld()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := w.controller()
		go func() { _ = c.Run(ctx) }()
		release(t, ctx, c, "v1")
		time.Sleep(soon)
		release(t, ctx, c, "v2")
		time.Sleep(10 * time.Hour)
		cancel()
		synctest.Wait()
		began := time.Now() // the machine sleeps, the clock is set forward, or nothing runs that could watch
		time.Sleep(48 * time.Hour)
		w.change(func() { w.away = [2]time.Time{began, time.Now()} })
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		c = w.controller()
		go func() { _ = c.Run(ctx) }()
		time.Sleep(13 * time.Hour)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Ring != 0 {
			t.Fatalf("in ring %d after 23 hours that were watched", s.Ring)
		}
		time.Sleep(2 * time.Hour)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Ring != 1 {
			t.Errorf("in ring %d after 25 hours that were watched: %s", s.Ring, s.Reason)
		}
	})
}

func TestASilentUnitFailsNoRelease(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		w.change(func() { w.silent = true })
		release(t, ctx, c, "v2")
		time.Sleep(time.Hour)
		why, _, err := c.Waiting(ctx, "shop-2", time.Now())
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Phase != rollout.Starting || err != nil || why != "no report from the data plane" {
			t.Fatalf("%s: %s %v", s.Phase, why, err)
		}
		must[rollout.State](t)(c.Command(ctx, rollout.Abort, "user:ann", "shop", "", time.Now()))
		time.Sleep(soon)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Phase != rollout.RolledBack {
			t.Fatalf("nobody has it, and it is still %s", s.Phase)
		}
		w.change(func() { w.silent = false })
		release(t, ctx, c, "v2")
		time.Sleep(soon)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.ID != "shop-3" || s.Phase != rollout.Baking {
			t.Errorf("%s is %s", s.ID, s.Phase)
		}
	})
}

func TestAServiceLeavesAUnitOnceItRunsElsewhere(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		w.change(func() { w.spec.Service.Unit, w.dark = "elsewhere", "elsewhere" })
		c.Declared()
		time.Sleep(soon)
		if d := w.desired(); d.Gone || len(d.Slots) != 1 {
			t.Fatalf("it left before it ran elsewhere: %+v", d)
		}
		w.change(func() { w.dark = "" })
		c.Declared()
		time.Sleep(2 * soon)
		if there := w.desiredIn("elsewhere"); !w.desired().Gone || len(there.Slots) != 1 {
			t.Errorf("it runs in %+v and %+v", w.desired(), there)
		}
	})
}

func TestARolloutOfADeletedServiceIsOver(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		w.change(func() { w.deleted = true })
		time.Sleep(soon)
		if s := must[rollout.State](t)(c.Find(ctx, "shop-2")); s.Phase != rollout.Superseded || len(w.types("rollout.superseded")) != 1 {
			t.Errorf("the service is gone, and its rollout is %s", s.Phase)
		}
	})
}

// A service may be named like another one's rollout.
func TestANameThatMeansTwoThingsCommandsNeither(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		must[rollout.State](t)(c.Release(ctx, "user:ann", rollout.Order{Service: "shop-2", Version: "v7", Replace: false}, time.Now()))
		time.Sleep(time.Minute)
		if _, err := c.Command(ctx, rollout.Abort, "user:ann", "shop-2", "", time.Now()); !errs.Is(err, errs.Conflict) {
			t.Errorf("abort shop-2: %v", err)
		}
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Phase != rollout.Baking {
			t.Errorf("shop's rollout is %s", s.Phase)
		}
		if _, ev, err := c.Waiting(ctx, "shop-2", time.Now()); err != nil || ev.To.Wanted != 2 {
			t.Errorf("the evidence of the rollout is %+v, %v", ev, err)
		}
		must[rollout.State](t)(c.Command(ctx, rollout.Abort, "user:ann", "shop", "", time.Now()))
	})
}

// The version before may no longer start, for instance because its artifact is lost. The way out is forward.
func TestARollbackThatCannotEndMayBeReplaced(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(73 * time.Hour)
		w.change(func() { w.never["v1"] = true })
		must[rollout.State](t)(c.Command(ctx, rollout.Rollback, "user:ann", "shop", "", time.Now()))
		time.Sleep(time.Hour)
		if d := w.desired(); d.Exposure[0] != "v2" {
			t.Fatalf("users were sent to %s, which is not ready", d.Exposure[0])
		}
		for version, replace := range map[string]bool{"v1": true, "v2": true, "v3": false} {
			if _, err := c.Release(ctx, "user:ann", rollout.Order{Service: "shop", Version: version, Replace: replace}, time.Now()); !errs.Is(err, errs.Conflict) {
				t.Errorf("release %s: %v", version, err)
			}
		}
		must[rollout.State](t)(c.Release(ctx, "user:ann", rollout.Order{Service: "shop", Version: "v3", Replace: true}, time.Now()))
		time.Sleep(soon)
		s := must[rollout.State](t)(c.Find(ctx, "shop"))
		if s.From != "v2" || s.Phase != rollout.Baking || !slices.Equal(w.desired().Exposure, []string{"v3", "v2", "v2"}) {
			t.Errorf("%s from %s, exposure %v", s.Phase, s.From, w.desired().Exposure)
		}
	})
}

// stepOnce takes one step of the service, on what is read for it.
func stepOnce(ctx context.Context, c *Controller) (outcome, error) {
	sit, err := c.situation(ctx, "shop")
	if err != nil {
		return waiting, err
	}
	return c.step(ctx, sit, false, time.Now())
}

func TestAStoreThatHangsHoldsUpOneStepOnly(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		w.hook(func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return errs.Wrap(errs.Unavailable, ctx.Err(), "store")
		})
		began := time.Now()
		if _, err := c.settle(ctx, versioned[Live]{value: Live{Service: "shop"}}, rollout.Line{}); err == nil || time.Since(began) > time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestManyUsersWeighNoMoreThanCanBeCountedExactly(t *testing.T) {
	state := rollout.State{From: "v1", To: "v2", Members: []fleet.Ring{{Name: "early", Percent: 5}, {Name: "all"}}}
	status := fleet.ServiceStatus{Users: []fleet.UserCount{{Ring: "early", Version: "v2", Recent: 502_000}, {Ring: "all", Version: "v1", Recent: 9_431_000}}}
	s := splitOf(status.Users, state)
	if s.canary+s.stable != fleet.ExactUsers || s.canary != 502_000*fleet.ExactUsers/9_933_000 {
		t.Errorf("%+v", s)
	}
}

// What another process declared is seen after a while, and what this one declared at once; both replace Live.
func TestAServiceAtRestSeesWhatIsDeclared(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		before := must[store.Doc](t)(w.Get(ctx, KindLive, "shop"))
		time.Sleep(soon)
		w.change(func() { w.spec.Service.Run.Instances = 3 }) // changes nothing but what the unit shall run
		time.Sleep((restFor + 1) * beat)
		after := must[store.Doc](t)(w.Get(ctx, KindLive, "shop"))
		if w.desired().Slots[0].Instances != 3 || after.Rev != before.Rev+1 {
			t.Errorf("%d instances; Live went from revision %d to %d", w.desired().Slots[0].Instances, before.Rev, after.Rev)
		}
		time.Sleep(soon)
		w.change(func() { w.spec.Service.Run.Instances = 4 })
		c.Declared()
		if synctest.Wait(); w.desired().Slots[0].Instances != 4 {
			t.Error("what was declared here was not seen at once")
		}
	})
}
