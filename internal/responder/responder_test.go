package responder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/rollout"
)

// TestABadRelease goes through all of it: a page, the cause, one command, the end, the checklist.
func TestABadRelease(t *testing.T) {
	w := newWorld(t)
	w.rotation()
	r := w.process()
	w.look(r)
	w.release("shop-2", "shop", "v1", "v2")
	since := w.clock.Add(10 * time.Second)
	w.clock = w.clock.Add(2 * time.Minute)
	w.bad("shop", "v2", 0.3, since, w.clock.Add(75*time.Second))
	if err := r.Page(t.Context(), page("k", "shop", w.clock)); err != nil {
		t.Fatal(err)
	}
	if err := r.Page(t.Context(), page("k", "shop", w.clock)); err != nil { // told again
		t.Fatal(err)
	}
	w.look(r, time.Second)
	all := w.incidents(r)
	if len(all) != 1 || all[0].Severity != 2 || all[0].Impact.Source != "data" || all[0].Impact.Start.Sub(since).Abs() > 10*time.Second {
		t.Fatalf("%+v, expected one from %v on", all, since)
	}
	v, err := r.View(t.Context(), "inc-1")
	if err != nil {
		t.Fatal(err)
	}
	if c := v.Causes.Candidates[0]; c.Ref != "rollout/shop-2" || c.Share < 0.9 || !strings.Contains(c.Why, "reached ring canary") {
		t.Errorf("%+v", v.Causes.Candidates)
	}
	if v.Remedies[0].Kind != Rollback || v.Remedies[0].Ref != "shop-2" || v.Remedies[0].Why != "" || !strings.Contains(v.Remedies[len(v.Remedies)-1].Why, "in flight") {
		t.Errorf("%+v", v.Remedies)
	}
	if _, err := r.Remedy(t.Context(), "user:ann", "1", "", "", ""); err != nil || !slices.Equal(w.commands, []string{"rollback shop-2: inc-1: shop fails"}) {
		t.Fatalf("%v, %v", w.commands, err)
	}
	w.look(r, time.Minute)
	w.happen("shop-2", rollout.Event{Type: rollout.EvReverted}, rollout.Event{Type: rollout.EvRolledBack})
	w.look(r, time.Second)
	if s := w.incidents(r)[0]; s.Phase != incident.Acknowledged || s.AckedBy != "user:ann" || !slices.Equal(s.Rollouts, []string{"shop-2"}) {
		t.Fatalf("while the alert fires: %+v", s)
	}
	w.look(r, 30*time.Second, 3*time.Minute) // the alert still fires, and the requests are well
	s := w.incidents(r)[0]
	if s.Phase != incident.Mitigated || len(s.Firing()) != 1 {
		t.Fatalf("%s, %v", s.Phase, s.Firing())
	}
	over := page("k", "shop", w.clock)
	over.Status = alert.Resolved
	if err := r.Page(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	w.look(r, time.Second, time.Minute)
	s = w.incidents(r)[0]
	if s.Phase != incident.Mitigated || s.Impact.End.IsZero() || s.Impact.End.Sub(since.Add(3*time.Minute+5*time.Second)).Abs() > 20*time.Second {
		t.Fatalf("%s, %+v", s.Phase, s.Impact)
	}
	_, err = r.Do(t.Context(), "inc-1", incident.Ask{Verb: incident.Close, Actor: "user:ann"})
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "the cause is confirmed, or named unknown; it is resolved; severity 2 wants a postmortem") {
		t.Fatalf("%v", err)
	}
	for _, a := range []incident.Ask{{Verb: incident.Resolve}, {Verb: incident.Blame, Cause: &incident.Cause{Ref: "1"}}, {Verb: incident.Learn, Learned: &incident.Learned{Well: "quick", Badly: "no test"}},
		{Verb: incident.Act, Action: &incident.Action{Text: "test it", Owner: "ann", Due: w.clock.Add(time.Hour)}}, {Verb: incident.Close}} {
		a.Actor = "user:ann"
		if _, err := r.Do(t.Context(), "inc-1", a); err != nil {
			t.Fatalf("%s: %v", a.Verb, err)
		}
	}
	w.lines = nil // the counts are gone by now
	doc, err := r.Postmortem(t.Context(), "inc-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"`rollout/shop-2` (confirmed by ann; the ranking had it at 1)", "**onset** the first bad event, in version v2", "shop-2: ring canary gets it", "ann acted: Roll back shop v2 to v1", "## What went well\n\nquick", "| 1 | test it | ann |"} {
		if !strings.Contains(doc, want) {
			t.Errorf("no %q in\n%s", want, doc)
		}
	}
	w.look(r, 2*time.Hour, 25*time.Hour) // the action item is due
	if got := w.told(incident.EvReminded); len(got) != 2 || !strings.HasSuffix(got[0], "→ ann-phone") {
		t.Errorf("%v", got)
	}
}

// TestAHaltedRollout opens one incident, with the page that comes for the same, and mitigates it by itself.
func TestAHaltedRollout(t *testing.T) {
	w := newWorld(t)
	w.rotation()
	r := w.process()
	w.look(r)
	w.release("cart-4", "cart", "c1", "c2")
	w.look(r, time.Minute)
	w.happen("cart-4", rollout.Event{Type: rollout.EvHalted, Ring: "canary", HurtAt: w.clock.Add(-20 * time.Second), Reason: "errors", Gates: failedGate}, rollout.Event{Type: rollout.EvReverting})
	w.look(r, time.Second)
	if err := r.Page(t.Context(), page("k", "shop", w.clock)); err != nil { // shop calls cart
		t.Fatal(err)
	}
	if err := r.Page(t.Context(), page("m", "mail", w.clock)); err != nil { // mail has nothing to do with it
		t.Fatal(err)
	}
	all := w.incidents(r)
	if len(all) != 2 || all[1].Origin != incident.ByRollout || all[1].Severity != 3 || len(all[1].Pages) != 1 || all[0].Service != "mail" {
		t.Fatalf("%+v", all)
	}
	over := page("k", "shop", w.clock)
	over.Status = alert.Resolved
	if err := r.Page(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	w.happen("cart-4", rollout.Event{Type: rollout.EvReverted}, rollout.Event{Type: rollout.EvRolledBack})
	w.look(r, time.Second)
	s, err := r.Get(t.Context(), "inc-1")
	if err != nil || s.Phase != incident.Mitigated || *s.Times().Detect != 21 && *s.Times().Detect != 20 {
		t.Fatalf("%+v, %v", s, err)
	}
	if len(w.told(incident.EvCalled)) != 0 { // severity 3 calls nobody, and mail has no rotation
		t.Errorf("%v", w.told(incident.EvCalled))
	}
	c, err := r.Causes(t.Context(), s)
	if err != nil || c.Candidates[0].Ref != "rollout/cart-4" || !strings.Contains(c.Candidates[0].Why, "gate errors") {
		t.Errorf("%+v, %v", c.Candidates, err)
	}
	again := page("k", "shop", w.clock)
	if err := r.Page(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if s, _ := r.Get(t.Context(), "inc-1"); s.Phase != incident.Open || s.Reopened != 1 {
		t.Errorf("it is back: %+v", s)
	}
}

// TestNobodyHadIt: what was taken back before anybody had it is no incident, and neither is a ticket.
func TestNobodyHadIt(t *testing.T) {
	w := newWorld(t)
	r := w.process()
	w.look(r)
	s, e := rollout.Start(rollout.State{ID: "shop-2", Service: "shop", From: "v1", To: "v2", Rings: []rollout.Ring{{Name: "all"}}}, w.clock)
	w.rollouts["shop-2"] = s
	w.record([]rollout.Event{e}, "shop-2")
	w.happen("shop-2", rollout.Event{Type: rollout.EvHalted, Reason: "did not become ready"})
	ticket := page("k", "shop", w.clock)
	ticket.Severity = alert.Ticket
	if err := r.Page(t.Context(), ticket); err != nil {
		t.Fatal(err)
	}
	w.look(r, time.Second)
	if all := w.incidents(r); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestPeopleAreCalledUntilSomebodyTakesIt(t *testing.T) {
	w := newWorld(t)
	w.rotation()
	r := w.process()
	w.look(r)
	if _, err := r.Override(t.Context(), "user:ann", incident.Override{Rotation: "shop-oncall", Person: "bob", From: w.clock.Add(8 * time.Minute), To: w.clock.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context(), "user:cy", Draft{Title: "orders are lost", Service: "shop"}); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		w.look(r, time.Minute)
	}
	want := []string{"08:00 ann → ann-phone", "08:05 bob → bob-phone,bob-mail", "08:10 bob → bob-phone,bob-mail", "08:15 bob → bob-phone,bob-mail"}
	if got := w.told(incident.EvCalled); !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
	if got := w.told(incident.EvUncalled); len(got) != 1 {
		t.Errorf("nobody is left: %v", got)
	}
	if _, err := r.Do(t.Context(), "1", incident.Ask{Verb: incident.Ack, Actor: "user:bob"}); err != nil {
		t.Fatal(err)
	}
	on, err := r.OnCall(t.Context(), "", 14*24*time.Hour)
	if err != nil || len(on) != 1 || on[0].Now[0].Person != "bob" || !slices.Equal(on[0].Gone, []string{"bob"}) || len(on[0].Gaps) != 0 || len(on[0].Shifts) < 3 {
		t.Errorf("%+v, %v", on, err)
	}
}

// TestCallsSurviveCrashes: processes die after every second write, two of them at a time, and everybody is called once
// for each step.
func TestCallsSurviveCrashes(t *testing.T) {
	w := newWorld(t)
	w.rotation()
	a, b := w.process(), w.process()
	w.look(a)
	if err := a.Page(t.Context(), page("k", "shop", w.clock)); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		w.fails = i % 2
		_ = a.Look(t.Context()) // it may die
		w.fails = (i + 1) % 2
		_ = b.Look(t.Context())
		w.fails = 0
		if i%3 == 0 {
			a, b = b, w.process()
		}
		w.clock = w.clock.Add(30 * time.Second)
	}
	want := []string{"08:00 ann → ann-phone", "08:05 bob → bob-phone,bob-mail", "08:10 ann → ann-phone", "08:15 bob → bob-phone,bob-mail"}
	if got := w.told(incident.EvCalled); !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
}

// TestOnePageOneIncident: the same page at two control planes at once, and a halted rollout, are one incident.
func TestOnePageOneIncident(t *testing.T) {
	w := newWorld(t)
	a, b := w.process(), w.process()
	w.look(a)
	w.release("shop-2", "shop", "v1", "v2")
	w.clock = w.clock.Add(time.Minute)
	w.happen("shop-2", rollout.Event{Type: rollout.EvHalted, Ring: "canary", HurtAt: w.clock, Reason: "errors"})
	done := make(chan error, 4)
	for _, r := range []*Responder{a, b} {
		go func() { done <- r.Page(t.Context(), page("k", "shop", w.clock)) }()
		go func() { done <- r.Look(t.Context()) }()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	all := w.incidents(a)
	if len(all) != 1 || len(all[0].Pages) != 1 || !slices.Equal(all[0].Rollouts, []string{"shop-2"}) {
		t.Errorf("%+v", all)
	}
}

func TestWhatIsRefused(t *testing.T) {
	w := newWorld(t)
	r := w.process()
	w.look(r)
	severity := 7
	for want, f := range map[string]func() error{
		"severity 7": func() error {
			_, err := r.Open(t.Context(), "user:ann", Draft{Title: "x", Severity: &severity})
			return err
		},
		"title": func() error { _, err := r.Open(t.Context(), "user:ann", Draft{}); return err },
		"no Service nowhere": func() error {
			_, err := r.Open(t.Context(), "user:ann", Draft{Title: "x", Service: "nowhere"})
			return err
		},
		"no incident \"inc-9\"":  func() error { _, err := r.View(t.Context(), "9"); return err },
		"no Rotation \"nobody\"": func() error { _, err := r.OnCall(t.Context(), "nobody", time.Hour); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) || errs.KindOf(err) == errs.Internal {
			t.Errorf("%v, expected %q", err, want)
		}
	}
	if _, err := r.Open(t.Context(), "user:ann", Draft{Title: "x", Service: "mail"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Remedy(t.Context(), "user:ann", "1", "", "", ""); err != nil { // nothing is suspected: what was last good
		t.Error(err)
	}
	if _, err := r.Remedy(t.Context(), "user:ann", "1", "explode", "", ""); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
	if trends, err := r.Trends(t.Context(), "", time.Hour, 2); err != nil || trends[1].ByPeople != 0 && trends[0].ByPeople != 0 {
		t.Errorf("%+v, %v", trends, err)
	}
}

// TestWhatIsToldTooLate: an alert looks back, so it may fire when what it is about was over before the incident was resolved: that is no second
// incident. What began anew is one.
func TestWhatIsToldTooLate(t *testing.T) {
	for name, again := range map[string]bool{"over": false, "hurts anew": true} {
		w := newWorld(t)
		r := w.process()
		w.clock = w.clock.Add(30 * time.Minute)
		began := w.clock.Add(-2 * time.Minute)
		w.bad("shop", "v2", 0.9, began, began.Add(3*time.Minute))
		if err := r.Page(t.Context(), page("k", "shop", w.clock)); err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(4 * time.Minute)
		over := page("k", "shop", w.clock)
		over.Status = alert.Resolved
		if err := r.Page(t.Context(), over); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []incident.Verb{incident.Mitigate, incident.Resolve} {
			if _, err := r.Do(t.Context(), "inc-1", incident.Ask{Verb: verb, Actor: "user:ann", Text: "it was v2"}); err != nil {
				t.Fatal(err)
			}
			w.look(r, time.Minute)
		}
		w.clock = w.clock.Add(2 * time.Minute)
		if again {
			w.bad("shop", "v2", 0.9, w.clock.Add(-time.Minute), w.clock.Add(time.Hour))
		}
		if err := r.Page(t.Context(), page("slow burn", "shop", w.clock)); err != nil {
			t.Fatal(err)
		}
		all := w.incidents(r)
		if again && len(all) != 2 || !again && (len(all) != 1 || all[0].Phase != incident.Resolved || len(all[0].Pages) != 2) {
			t.Errorf("%s: %d incidents: %+v", name, len(all), all)
		}
	}
}
