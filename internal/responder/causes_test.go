package responder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// TestWhatWasNeverBefore: a first release that has worked for a while, and a service that was declared for the first time, have made
// nothing worse; a service that was changed may have. A flag whose set is for another service is that one's.
func TestWhatWasNeverBefore(t *testing.T) {
	w := newWorld(t)
	r := w.process()
	set, err := resource.New("mail", resource.FlagSet{RawMessage: []byte(`{"service":"mail","flags":{}}`)})
	w.put(set, err)
	w.release("shop-1", "shop", "", "v1")
	for subject, action := range map[string]string{"service/shop": "created", "service/cart": "changed", "flagset/mail": "changed", "ringplan/quick": "created"} {
		e, err := audit.New(w.clock, "resource.applied", "user:ann", subject, map[string]string{"action": action})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Store.Commit(t.Context(), store.Write{Events: []audit.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	w.clock = w.clock.Add(5 * time.Minute)
	if err := r.Page(t.Context(), page("k", "shop", w.clock)); err != nil {
		t.Fatal(err)
	}
	v, err := r.View(t.Context(), "inc-1")
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]incident.Candidate{}
	for _, c := range v.Causes.Candidates {
		of[c.Ref] = c
	}
	for _, ref := range []string{"rollout/shop-1", "service/shop", "ringplan/quick"} {
		if c, is := of[ref]; is {
			t.Errorf("a candidate: %+v", c)
		}
	}
	if of["service/cart"].Ref == "" || of["flagset/mail"].Service != "mail" {
		t.Errorf("%+v", v.Causes.Candidates)
	}
}

// TestABlipBefore: slow requests that were over a while before an alert that is not about slowness are not its beginning.
func TestABlipBefore(t *testing.T) {
	w := newWorld(t)
	r := w.process()
	w.clock = w.clock.Add(30 * time.Minute)
	began := w.clock
	w.bad("shop", "v2", 0.9, began.Add(-5*time.Minute), began.Add(-4*time.Minute))
	errors := w.lines
	w.lines = func(expr string, from, to time.Time, step time.Duration) []Line {
		switch expr {
		case `max by (over) (ringfence_slow_requests_total{service="shop"})`:
			return []Line{{Labels: map[string]string{"over": "0.3"}}}
		case `ringfence_slow_requests_total{service="shop",over="0.3"}`:
			return slices.DeleteFunc(errors(`ringfence_requests_total{service="shop"}`, from, to, step), func(l Line) bool { return l.Labels["code"] != "500" })
		}
		return slices.DeleteFunc(errors(expr, from, to, step), func(l Line) bool { return l.Labels["code"] == "500" })
	}
	if err := r.Page(t.Context(), page("k", "shop", began)); err != nil {
		t.Fatal(err)
	}
	w.look(r, time.Second)
	if all := w.incidents(r); len(all) != 1 || all[0].Impact.Start.Before(began.Add(-time.Minute)) {
		t.Errorf("%+v", all)
	}
}

// TestTheRankingOutlivesTheMetrics: of an incident that nobody resolves, what was found of its cause is kept, for when the requests that it was
// found in are counted no more.
func TestTheRankingOutlivesTheMetrics(t *testing.T) {
	w := newWorld(t)
	r := w.process()
	w.release("shop-2", "shop", "v1", "v2")
	w.clock = w.clock.Add(30 * time.Minute)
	if err := r.Page(t.Context(), page("k", "shop", w.clock)); err != nil {
		t.Fatal(err)
	}
	w.look(r, time.Second)
	v, err := r.View(t.Context(), "inc-1")
	if err != nil || v.Causes.Candidates[0].Ref != "rollout/shop-2" || !v.Causes.Kept.IsZero() {
		t.Fatalf("%+v, %v", v.Causes, err)
	}
	if why := v.Causes.Candidates[0].Why; !strings.Contains(why, "before it was noticed") || strings.Contains(why, "first bad event") {
		t.Errorf("no bad request was seen, and it says %q", why)
	}
	w.clock = w.clock.Add(40 * 24 * time.Hour) // longer than the metrics are kept
	w.lines = func(string, time.Time, time.Time, time.Duration) []Line { return nil }
	for _, r := range []*Responder{r, w.process()} {
		w.look(r, time.Second)
		v, err = r.View(t.Context(), "inc-1")
		if err != nil || v.Causes.Candidates[0].Ref != "rollout/shop-2" || v.Causes.Kept.IsZero() || w.clock.Sub(v.Causes.Kept) < 39*24*time.Hour {
			t.Errorf("%+v, %v", v.Causes, err)
		}
	}
}
