package controller

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// flagged is a world in which what is rolled out are variants of a flag.
func flagged() *world {
	w := newWorld()
	w.spec.Kind, w.spec.Baseline = rollout.KindFlag, "off"
	return w
}

// ramp runs a controller over such a world.
func ramp(t *testing.T, w *world, f func(t *testing.T, ctx context.Context, c *Controller)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := w.controller()
		go func() { _ = c.Run(ctx) }()
		f(t, ctx, c)
	})
}

func off(d fleet.Service) bool {
	return len(d.Exposure) > 0 && !slices.ContainsFunc(d.Exposure, func(v string) bool { return v != "off" }) && (d.Ramp == nil || d.Ramp.Ring < 0)
}

// A flag that is not exposed any more, and then is again, begins with the first ring: everyone has something already.
func TestAFlagThatIsDeclaredAgainGoesRingByRing(t *testing.T) {
	w := flagged()
	ramp(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "on")
		time.Sleep(soon)
		must[rollout.State](t)(c.Command(ctx, rollout.Rollback, "user:ann", "shop", "it hurts", time.Now()))
		time.Sleep(soon)
		w.change(func() { w.deleted = true })
		c.Declared()
		time.Sleep(soon)
		w.change(func() { w.deleted = false })
		c.Declared()
		release(t, ctx, c, "on")
		time.Sleep(soon)
		if s := find(t, ctx, c); s.From != "off" || s.Ring != 0 {
			t.Errorf("from %q, in ring %d: %s", s.From, s.Ring, s.Reason)
		}
	})
}

// Taken back, a variant is shown to nobody as soon as that is recorded, whatever the units have in force; least of all to
// those who went without it for comparison.
func TestAVariantIsTakenBackAtOnce(t *testing.T) {
	w := flagged()
	w.spec.Control = 50
	ramp(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "on")
		time.Sleep(soon)
		if d := w.desired(); d.Ramp.Ring != 0 || d.Exposure[0] != "on" {
			t.Fatalf("not on trial: %+v", d)
		}
		w.change(func() { w.ahead = 1 }) // a unit that takes nothing up
		must[rollout.State](t)(c.Command(ctx, rollout.Rollback, "user:ann", "shop", "it hurts", time.Now()))
		if d := w.desired(); !off(d) {
			t.Errorf("it is still shown: %+v, %+v", d.Exposure, d.Ramp)
		}
		w.change(func() { w.ahead = 0 })
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Phase != rollout.RolledBack {
			t.Errorf("%s: %s", s.Phase, s.Reason)
		}
	})
}

// Neither a stopped line nor a unit that takes nothing up keeps a variant shown that everyone has.
func TestEveryoneIsReturnedAtOnce(t *testing.T) {
	w := flagged()
	ramp(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "on")
		time.Sleep(73 * time.Hour)
		if s := find(t, ctx, c); s.Phase != rollout.Succeeded {
			t.Fatalf("%s: %s", s.Phase, s.Reason)
		}
		must[rollout.Line](t)(c.TurnLine(ctx, "user:ann", "what is it?", true, time.Now()))
		w.change(func() { w.ahead = 1 })
		again := rollout.Order{Service: "shop", Version: "off", NoConfig: true, Lane: rollout.Redeploy, Through: true, Force: true, Why: "it hurts"}
		must[rollout.State](t)(c.Release(ctx, "user:bob", again, time.Now()))
		if d := w.desired(); !off(d) {
			t.Errorf("it is still shown: %+v, %+v", d.Exposure, d.Ramp)
		}
		w.change(func() { w.ahead = 0 })
		time.Sleep(3 * time.Hour)
		if s := find(t, ctx, c); s.Phase != rollout.Succeeded || s.To != "off" {
			t.Errorf("%s to %s: %s", s.Phase, s.To, s.Reason)
		}
	})
}

// A flag reaches the ring that is declared and no further, also when the plan gets other rings meanwhile or a lane has others.
func TestReachIsARing(t *testing.T) {
	for name, change := range map[string]func(*world, *rollout.Order){
		"as begun":     func(*world, *rollout.Order) {},
		"another ring": func(*world, *rollout.Order) {},
		"a lane":       func(_ *world, o *rollout.Order) { o.Lane, o.Why = rollout.Sev0, "it hurts" },
	} {
		t.Run(name, func(t *testing.T) {
			w := flagged()
			w.spec.Reach = 2
			ramp(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
				o := rollout.Order{Service: "shop", Version: "on", NoConfig: true}
				change(w, &o)
				must[rollout.State](t)(c.Release(ctx, "user:ann", o, time.Now()))
				time.Sleep(soon)
				if name == "another ring" {
					w.change(func() {
						w.spec.Rings = append([]resource.Ring{{Name: "staff"}}, w.spec.Rings...)
						w.spec.Exposure = append([]fleet.Ring{{Name: "staff", Audience: []byte("false")}}, w.spec.Exposure...)
						w.spec.Reach = 3
					})
					c.Declared()
				}
				time.Sleep(100 * time.Hour)
				s := find(t, ctx, c)
				if d := w.desired(); slices.ContainsFunc(d.Rings, func(r fleet.Ring) bool {
					i := slices.IndexFunc(d.Rings, func(o fleet.Ring) bool { return o.Name == r.Name })
					return d.Exposure[i] == "on" && r.Name != "early" && r.Name != "broad"
				}) {
					t.Errorf("shown beyond its reach: %+v in %+v", d.Exposure, d.Rings)
				}
				if why, _, err := c.Waiting(ctx, s.ID, time.Now()); err != nil || !strings.Contains(why, "declared to reach ring broad") {
					t.Errorf("it waits for: %q, %v", why, err)
				}
			})
		})
	}
}

// What a flag gives by its definition is that also when its default variant is another one than when its exposure began.
func TestADefaultThatChanges(t *testing.T) {
	w := flagged()
	ramp(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		given := func() []string { return flag.ExposureOf(w.desired(), w.spec.Baseline).Variants }
		release(t, ctx, c, "on")
		time.Sleep(soon)
		w.change(func() { w.spec.Baseline = "other" })
		c.Declared()
		time.Sleep(soon)
		if got := given(); !slices.Equal(got, []string{"on", "", ""}) {
			t.Errorf("in flight: %q", got)
		}
		must[rollout.State](t)(c.Command(ctx, rollout.Rollback, "user:ann", "shop", "it hurts", time.Now()))
		time.Sleep(soon)
		if got := given(); !slices.Equal(got, []string{"", "", ""}) {
			t.Errorf("taken back: %q", got)
		}
		if variant, inFlight, err := c.Shown(ctx, "shop"); variant != "" || inFlight != "" || err != nil {
			t.Errorf("shown: %q, %q, %v", variant, inFlight, err)
		}
		must[rollout.State](t)(c.Release(ctx, "user:ann", rollout.Order{Service: "shop", Version: "off", NoConfig: true}, time.Now()))
		time.Sleep(soon)
		if s := find(t, ctx, c); s.From != "other" || s.To != "off" || !slices.Equal(given(), []string{"off", "", ""}) {
			t.Errorf("from %s to %s: %q", s.From, s.To, given())
		}
	})
}

// A flag whose key ends like the ID of another's rollout has its own newest rollout, and that can be told what to do.
func TestNamesLikeIDs(t *testing.T) {
	w := flagged()
	ramp(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "on")
		if s, err := c.Newest(ctx, "shop-1"); !errs.Is(err, errs.Missing) {
			t.Errorf("of another flag: %+v, %v", s, err)
		}
		w.change(func() { w.spec.Name = "shop-1" })
		s := must[rollout.State](t)(c.Release(ctx, "user:ann", rollout.Order{Service: "shop-1", Version: "on", NoConfig: true}, time.Now()))
		if got := must[rollout.State](t)(c.Newest(ctx, "shop-1")); got.ID != s.ID {
			t.Errorf("newest %s, want %s", got.ID, s.ID)
		}
		if _, err := c.Command(ctx, rollout.Rollback, "user:ann", "shop-1", "it hurts", time.Now()); !errs.Is(err, errs.Conflict) {
			t.Errorf("two are meant: %v", err)
		}
		if got := must[rollout.State](t)(c.Direct(ctx, rollout.Rollback, "user:ann", s, "it hurts", time.Now())); got.ID != s.ID || got.Phase != rollout.RollingBack {
			t.Errorf("%s is %s", got.ID, got.Phase)
		}
	})
}
