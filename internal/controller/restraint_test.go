package controller

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// restrain writes what budgets ask of the shop's changes, as who watches them does; nil lets go.
func (w *world) restrain(t *testing.T, ctx context.Context, r *rollout.Restraint) {
	t.Helper()
	d, err := readOrNew[rollout.Restraint](ctx, w.memory, KindRestraint, "shop")
	if err != nil {
		t.Fatal(err)
	}
	doc := store.Doc{Kind: KindRestraint, Name: "shop", Rev: d.rev}
	write := store.Write{Deletes: []store.Doc{doc}}
	if r != nil {
		if doc.Body, err = json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		write = store.Write{Puts: []store.Doc{doc}}
	}
	if _, err := w.Commit(ctx, write); err != nil {
		t.Fatal(err)
	}
}

// restrained plays a good release that is let into its first ring, is restrained there, and is let go after two days.
func restrained(t *testing.T, r rollout.Restraint, during, after func(t *testing.T, ctx context.Context, c *Controller, s rollout.State)) {
	w := newWorld()
	w.bad["v1"], w.bad["v2"] = 0.005, 0.005
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(2 * time.Hour)
		w.restrain(t, ctx, &r)
		time.Sleep(46 * time.Hour)
		during(t, ctx, c, must[rollout.State](t)(c.Find(ctx, "shop")))
		w.restrain(t, ctx, nil)
		time.Sleep(4 * 24 * time.Hour)
		s := must[rollout.State](t)(c.Find(ctx, "shop"))
		after(t, ctx, c, s)
		if n := len(w.types(rollout.EvRestrained)); n != 2 {
			t.Errorf("it is in the record %d times that the rollout is restrained, expected once, and once that it is not", n)
		}
	})
}

func succeeded(t *testing.T, _ context.Context, _ *Controller, s rollout.State) {
	if s.Phase != rollout.Succeeded || s.Restraint != nil {
		t.Errorf("let go, it is %s in ring %d: %s", s.Phase, s.Ring, s.Reason)
	}
}

func TestABudgetHolds(t *testing.T) {
	restrained(t, rollout.Restraint{Hold: "the error budget of shop is spent"}, func(t *testing.T, ctx context.Context, c *Controller, s rollout.State) {
		why, _, err := c.Waiting(ctx, s.ID, time.Now())
		if s.Ring != 0 || s.Phase != rollout.Baking || err != nil || !strings.Contains(why, "the error budget of shop is spent") {
			t.Errorf("%s in ring %d waits for %q (%v)", s.Phase, s.Ring, why, err)
		}
	}, succeeded)
}

func TestABudgetSlows(t *testing.T) {
	restrained(t, rollout.Restraint{Factor: 3, Slow: "little of the error budget of shop is left"}, func(t *testing.T, ctx context.Context, c *Controller, s rollout.State) {
		why, _, err := c.Waiting(ctx, s.ID, time.Now())
		if s.Ring != 0 || s.Phase != rollout.Baking || err != nil || !strings.Contains(why, "3 times as long as planned") {
			t.Errorf("after two days %s in ring %d waits for %q (%v), expected that it bakes for three", s.Phase, s.Ring, why, err)
		}
	}, succeeded)
}

func TestABudgetAsksForApproval(t *testing.T) {
	asks := rollout.Restraint{Approval: &resource.Approval{From: []string{"leads"}}, Approve: "little of the error budget of shop is left", Groups: map[string][]string{"leads": {"lea"}}}
	restrained(t, asks, func(t *testing.T, ctx context.Context, c *Controller, s rollout.State) {
		if s.Ring != 0 || s.Phase != rollout.Baking {
			t.Errorf("unapproved it is %s in ring %d", s.Phase, s.Ring)
		}
		if _, err := c.Approve(ctx, "user:bob", "shop", "", "", false, time.Now()); err == nil {
			t.Error("somebody approves who is in none of the groups")
		}
		must[rollout.State](t)(c.Approve(ctx, "user:lea", "shop", "", "it is the mending", false, time.Now()))
		time.Sleep(time.Hour)
		s = must[rollout.State](t)(c.Find(ctx, "shop"))
		if s.Ring != 1 {
			t.Errorf("approved it is %s in ring %d: %s", s.Phase, s.Ring, s.Reason)
		}
	}, succeeded)
}

// TestHotfixesAreNotRestrained: what mends is not held by what it mends.
func TestHotfixesAreNotRestrained(t *testing.T) {
	w := newWorld()
	w.bad["v1"], w.bad["v2"] = 0.005, 0.005
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		w.restrain(t, ctx, &rollout.Restraint{Hold: "the error budget of shop is spent"})
		must[rollout.State](t)(c.Release(ctx, "user:ann", rollout.Order{Service: "shop", Version: "v2", Lane: rollout.Hotfix, Why: "it mends what burns"}, time.Now()))
		time.Sleep(24 * time.Hour)
		if s := must[rollout.State](t)(c.Find(ctx, "shop")); s.Phase != rollout.Succeeded {
			t.Errorf("%s in ring %d: %s", s.Phase, s.Ring, s.Reason)
		}
	})
}
