package controller

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/calendar"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

func order(version string, change func(*rollout.Order)) rollout.Order {
	o := rollout.Order{Service: "shop", Version: version}
	if change != nil {
		change(&o)
	}
	return o
}

func find(t *testing.T, ctx context.Context, c *Controller) rollout.State {
	t.Helper()
	return must[rollout.State](t)(c.Find(ctx, "shop"))
}

func TestWhatWasTakenBackIsNotReleasedAgainUnlessForced(t *testing.T) {
	w := newWorld()
	w.bad["v1"], w.bad["v2"] = 0.005, 0.05
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(8 * time.Hour)
		_, err := c.Release(ctx, "user:ann", order("v2", nil), time.Now())
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "taken back by shop-2") {
			t.Fatal(err)
		}
		if _, err := c.Release(ctx, "user:ann", order("v2", func(o *rollout.Order) { o.Force = true }), time.Now()); !errs.Is(err, errs.Invalid) {
			t.Fatalf("forced without a reason: %v", err)
		}
		w.change(func() { w.bad["v2"] = 0.005 })
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("v2", func(o *rollout.Order) { o.Force, o.Why = true, "the database was at fault" }), time.Now()))
		time.Sleep(80 * time.Hour)
		live := must[Live](t)(c.Live(ctx, "shop"))
		if s := find(t, ctx, c); s.Phase != rollout.Succeeded || s.Why == "" || len(live.Bad) != 0 || !slices.Equal(live.Good, []string{"v1", "v2"}) {
			t.Errorf("%s, bad %v, good %v", s.Phase, live.Bad, live.Good)
		}
	})
}

// What alone was changed is to blame, whatever it goes with the next time; of two things together, the two together are.
func TestWhatIsToBlame(t *testing.T) {
	live := Live{Bad: map[string]Bad{"v2": {Kind: rollout.KindRelease}, "v1@c7": {Kind: rollout.KindConfig}, "v4@c4": {}}}
	for label, want := range map[string]bool{"v2": true, "v2@c1": true, "v1@c7": true, "v3@c7": true, "v4@c4": true, "v1": false, "v3@c1": false, "v4": false, "v5@c4": false} {
		if _, got := live.taken(label); got != want {
			t.Errorf("%s was taken back: %v, want %v", label, got, want)
		}
	}
	forced := live.trusts(rollout.State{To: "v2@c1"})
	if _, bad := forced.taken("v2"); bad || len(forced.Bad) != 2 {
		t.Errorf("after v2@c1 has succeeded: %v", forced.Bad)
	}
}

func TestABadReleaseIsNotLetInWithAConfig(t *testing.T) {
	w := newWorld()
	w.bad["v2"] = 0.2
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(8 * time.Hour)
		o := order("v2", func(o *rollout.Order) { o.Config = "c1" })
		if _, err := c.Release(ctx, "user:ann", o, time.Now()); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "taken back by shop-2") {
			t.Errorf("v2 is released again with a config: %v", err)
		}
	})
}

func TestRedeployReturnsToWhatWasGood(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		if _, err := c.Redeploy(ctx, "user:bob", "shop", "it hurts", time.Now()); !errs.Is(err, errs.Conflict) {
			t.Fatalf("nothing was good before: %v", err)
		}
		release(t, ctx, c, "v2")
		if _, err := c.Redeploy(ctx, "user:bob", "shop", "it hurts", time.Now()); !errs.Is(err, errs.Conflict) {
			t.Fatalf("a rollout is in flight: %v", err)
		}
		time.Sleep(80 * time.Hour)
		must[rollout.State](t)(c.Redeploy(ctx, "user:bob", "shop", "v2 loses orders", time.Now()))
		time.Sleep(soon)
		if d := w.desired(); d.Exposure[0] != "v1" || len(d.Rings) != 1 {
			t.Fatalf("%+v", d)
		}
		time.Sleep(30 * time.Hour)
		live := must[Live](t)(c.Live(ctx, "shop"))
		if live.Stable != "v1" || live.Bad["v2"].Rollout != "shop-3" {
			t.Errorf("%+v", live)
		}
		if _, err := c.Release(ctx, "user:ann", order("v2", nil), time.Now()); !errs.Is(err, errs.Conflict) {
			t.Errorf("what it replaced is released again: %v", err)
		}
	})
}

func TestRollForwardGoesWhereTheOneBeforeWas(t *testing.T) {
	w := newWorld()
	forward := func(o *rollout.Order) { o.Lane, o.Why = rollout.Forward, "the fix" }
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		if _, err := c.Release(ctx, "user:ann", order("v3", forward), time.Now()); !errs.Is(err, errs.Conflict) {
			t.Fatalf("there is nothing to roll forward from: %v", err)
		}
		release(t, ctx, c, "v2")
		time.Sleep(30 * time.Hour)
		if s := find(t, ctx, c); s.Ring != 1 {
			t.Fatalf("ring %d", s.Ring)
		}
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("v3", forward), time.Now()))
		time.Sleep(soon)
		if d := w.desired(); !slices.Equal(d.Exposure, []string{"v3", "v3", "v1"}) || !slices.Contains(w.types("rollout."), "rollout.preempted") {
			t.Errorf("%v, %v", d.Exposure, w.types("rollout."))
		}
	})
}

// The plan may have lost rings since: what is rolled forward enters what is left of those that had it.
func TestRollForwardAfterThePlanHasLostRings(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(60 * time.Hour)
		if s := find(t, ctx, c); s.Ring != 2 {
			t.Fatalf("ring %d", s.Ring)
		}
		w.change(func() { w.spec.Rings, w.spec.Exposure = w.spec.Rings[1:], w.spec.Exposure[1:] })
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("v3", func(o *rollout.Order) { o.Lane, o.Why = rollout.Forward, "the fix" }), time.Now()))
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Ring != 1 || s.Phase != rollout.Baking {
			t.Errorf("%s in ring %d", s.Phase, s.Ring)
		}
	})
}

// A config goes out like a release, alone or with one, and comes back with it.
func TestConfigsGoThroughTheRings(t *testing.T) {
	w := newWorld()
	w.bad["v2@c1"] = 0.2
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("", func(o *rollout.Order) { o.Config = "c1" }), time.Now()))
		time.Sleep(soon)
		if d := w.desired(); d.Exposure[0] != "v1@c1" || d.Exposure[2] != "v1" || d.Slots[1].Env["CONFIG"] != "c1" || d.Slots[1].Digest != d.Slots[0].Digest {
			t.Fatalf("%+v", d)
		}
		time.Sleep(80 * time.Hour)
		release(t, ctx, c, "v2")
		s := find(t, ctx, c)
		if s.From != "v1@c1" || s.To != "v2@c1" || len(s.Changes) != 1 || s.Changes[0].Kind != rollout.KindRelease {
			t.Fatalf("%s to %s: %+v", s.From, s.To, s.Changes)
		}
		time.Sleep(8 * time.Hour)
		if d := w.desired(); d.Exposure[0] != "v1@c1" {
			t.Fatalf("taken back to %v", d.Exposure)
		}
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("v3", func(o *rollout.Order) { o.Config = "c2" }), time.Now()))
		if s := find(t, ctx, c); s.To != "v3@c2" || len(s.Changes) != 2 {
			t.Fatalf("%s: %+v", s.To, s.Changes)
		}
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("", func(o *rollout.Order) { o.NoConfig, o.Replace = true, true }), time.Now()))
		if s := find(t, ctx, c); s.From != "v1@c1" || s.To != "v1" {
			t.Fatalf("%s to %s", s.From, s.To)
		}
	})
}

func TestAStoppedLineAndItsLifting(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(soon)
		must[rollout.Line](t)(c.TurnLine(ctx, "user:ann", "the data centre burns", true, time.Now()))
		must[rollout.Line](t)(c.TurnLine(ctx, "user:bob", "again", true, time.Now()))
		time.Sleep(30 * time.Hour)
		why, _, err := c.Waiting(ctx, "shop-2", time.Now())
		if s := find(t, ctx, c); s.Ring != 0 || err != nil || !strings.Contains(why, "the data centre burns (user:ann)") {
			t.Fatalf("ring %d: %s %v", s.Ring, why, err)
		}
		if _, err := c.TurnLine(ctx, "user:ann", "", false, time.Now()); !errs.Is(err, errs.Denied) {
			t.Fatalf("lifted by the same person: %v", err)
		}
		must[rollout.Line](t)(c.TurnLine(ctx, "user:bob", "it is out", false, time.Now()))
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Ring != 1 || len(w.types("line.")) != 2 {
			t.Errorf("ring %d, %v", s.Ring, w.types("line."))
		}
	})
}

// days knows windows as calendars do.
type days struct{}

func (days) Active(w resource.Window, now time.Time) (time.Time, bool) {
	return calendar.Active(w, now)
}
func (days) Covered(w resource.Window, from, to time.Time) bool { return calendar.Covered(w, from, to) }
func (days) Next(w resource.Window, now time.Time) (time.Time, time.Time, bool) {
	return calendar.Next(w, now)
}

func TestFreezesHoldAndPeaksAreCovered(t *testing.T) {
	w := newWorld() // synctest's clock begins on Sat 1 Jan 2000
	w.calendar = days{}
	w.spec.Freezes = []resource.NamedFreeze{{Name: "new-year", Freeze: resource.Freeze{Reason: "nobody is here", When: resource.Window{Start: "2000-01-01T12:00", End: "2000-01-03T06:00"}}}}
	w.spec.Service.Peak = &resource.Window{Start: "2000-01-01T20:00", End: "2000-01-01T22:00", Rule: "FREQ=WEEKLY;BYDAY=TU"}
	w.spec.Rings[1].CoverPeak = true
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(26 * time.Hour)
		why, _, _ := c.Waiting(ctx, "shop-2", time.Now())
		if s := find(t, ctx, c); s.Ring != 0 || !strings.Contains(why, "frozen by new-year: nobody is here, until Mon 3 Jan 06:00") {
			t.Fatalf("ring %d: %s", s.Ring, why)
		}
		time.Sleep(29 * time.Hour) // Mon 3 Jan 07:00
		if s := find(t, ctx, c); s.Ring != 1 {
			t.Fatalf("ring %d after the freeze", s.Ring)
		}
		time.Sleep(27 * time.Hour) // Tue 4 Jan 10:00
		why, _, _ = c.Waiting(ctx, "shop-2", time.Now())
		if s := find(t, ctx, c); s.Ring != 1 || !strings.Contains(why, "ends Tue 4 Jan 22:00") {
			t.Fatalf("ring %d: %s", s.Ring, why)
		}
		time.Sleep(13 * time.Hour)
		if s := find(t, ctx, c); s.Ring != 2 {
			t.Errorf("ring %d after the peak", s.Ring)
		}
	})
}

// Another control plane's freeze, or a line that was stopped while evidence was gathered, holds at once.
func TestWhatIsRememberedMovesNothingThroughAFreeze(t *testing.T) {
	w := newWorld()
	w.calendar = days{}
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(23*time.Hour + 50*time.Minute)
		w.change(func() {
			w.spec.Freezes = []resource.NamedFreeze{{Name: "now", Freeze: resource.Freeze{When: resource.Window{Start: "2000-01-01T23:00", End: "2000-01-03T06:00"}}}}
		})
		time.Sleep(2 * time.Hour)
		if s := find(t, ctx, c); s.Ring != 0 {
			t.Errorf("ring %d is entered in a freeze", s.Ring)
		}
	})
}

func TestTheBusiestHour(t *testing.T) {
	from := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	week := make([]float64, 168)
	for i := range week {
		week[i] = 100 + 50*math.Sin(float64(i-14)/24*2*math.Pi) // most at 20:00
	}
	if h := busiestHour(week, from); h != 20 {
		t.Errorf("hour %d", h)
	}
	if h := busiestHour(week[:20], from); h != -1 {
		t.Errorf("20 hours tell of a peak at %d", h)
	}
	for _, c := range []struct{ baking, want string }{{"2026-03-02T19:59:00Z", "2026-03-02T21:00:00Z"}, {"2026-03-02T20:01:00Z", "2026-03-03T21:00:00Z"}} {
		baking, _ := time.Parse(time.RFC3339, c.baking)
		if got := hourAfter(baking, 20).Format(time.RFC3339); got != c.want {
			t.Errorf("from %s: %s", c.baking, got)
		}
	}
}
