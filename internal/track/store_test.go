package track

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
)

// noon is when the tests take place.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return noon.Add(d) }

func exposure(key, flag, variant string, when time.Duration) Event {
	return Event{Kind: Exposure, Key: key, Name: flag, Variant: variant, Time: at(when)}
}

func did(key, metric string, value float64, when time.Duration) Event {
	return Event{Kind: Metric, Key: key, Name: metric, Value: value, Time: at(when)}
}

func openAt(t testing.TB, folder string, now func() time.Time) *Store {
	t.Helper()
	s, err := Open(context.Background(), Options{Folder: folder, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openNew(t testing.TB) *Store {
	return openAt(t, filepath.Join(t.TempDir(), "events"), func() time.Time { return at(24 * time.Hour) })
}

func take(t testing.TB, s *Store, events ...Event) Taken {
	t.Helper()
	got, err := s.Append(context.Background(), Batch{Environment: "prod", Events: events})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func week() Query {
	return Query{Environment: "prod", Flag: "checkout", Since: at(-time.Hour), Until: at(7 * 24 * time.Hour)}
}

func counts(t testing.TB, s *Store, q Query) map[string]int64 {
	t.Helper()
	res, err := s.Summaries(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	for _, v := range res.Variants {
		all[v.Name] = v.N
	}
	if res.Several > 0 {
		all["(several)"] = res.Several
	}
	return all
}

func wantCounts(t *testing.T, got map[string]int64, want string) {
	t.Helper()
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, expected %s", got, want)
	}
}

func TestRepeatedEventsAndBatchesCountOnce(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "events")
	now := func() time.Time { return at(time.Hour) }
	s := openAt(t, folder, now)
	one := did("u1", "order", 5, time.Minute)
	one.ID = "order-1"
	keyed := Batch{Environment: "prod", Key: "batch-1", Print: 7, Events: []Event{exposure("u1", "checkout", "on", 0), did("u1", "order", 2, time.Minute)}}
	other := keyed
	other.Print = 8
	elsewhere := keyed
	elsewhere.Environment = "test"
	steps := []struct {
		name  string
		batch Batch
		want  Taken
		kind  errs.Kind
	}{
		{"the same id twice in a batch", Batch{Environment: "prod", Events: []Event{one, one}}, Taken{1, 1}, 0},
		{"and in another one", Batch{Environment: "prod", Events: []Event{one, did("u2", "order", 1, 0)}}, Taken{1, 1}, 0},
		{"in another environment", Batch{Environment: "test", Events: []Event{one}}, Taken{1, 0}, 0},
		{"a batch", keyed, Taken{2, 0}, 0},
		{"again", keyed, Taken{0, 2}, 0},
		{"another under the same key", other, Taken{}, errs.Invalid},
		{"in another environment", elsewhere, Taken{2, 0}, 0},
		{"nothing", Batch{Environment: "prod"}, Taken{}, 0},
	}
	check := func(t *testing.T, again bool) {
		for _, step := range steps {
			got, err := s.Append(t.Context(), step.batch)
			if again && step.kind == 0 && step.batch.Key != "" {
				step.want = Taken{0, len(step.batch.Events)}
			}
			if again && step.batch.Key == "" {
				continue
			}
			if got != step.want || (err != nil) != (step.kind != 0) || err != nil && errs.KindOf(err) != step.kind {
				t.Errorf("%s: %+v, %v", step.name, got, err)
			}
		}
	}
	check(t, false)
	t.Run("from the folded ids", func(t *testing.T) {
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(t, true)
	})
	t.Run("after a restart", func(t *testing.T) {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, folder, now)
		check(t, true)
		if got := take(t, s, one); got != (Taken{0, 1}) {
			t.Errorf("%+v", got)
		}
	})
}

// What the caller does with one batch must not depend on others in the same transaction.
func TestConcurrentBatches(t *testing.T) {
	s := openNew(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	accepted, duplicates := 0, 0
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				shared := did("u", "order", 1, 0)
				shared.ID = fmt.Sprint("shared-", i)
				got, err := s.Append(context.Background(), Batch{Environment: "prod", Events: []Event{shared, did(fmt.Sprint(w), "order", 1, 0)}})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				accepted, duplicates = accepted+got.Accepted, duplicates+got.Duplicates
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if accepted != 450 || duplicates != 350 {
		t.Errorf("%d accepted, %d duplicates; expected 450 and 350", accepted, duplicates)
	}
	if n := stored(t, s, "metrics"); n != 450 {
		t.Errorf("%d are stored", n)
	}
}

// stored counts the rows of a table, after folding.
func stored(t testing.TB, s *Store, table string) (n int) {
	t.Helper()
	if err := s.Settle(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.events.reader.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWrongEventsAreRefusedWhole(t *testing.T) {
	s := openNew(t)
	long := string(make([]byte, MaxKey+1))
	for field, e := range map[string]Event{
		"targetingKey": exposure("", "checkout", "on", 0),
		"flag":         exposure("u", "", "on", 0),
		"metric":       did("u", "", 1, 0),
		"variant":      exposure("u", "checkout", "", 0),
		"time":         exposure("u", "checkout", "on", 26*time.Hour),
		"id":           {Kind: Metric, ID: long, Key: "u", Name: "m", Time: noon},
	} {
		_, err := s.Append(t.Context(), Batch{Environment: "prod", Events: []Event{did("u", "order", 1, 0), e}})
		var r *refused
		if !errors.As(err, &r) || r.field != "events[1]."+field || !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", field, err)
		}
	}
	old := exposure("u", "checkout", "on", -DefaultRetention)
	if _, err := s.Append(t.Context(), Batch{Environment: "prod", Events: []Event{old}}); !errs.Is(err, errs.Invalid) {
		t.Errorf("an old event: %v", err)
	}
	if n := stored(t, s, "metrics"); n != 0 {
		t.Errorf("%d events were stored", n)
	}
}

func TestTooManyNames(t *testing.T) {
	s := openNew(t)
	for i := range maxNames / 1000 {
		var events []Event
		for j := range 1000 {
			events = append(events, did("u", fmt.Sprint("order-", i, "-", j), 1, 0))
		}
		take(t, s, events...)
	}
	if _, err := s.Append(t.Context(), Batch{Environment: "prod", Events: []Event{did("u", "another", 1, 0)}}); !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
	take(t, s, did("u", "order-1-1", 1, 0), exposure("u", "checkout", "on", 0))
}

func TestOneProcessHasTheFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "events")
	openAt(t, folder, time.Now)
	if _, err := Open(t.Context(), Options{Folder: folder}); !errs.Is(err, errs.Conflict) {
		t.Errorf("%v", err)
	}
}

func TestFilesAreTheirOwners(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "events")
	s := openAt(t, folder, func() time.Time { return at(time.Hour) })
	take(t, s, did("u", "order", 1, 0))
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) < 5 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestAnotherProgramsFile(t *testing.T) {
	for name, text := range map[string]string{"another program's": "PRAGMA application_id = 1; CREATE TABLE t (x)", "newer": "PRAGMA user_version = 99"} {
		folder := filepath.Join(t.TempDir(), "events")
		s := openAt(t, folder, time.Now)
		if _, err := s.events.writer.Exec(text); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Options{Folder: folder}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJournalIsTrimmed(t *testing.T) {
	s := openNew(t)
	take(t, s, did("u", "order", 1, 0))
	if stored(t, s, "metrics") != 1 {
		t.Fatal("not stored")
	}
	deadline := time.Now().Add(time.Minute)
	for n := -1; n != 0; {
		if err := s.journal.reader.QueryRow("SELECT count(*) FROM journal").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d rows stay in the journal", n)
		}
	}
	if got := take(t, s, did("u", "order", 1, 0)); got.Accepted != 1 || stored(t, s, "metrics") != 2 {
		t.Error("the journal does not go on after it was empty")
	}
}

func TestTooMuchWaits(t *testing.T) {
	s := openNew(t)
	s.backlog.Add(maxBacklog)
	if _, err := s.Append(t.Context(), Batch{Environment: "prod", Events: []Event{did("u", "order", 1, 0)}}); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	s.backlog.Add(-maxBacklog)
	take(t, s, did("u", "order", 1, 0))
}

func TestSweepAndForget(t *testing.T) {
	now := at(time.Hour)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	s := openAt(t, filepath.Join(t.TempDir(), "events"), clock)
	var events []Event
	for i := range 3000 { // more than one step of the sweep
		key := fmt.Sprint("u", i)
		e := did(key, "order", 1, time.Minute)
		e.ID = key
		events = append(events, exposure(key, "checkout", "on", 0), e)
	}
	take(t, s, events[:4000]...)
	take(t, s, events[4000:]...)
	if err := s.Forget(t.Context(), "prod", "u7"); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, counts(t, s, week()), "map[on:2999]")
	mu.Lock()
	now = now.Add(DefaultRetention / 2)
	mu.Unlock()
	later := DefaultRetention / 2
	take(t, s, exposure("u1", "checkout", "on", later), did("u1", "order", 1, later))
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, ids := stored(t, s, "exposures"), stored(t, s, "ids"); n != 3000 || ids != 0 {
		t.Errorf("%d exposures and %d ids after half the retention", n, ids)
	}
	mu.Lock()
	now = now.Add(DefaultRetention/2 + 72*time.Hour)
	mu.Unlock()
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"exposures": 1, "metrics": 1, "users": 1} {
		if n := stored(t, s, table); n != want {
			t.Errorf("%d %s are left, expected %d", n, table, want)
		}
	}
}

func TestTotalsAndUsage(t *testing.T) {
	s := openNew(t)
	take(t, s, exposure("a", "checkout", "on", 0), exposure("b", "checkout", "off", 0), exposure("c", "checkout", "on", 0),
		exposure("c", "search", "new", time.Hour), did("a", "order", 3, time.Minute), did("b", "order", 3, -time.Minute))
	got, err := s.Totals(t.Context(), "prod", "checkout", "order", at(-time.Hour))
	if err != nil || fmt.Sprint(got.Variants) != "[{off 1 0} {on 2 1}]" {
		t.Errorf("%v, %v", got, err)
	}
	used, err := s.Usage(t.Context(), "prod")
	if err != nil || fmt.Sprint(used) != fmt.Sprint([]Used{{"checkout", "", at(0)}, {"search", "", at(time.Hour)}}) {
		t.Errorf("%v, %v", used, err)
	}
	if used, err := s.Usage(t.Context(), "test"); err != nil || len(used) != 0 {
		t.Errorf("%v, %v", used, err)
	}
	if m, err := s.Metrics(t.Context(), "prod"); err != nil || len(m) != 1 {
		t.Errorf("%v, %v", m, err)
	}
}

func TestProportion(t *testing.T) {
	s := openNew(t)
	take(t, s, did("a", "order", 3, time.Minute)) // before its exposure arrives
	take(t, s, exposure("a", "checkout", "on", 0), exposure("b", "checkout", "off", 0))
	q := week()
	q.Measure = Measure{Kind: experiment.Proportion, Event: "order"}
	res, err := s.Summaries(t.Context(), q)
	if err != nil || len(res.Variants) != 2 || res.Variants[1].Mean[experiment.Value] != 1 || res.Variants[0].Mean[experiment.Value] != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}
