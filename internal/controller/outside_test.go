package controller

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// outside answers questions, and PromQL, as a test wants.
type outside struct {
	mu      sync.Mutex
	asked   map[string]Question
	answer  health.Verdict
	value   float64
	queries []string
}

func (o *outside) Ask(key string, _ time.Duration, q Question) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked[key] = q
}

func (o *outside) Take(key string) []Answer {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.answer == "" {
		return nil
	}
	return []Answer{{At: time.Now(), Reading: health.Reading{Verdict: o.answer, Text: "said " + string(o.answer)}}}
}

func (o *outside) Forget(prefix string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k := range o.asked {
		if strings.HasPrefix(k, prefix) {
			delete(o.asked, k)
		}
	}
}

func (o *outside) question(key string) Question {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[key]
}

func (o *outside) asks() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.queries)
}

func (o *outside) say(v health.Verdict, value float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer, o.value = v, value
}

func (o *outside) Histograms(context.Context, string, string, string, time.Time, time.Time) ([]health.HistogramSample, []time.Time, error) {
	return nil, nil, nil
}

func (o *outside) Values(_ context.Context, expr string, from, to time.Time, step time.Duration) ([]float64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queries = append(o.queries, expr)
	if to.Sub(from)/step > 11_000 {
		return nil, errs.E(errs.Invalid, "too many points")
	}
	values := make([]float64, 1+to.Sub(from)/step)
	for i := range values {
		values[i] = o.value
	}
	return values, nil
}

func TestGatesFromOutside(t *testing.T) {
	w := newWorld()
	limit := 100.0
	w.outside = &outside{asked: map[string]Question{}, value: 7}
	w.spec.Gates = append(w.spec.Gates,
		resource.Gate{Name: "queue", Signal: "query", Query: `depth{service="{service}", version="{version}"}`, Max: &limit}.Defaults(),
		resource.Gate{Name: "smoke", Signal: "webhook", When: "before", Webhook: &resource.WebhookGate{URL: "https://x.test"}}.Defaults())
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(soon)
		why, _, _ := c.Waiting(ctx, "shop-2", time.Now())
		if s := find(t, ctx, c); s.Ring != -1 || !strings.Contains(why, "before ring early, smoke") || w.outside.question("shop-2/before/0/smoke").Vars["version"] != "v2" {
			t.Fatalf("ring %d: %s", s.Ring, why)
		}
		w.outside.say(health.Pass, 7)
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Ring != 0 || s.Phase != rollout.Baking {
			t.Fatalf("ring %d: %s", s.Ring, s.Phase)
		}
		time.Sleep(time.Hour)
		if q := w.outside.asks(); len(q) == 0 || q[0] != `depth{service="shop", version="v2"}` {
			t.Fatalf("%v", q)
		}
		w.outside.say(health.Pass, 101)
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Phase != rollout.RolledBack || !strings.Contains(s.Reason, "101") || s.HurtAt.Before(s.Created.Add(time.Hour)) {
			t.Errorf("%s: %s, hurt at %s", s.Phase, s.Reason, s.HurtAt)
		}
	})
}

// No data is what is still missing after a while, not what was asked a moment ago: in a ring, before one, or after a restart.
func TestNoDataTakesAWhile(t *testing.T) {
	for _, c := range []struct {
		when, noData string
		ring         int
		phase        rollout.Phase
	}{{"before", "pass", -1, rollout.Starting}, {"during", "fail", 0, rollout.Baking}} {
		w := newWorld()
		w.outside = &outside{asked: map[string]Question{}}
		play(t, w, func(t *testing.T, ctx context.Context, ctl *Controller) {
			w.change(func() {
				w.spec.Gates = append(w.spec.Gates, resource.Gate{Name: "smoke", Signal: "webhook", When: c.when, NoData: c.noData, Every: fleet.Dur(10 * time.Minute),
					Webhook: &resource.WebhookGate{URL: "https://x.test"}}.Defaults())
			})
			release(t, ctx, ctl, "v2")
			time.Sleep(4 * time.Minute)
			if s := find(t, ctx, ctl); s.Ring != c.ring || s.Phase != c.phase {
				t.Errorf("no data that %ses: %s in ring %d at once", c.noData, s.Phase, s.Ring)
			}
			time.Sleep(soon)
			if s := find(t, ctx, ctl); s.Ring != 0 || (s.Phase == rollout.RolledBack) != (c.noData == "fail") {
				t.Errorf("no data that %ses: %s in ring %d after a while", c.noData, s.Phase, s.Ring)
			}
		})
	}
}

// A gate that counts requests has no data while none come or nobody tells of them; what that means is for the plan to say.
func TestNoRequestsAreNoData(t *testing.T) {
	for noData, phase := range map[string]rollout.Phase{"": rollout.Baking, "hold": rollout.Baking, "fail": rollout.RolledBack} {
		w := newWorld()
		play(t, w, func(t *testing.T, ctx context.Context, ctl *Controller) {
			w.change(func() { w.spec.Gates[0].NoData, w.blind = noData, true })
			release(t, ctx, ctl, "v2")
			time.Sleep(soon)
			if s := find(t, ctx, ctl); s.Phase != phase || s.Ring > 0 {
				t.Errorf("no data that means %q: %s in ring %d: %s", noData, s.Phase, s.Ring, s.Reason)
			}
		})
	}
}

// What was said before a ring while it was about to be entered tells nothing once that is long ago.
func TestGatesBeforeARingAreAskedAgain(t *testing.T) {
	w := newWorld()
	w.outside = &outside{asked: map[string]Question{}}
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		w.change(func() {
			w.spec.Gates = append(w.spec.Gates, resource.Gate{Name: "smoke", Signal: "webhook", When: "before", Rings: []string{"broad"},
				Webhook: &resource.WebhookGate{URL: "https://x.test"}}.Defaults())
			w.spec.Rings[1].Approval = &resource.Approval{Need: "any"}
		})
		release(t, ctx, c, "v2")
		time.Sleep(23 * time.Hour)
		w.outside.say(health.Pass, 0)
		time.Sleep(2 * time.Hour)
		must[rollout.State](t)(c.Command(ctx, rollout.Pause, "user:ann", "shop", "", time.Now()))
		must[rollout.State](t)(c.Approve(ctx, "user:bob", "shop", "", "", false, time.Now()))
		time.Sleep(48 * time.Hour)
		w.outside.say("", 0) // it does not answer any more
		must[rollout.State](t)(c.Command(ctx, rollout.Resume, "user:ann", "shop", "", time.Now()))
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Ring != 0 {
			t.Errorf("ring %d is entered on what was said two days ago", s.Ring)
		}
	})
}

// What is in flight already and hurries now takes the lane that was asked for.
func TestAReleaseInFlightMayBecomeAHotfix(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(soon)
		hotfix := func(o *rollout.Order) { o.Lane, o.Why = rollout.Sev0, "nobody can pay" }
		for range 2 { // once more is a retry
			must[rollout.State](t)(c.Release(ctx, "user:ann", order("v2", hotfix), time.Now()))
		}
		time.Sleep(soon)
		if s, d := find(t, ctx, c), w.desired(); s.ID != "shop-3" || s.Lane != rollout.Sev0 || d.Exposure[len(d.Exposure)-1] != "v2" {
			t.Errorf("%s in lane %q, exposure %v", s.ID, s.Lane, d.Exposure)
		}
	})
}

func TestAGateThatHoldsHoldsWhileItLasts(t *testing.T) {
	w := newWorld()
	limit := 10.0
	w.outside = &outside{asked: map[string]Question{}, value: 50}
	w.spec.Gates = append(w.spec.Gates, resource.Gate{Name: "queue", Signal: "query", Query: "depth", Max: &limit, OnFail: "hold"}.Defaults())
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(30 * time.Hour)
		if s := find(t, ctx, c); s.Ring != 0 || s.Phase != rollout.Baking {
			t.Fatalf("%s in ring %d", s.Phase, s.Ring)
		}
		w.outside.say("", 5)
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Ring != 1 {
			t.Errorf("ring %d after it has recovered", s.Ring)
		}
	})
}

// Whoever comes back into a long bake reads all of it, in parts.
func TestALongBakeIsReadAgain(t *testing.T) {
	w := newWorld()
	limit := 10.0
	w.outside = &outside{asked: map[string]Question{}, value: 5}
	w.spec.Rings[0].Bake = fleet.Dur(72 * time.Hour)
	w.spec.Gates = append(w.spec.Gates, resource.Gate{Name: "queue", Signal: "query", Query: "depth", Max: &limit}.Defaults())
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(60 * time.Hour)
		again := w.controller()
		for range 4 {
			must[string](t)(func() (string, error) { why, _, err := again.Waiting(ctx, "shop-2", time.Now()); return why, err }())
		}
		_, ev, err := again.Waiting(ctx, "shop-2", time.Now())
		if err != nil || len(ev.Gates) != 2 || ev.Gates[1].Verdict != health.Pass || ev.Gates[1].Evidence.Readings.Count < 60*60*4-10 {
			t.Errorf("%v: %+v", err, ev.Gates)
		}
	})
}

func TestApprovalsInTheInbox(t *testing.T) {
	w := newWorld()
	w.spec.Rings[1].Approval = &resource.Approval{From: []string{"sre"}, Need: "any"}
	w.spec.Groups = map[string][]string{"sre": {"bob"}}
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(26 * time.Hour)
		list, err := c.Inbox(ctx)
		if err != nil || len(list) != 1 || list[0].Ring != "broad" || !strings.Contains(list[0].Missing, "one of sre") || !slices.Contains(w.types("approval."), "approval.requested") {
			t.Fatalf("%v: %+v", err, list)
		}
		if _, err := c.Approve(ctx, "user:ann", "shop", "broad", "", false, time.Now()); !errs.Is(err, errs.Denied) {
			t.Fatalf("ann is not of the group: %v", err)
		}
		must[rollout.State](t)(c.Approve(ctx, "user:bob", "shop", "broad", "looks good", false, time.Now()))
		time.Sleep(soon)
		if s := find(t, ctx, c); s.Ring != 1 {
			t.Errorf("ring %d: %s", s.Ring, s.Reason)
		}
	})
}
