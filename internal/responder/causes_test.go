package responder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
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

// TestAFlagIsWeighedByItsOwnUsers: the gateways count a service's requests by the variant that a trial gives their users, which tells two flags
// apart that were exposed in the same minute.
func TestAFlagIsWeighedByItsOwnUsers(t *testing.T) {
	w := newWorld(t)
	r := w.process()
	set, err := resource.New("pay", resource.FlagSet{RawMessage: []byte(`{"service":"shop","flags":{}}`)})
	w.put(set, err)
	w.clock = w.clock.Add(30 * time.Minute)
	began := w.clock
	for id, key := range map[string]string{"flag-1": "blue", "flag-2": "fast"} {
		subject := flag.Subject{Set: "pay", Key: key, Environment: "production"}.String()
		w.release(id, subject, "off", "on")
		s := w.rollouts[id]
		s.Kind = rollout.KindFlag
		w.rollouts[id] = s
	}
	w.lines = func(expr string, from, to time.Time, step time.Duration) []Line {
		hurt := map[string]float64{} // by variant, in a second
		switch expr {
		case `ringfence_requests_total{service="shop"}`:
			hurt["v1"] = 3
		case `ringfence_requests_total{service="flag:pay:fast"}`:
			hurt["on"], hurt["off"] = 3, 0
		case `ringfence_requests_total{service="flag:pay:blue"}`:
			hurt["on"], hurt["off"] = 1.5, 1.5
		}
		var all []Line
		for version, bad := range hurt {
			well := Line{Labels: map[string]string{"version": version, "ring": "canary", "code": "200"}}
			broken := Line{Labels: map[string]string{"version": version, "ring": "canary", "code": "500"}}
			for at := from; !at.After(to); at = at.Add(step) {
				n := at.Sub(morning.Add(-24 * time.Hour)).Seconds()
				failed := max(0, at.Sub(began.Add(10*time.Second)).Seconds()) * bad
				well.Points = append(well.Points, [2]float64{float64(at.Unix()), 10*n - failed})
				broken.Points = append(broken.Points, [2]float64{float64(at.Unix()), failed})
			}
			all = append(all, well, broken)
		}
		return all
	}
	w.clock = w.clock.Add(2 * time.Minute)
	if err := r.Page(t.Context(), page("k", "shop", w.clock)); err != nil {
		t.Fatal(err)
	}
	v, err := r.View(t.Context(), "inc-1")
	if err != nil {
		t.Fatal(err)
	}
	if c := v.Causes.Candidates[0]; c.Ref != "rollout/flag-2" || c.Share < 0.9 || c.Others == nil || c.Others.Bad != 0 {
		t.Errorf("%+v", v.Causes.Candidates)
	}
}
