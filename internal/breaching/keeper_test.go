package breaching_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/breach"
	"github.com/ringfence/ringfence/internal/breaching"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// world is a store, hands that note what they do, and alerts.
type world struct {
	*sqlite.Store
	t      *testing.T
	now    time.Time
	did    []string
	refuse error
	told   []breach.Detection
}

func newWorld(t *testing.T) *world {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &world{Store: s, t: t, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

func (w *world) End(_ context.Context, _, name string, _ time.Time) (int, error) {
	w.did = append(w.did, "end "+name)
	return 2, nil
}

func (w *world) Revoke(_ context.Context, _, name string, _ time.Time) (int, error) {
	w.did = append(w.did, "revoke "+name)
	return 1, w.refuse
}

func (w *world) Stop(context.Context, string, string, time.Time) error {
	w.did = append(w.did, "stop")
	return nil
}

func (w *world) Lead(context.Context, string, string, int) (string, error) { return "inc-7", nil }

func (w *world) Found(_ context.Context, all []breach.Detection) error {
	w.told = all
	return nil
}

func (w *world) keeper(queries ...breaching.Query) *breaching.Keeper {
	return breaching.New(breaching.Options{Store: w.Store, Hands: w, Alerts: w, Queries: queries, Now: func() time.Time { return w.now }})
}

func (w *world) record(typ, actor, subject string) {
	w.t.Helper()
	e, err := audit.New(w.now, typ, actor, subject, nil)
	if err == nil {
		_, err = w.Commit(w.t.Context(), store.Write{Events: []audit.Event{e}})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) types(typ string) int {
	w.t.Helper()
	events, err := w.Events(w.t.Context(), store.EventQuery{Type: typ})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(events)
}

func TestWhatIsFoundIsRecordedAndTold(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	if err := k.Lay(t.Context(), "user:ann", "token/old", false); err != nil {
		t.Fatal(err)
	}
	if err := k.Lay(t.Context(), "user:ann", "nonsense", false); !errs.Is(err, errs.Invalid) {
		t.Fatal(err)
	}
	k.Used(t.Context(), "user:ann")
	for range 5 {
		k.Used(t.Context(), "user:old")
	}
	if n := w.types("honey.touched"); n != 1 {
		t.Fatalf("%d touches are on the record", n)
	}
	// Another control plane finds nothing twice, and one that starts later remembers.
	for _, k := range []*breaching.Keeper{k, k, w.keeper()} {
		if err := k.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.types("detection.found"); n != 1 || len(w.told) != 1 || w.told[0].Name != breach.HoneyTouched {
		t.Fatalf("%d found, told %v", n, w.told)
	}
	w.now = w.now.Add(2 * time.Hour)
	if err := k.Look(t.Context()); err != nil || len(w.told) != 0 {
		t.Fatal("it is told for ever: ", w.told, err)
	}
}

// A record that is older than the watch is history: it is learnt from, and told to nobody.
func TestHistoryIsNoNews(t *testing.T) {
	w := newWorld(t)
	for range 9 {
		w.record("access.denied", "user:ann", "api/x")
	}
	w.now = w.now.AddDate(0, 1, 0)
	if err := w.keeper().Look(t.Context()); err != nil || w.types("detection.found") != 0 || len(w.told) != 0 {
		t.Fatal(w.told, err)
	}
}

func TestQueriesThatMustHaveNoAnswer(t *testing.T) {
	w := newWorld(t)
	var answers []string
	k := w.keeper(breaching.Query{Name: "ArtifactChanged", Owner: "security", Playbook: "stop", Ask: func(context.Context) ([]string, error) { return answers, nil }})
	ask := func(found, told int) {
		t.Helper()
		if err := k.Ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.types("detection.found"); n != found || len(w.told) != told {
			t.Fatalf("%d found, told %v; expected %d and %d", n, w.told, found, told)
		}
	}
	ask(0, 0)
	answers = []string{"shop v1: its artifact on disk is another one"}
	ask(1, 1)
	w.now = w.now.Add(30 * time.Minute)
	ask(1, 1)
	answers = nil
	w.now = w.now.Add(2 * time.Hour)
	if err := k.Look(t.Context()); err != nil || len(w.told) != 0 {
		t.Fatal(w.told, err)
	}
}

func TestBreachFromStartToEnd(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	s, err := k.Start(t.Context(), "user:bob", breaching.Draft{Title: "a laptop is stolen", Severity: 1, Principals: []string{"ann"}})
	if err != nil || s.ID != "breach-0001" || s.Incident != "inc-7" {
		t.Fatal(s, err)
	}
	do := func(a breach.Ask) error {
		a.Actor = "user:bob"
		_, err := k.Do(t.Context(), s.ID, a)
		return err
	}
	if err := do(breach.Ask{Verb: "close", Text: "done"}); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "answer: detect") {
		t.Fatal("closed without an answer: ", err)
	}
	w.refuse = errs.E(errs.Conflict, "the last token of an admin")
	if _, err := k.Contain(t.Context(), "user:bob", s.ID, "", true); !errors.Is(err, w.refuse) {
		t.Fatal("what could not be done is not said: ", err)
	}
	if got := strings.Join(w.did, ", "); got != "end ann, revoke ann, stop" {
		t.Fatal(got)
	}
	asks := []breach.Ask{{Verb: "evidence", Evidence: &breach.Evidence{Events: 3}}, {Verb: "repair", Text: "tokens expire", Owner: "team", Severity: 0}}
	for _, q := range breach.Questions {
		asks = append(asks, breach.Ask{Verb: "answer", Name: q, Text: "so"})
	}
	for _, c := range breach.Checklist {
		asks = append(asks, breach.Ask{Verb: "step", Name: c.Name})
	}
	for _, a := range append(asks, breach.Ask{Verb: "close", Text: "rules were kept"}) {
		if err := do(a); err != nil {
			t.Fatalf("%s %s: %v", a.Verb, a.Name, err)
		}
	}
	if n := w.types("breach."); n != len(asks)+4 {
		t.Errorf("%d events tell of it, expected %d", n, len(asks)+4)
	}
	if _, err := k.Contain(t.Context(), "user:bob", s.ID, "eve", true); !errs.Is(err, errs.Conflict) {
		t.Error("contained after its end: ", err)
	}
	w.now = w.now.AddDate(0, 0, 3)
	if late, err := k.Overdue(t.Context()); err != nil || len(late) != 1 {
		t.Error(late, err)
	}
	if _, err := k.Get(t.Context(), "breach-9"); !errs.Is(err, errs.Missing) {
		t.Error(err)
	}
}
