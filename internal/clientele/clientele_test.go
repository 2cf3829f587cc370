package clientele

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// world is a real store, what is declared, who takes alerts, and a clock that the tests turn.
type world struct {
	*Engine
	t     *testing.T
	store *sqlite.Store
	now   time.Time
	specs map[string]resource.Service
	fires map[string]alert.Alert
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir()+"/ringfence.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{t: t, store: s, now: time.Date(2026, 11, 2, 8, 0, 30, 0, time.UTC), fires: map[string]alert.Alert{},
		specs: map[string]resource.Service{"shop": {Route: fleet.Route{Account: &fleet.Account{Header: "X-Tenant"}}}}}
	w.Engine = w.engine()
	return w
}

func (w *world) engine() *Engine {
	return New(Options{Store: w.store, Catalog: w, Alerts: w, Now: func() time.Time { return w.now }})
}

func (w *world) Get(_ context.Context, _, name string) (resource.Resource, error) {
	s, ok := w.specs[name]
	if !ok {
		return resource.Resource{}, errs.E(errs.Missing, "no %s", name)
	}
	b, err := json.Marshal(s)
	return resource.Resource{Kind: resource.KindService, Spec: b}, err
}

func (w *world) Send(_ context.Context, all []alert.Alert) error {
	for _, a := range all {
		if err := a.Check(); err != nil {
			return err
		}
		if a.EndsAt.IsZero() {
			w.fires[a.ID()] = a
		} else {
			delete(w.fires, a.ID())
		}
	}
	return nil
}

func (w *world) Firing(context.Context) ([]alert.Alert, error) {
	var all []alert.Alert
	for _, a := range w.fires {
		all = append(all, a)
	}
	return all, nil
}

// minute lets a minute pass in which some accounts had bad requests, and is told twice.
func (w *world) minute(bad map[string]int64) {
	w.t.Helper()
	m := fleet.AccountMinute{Service: "shop", Minute: account.Minute(w.now), Boot: "b"}
	for i := range 20 {
		m.Accounts = append(m.Accounts, fleet.AccountCount{ID: fmt.Sprint("t", i), Requests: 30})
	}
	for id, n := range bad {
		m.Accounts = append(m.Accounts, fleet.AccountCount{ID: id, Requests: 30, Failed: n, Where: []fleet.AccountWhere{{Version: "v2", Ring: "all", Bad: n}}})
	}
	for _, a := range m.Accounts {
		m.Requests, m.Bad = m.Requests+a.Requests, m.Bad+a.Bad()
	}
	w.now = w.now.Add(time.Minute)
	for range 2 {
		if err := w.Take(w.t.Context(), "local", []fleet.AccountMinute{m}); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.Look(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) alert(name string) (alert.Alert, bool) {
	for _, a := range w.fires {
		if a.Labels[alert.Name] == name {
			return a, true
		}
	}
	return alert.Alert{}, false
}

func TestOneIsToldThenSeveralThenNone(t *testing.T) {
	w := newWorld(t)
	w.minute(nil)
	began := account.At(account.Minute(w.now))
	for range 2 {
		w.minute(map[string]int64{"acme": 20})
	}
	if len(w.fires) != 0 {
		t.Fatalf("told after two bad minutes: %v", w.fires)
	}
	w.minute(map[string]int64{"acme": 20})
	told := w.now
	w.Engine = w.engine() // a restart
	w.minute(map[string]int64{"acme": 20})
	a, ok := w.alert(AlertOne)
	if !ok || len(w.fires) != 1 || a.Labels[Account] != "acme" || !a.StartsAt.Equal(told) || !strings.Contains(a.Annotations[alert.Description], "4 of its last 10 minutes were bad, from 08:01 on: 80 of 120 requests failed or took longer than 1s, most of them in version v2, ring all") {
		t.Fatalf("%+v", w.fires)
	}
	for range 3 {
		w.minute(map[string]int64{"acme": 3, "globex": 3, "hooli": 3})
	}
	if a, ok := w.alert(AlertSeveral); !ok || len(w.fires) != 1 || !strings.Contains(a.Annotations[alert.Summary], "3 customers are hurt, though it is well as a whole: acme, ") {
		t.Fatalf("%+v", w.fires)
	}
	r, err := w.Report(t.Context(), "shop", Asked{Account: "acme"})
	if err != nil || len(r.Accounts) != 1 || r.Accounts[0].Bad != 7 || r.Accounts[0].Minutes != 7 || r.Known != 23 || r.WithBad != 3 || r.Missed != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	for range 10 {
		w.minute(nil)
	}
	if len(w.fires) != 0 {
		t.Fatalf("told for ever: %+v", w.fires)
	}
	some, err := w.Suffered(t.Context(), "shop", began, w.now)
	if err != nil || len(some) != 3 || some[0].Account != "acme" || some[0].Own.Bad != 89 {
		t.Fatalf("%+v, %v", some, err)
	}
}

func TestSwitchedOff(t *testing.T) {
	w := newWorld(t)
	shop := w.specs["shop"]
	shop.AlertsOff = []string{AlertOne}
	w.specs["shop"] = shop
	for range 4 {
		w.minute(map[string]int64{"acme": 20})
	}
	if len(w.fires) != 0 {
		t.Fatalf("%+v", w.fires)
	}
}

// TestNamesAreHashed turns hashing on after names were stored.
func TestNamesAreHashed(t *testing.T) {
	w := newWorld(t)
	w.minute(map[string]int64{"acme": 20})
	w.specs["shop"] = resource.Service{Route: fleet.Route{Account: &fleet.Account{Header: "X-Tenant", Hash: true}}}
	w.minute(map[string]int64{"acme": 20})
	w.Engine = w.engine()
	w.minute(map[string]int64{"acme": 20})
	doc, err := w.store.Get(t.Context(), KindBook, "shop")
	if err != nil || strings.Contains(string(doc.Body), "acme") {
		t.Fatalf("%v: %s", err, doc.Body)
	}
	a, ok := w.alert(AlertOne)
	if !ok || strings.Contains(fmt.Sprint(a), "acme") || !strings.HasPrefix(a.Labels[Account], "~") {
		t.Fatalf("%+v", a)
	}
	r, err := w.Report(t.Context(), "shop", Asked{Account: "acme"})
	if err != nil || len(r.Accounts) != 1 || r.Accounts[0].Account != a.Labels[Account] || r.Accounts[0].Bad != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestTwoControlPlanes lets two write the same book at the same time.
func TestTwoControlPlanes(t *testing.T) {
	w := newWorld(t)
	other := w.engine()
	var wg sync.WaitGroup
	fail := make(chan error, 2)
	for unit, e := range map[string]*Engine{"a": w.Engine, "b": other} {
		wg.Go(func() {
			for m := range int64(10) {
				minute := fleet.AccountMinute{Service: "shop", Minute: account.Minute(w.now) - m - 1, Boot: "b", Requests: 3, Bad: 1,
					Accounts: []fleet.AccountCount{{ID: "acme", Requests: 3, Failed: 1}}}
				for {
					err := e.Take(context.Background(), unit, []fleet.AccountMinute{minute})
					if errs.Is(err, errs.Unavailable) {
						continue
					}
					if err != nil {
						fail <- err
					}
					break
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-fail:
		t.Fatal(err)
	default:
	}
	r, err := w.Report(t.Context(), "shop", Asked{})
	if err != nil || len(r.Accounts) != 1 || r.Accounts[0].Minutes != 10 || r.Accounts[0].Bad != 10 { // 6 requests and 2 bad ones: neither alone would do
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestWhatIsNoMinute(t *testing.T) {
	w := newWorld(t)
	now := account.Minute(w.now)
	for name, m := range map[string]fleet.AccountMinute{
		"of the future":       {Service: "shop", Minute: now + 10},
		"more bad than there": {Service: "shop", Minute: now, Requests: 1, Bad: 2},
		"nobody":              {Service: "shop", Minute: now, Accounts: []fleet.AccountCount{{Requests: 1}}},
		"a long name":         {Service: "shop", Minute: now, Accounts: []fleet.AccountCount{{ID: strings.Repeat("x", 200), Requests: 1}}},
		"fewer than failed":   {Service: "shop", Minute: now, Accounts: []fleet.AccountCount{{ID: "a", Requests: 1, Failed: 2}}},
	} {
		if err := w.Take(t.Context(), "local", []fleet.AccountMinute{m}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Take(t.Context(), "local", []fleet.AccountMinute{{Service: "unknown", Minute: now, Boot: "b"}}); err != nil {
		t.Errorf("of a service that is gone: %v", err)
	}
	if _, err := w.Report(t.Context(), "unknown", Asked{}); !errs.Is(err, errs.Missing) {
		t.Error(err)
	}
}

// TestBooksGo deletes the service, and lets a month pass for another.
func TestBooksGo(t *testing.T) {
	w := newWorld(t)
	w.minute(nil)
	delete(w.specs, "shop")
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if docs, err := w.store.List(t.Context(), store.Page{Kind: KindBook}); err != nil || len(docs) != 0 {
		t.Fatalf("%d books are left, %v", len(docs), err)
	}
}
