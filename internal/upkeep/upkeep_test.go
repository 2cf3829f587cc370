package upkeep

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type planes struct {
	reports   []fleet.Observed
	published []string
}

func (p *planes) Units() []fleet.Observed { return slices.Clone(p.reports) }
func (p *planes) Publish(unit string)     { p.published = append(p.published, unit) }

// plane is a unit that runs shop with so many ready instances.
func plane(unit string, ready int) fleet.Observed {
	return fleet.Observed{Unit: unit, Time: noon, Services: []fleet.ServiceStatus{{Name: "shop", Slots: []fleet.SlotStatus{{Version: "v1", Ready: ready, Wanted: 2}}}}}
}

func keeper(t *testing.T, reports ...fleet.Observed) (*Keeper, *planes) {
	db, err := sqlite.Open(t.Context(), t.TempDir()+"/ringfence.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	p := &planes{reports: reports}
	return New(Options{Store: db, Fleet: p, Logger: slog.New(slog.DiscardHandler)}), p
}

func types(t *testing.T, k *Keeper) (all []string) {
	t.Helper()
	events, err := k.Store.(interface {
		Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
	}).Events(t.Context(), store.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		all = append(all, e.Type)
	}
	return all
}

func TestMaintenance(t *testing.T) {
	k, p := keeper(t, plane("berlin", 2), plane("oslo", 1))
	declared := 0
	k.Declared = func() { declared++ }
	u, err := k.Rest(t.Context(), "user:ann", "berlin", Order{Drain: true, Reason: "new kernel"}, noon)
	if err != nil || u.Rest == nil || !u.Rest.Drain || u.Rest.By != "user:ann" {
		t.Fatalf("%+v %v", u, err)
	}
	if again, err := k.Rest(t.Context(), "user:bob", "berlin", Order{Drain: true, Reason: "another"}, noon.Add(time.Minute)); err != nil || again.Rest.By != "user:ann" {
		t.Errorf("a second order changed the first: %+v %v", again.Rest, err)
	}
	p.reports[0].Rest = fleet.Resting
	if _, err := k.Rest(t.Context(), "user:bob", "oslo", Order{Drain: true, Reason: "new disk"}, noon); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "alone serves shop") {
		t.Errorf("the last unit that serves was drained: %v", err)
	}
	if u, err := k.Rest(t.Context(), "user:bob", "oslo", Order{Reason: "watch it"}, noon); err != nil || u.State != "cordoned" {
		t.Errorf("%+v %v", u, err)
	}
	if u, err := k.Return(t.Context(), "user:ann", "berlin", "done", noon.Add(time.Hour)); err != nil || u.Rest != nil {
		t.Errorf("%+v %v", u, err)
	}
	if _, err := k.Return(t.Context(), "user:ann", "berlin", "done", noon.Add(time.Hour)); err != nil {
		t.Errorf("returning what serves: %v", err)
	}
	if got, want := types(t, k), []string{"unit.drained", "unit.cordoned", "unit.returned"}; !slices.Equal(got, want) {
		t.Errorf("recorded %v, expected %v", got, want)
	}
	if want := []string{"berlin", "oslo", "berlin"}; !slices.Equal(p.published, want) || declared != 3 {
		t.Errorf("published %v, declared %d times", p.published, declared)
	}
}

func TestRefusals(t *testing.T) {
	k, _ := keeper(t, plane("berlin", 2), plane("oslo", 0))
	for name, c := range map[string]struct {
		unit string
		o    Order
		kind errs.Kind
	}{
		"without a reason":               {"berlin", Order{Drain: true, Reason: " "}, errs.Invalid},
		"one that nobody knows":          {"rome", Order{Reason: "x"}, errs.Missing},
		"with a wait of a day":           {"berlin", Order{Reason: "x", Wait: 24 * time.Hour}, errs.Invalid},
		"one that alone has a ready one": {"berlin", Order{Drain: true, Reason: "x"}, errs.Conflict},
	} {
		if _, err := k.Rest(t.Context(), "user:ann", c.unit, c.o, noon); !errs.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := types(t, k); len(got) != 0 {
		t.Errorf("refused, and recorded: %v", got)
	}
	if _, err := k.Rest(t.Context(), "user:ann", "berlin", Order{Drain: true, Reason: "x", Force: true}, noon); err != nil {
		t.Errorf("forced: %v", err)
	}
}

func TestStates(t *testing.T) {
	late := plane("late", 1)
	late.Time = noon.Add(-time.Minute)
	leaving := plane("leaving", 1)
	leaving.Rest = fleet.Leaving
	k, _ := keeper(t, late, leaving, plane("well", 1))
	all, err := k.Units(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range all {
		got = append(got, u.Name+" "+u.State)
	}
	if want := []string{"late silent", "leaving leaving", "well serving"}; !slices.Equal(got, want) {
		t.Errorf("%v, expected %v", got, want)
	}
}

// TestRecordsOnce: what two control planes hear is recorded once; a crash loop is not a flood.
func TestRecordsOnce(t *testing.T) {
	k, p := keeper(t, plane("berlin", 2))
	other := New(k.Options)
	look := func(now time.Time) {
		t.Helper()
		for _, one := range []*Keeper{k, other} {
			if err := one.record(t.Context(), p.reports[0], now); err != nil {
				t.Fatal(err)
			}
		}
	}
	look(noon)
	svc := &p.reports[0].Services[0]
	svc.Scaled = &fleet.Scaled{Instances: 2, Min: 2, Max: 6}
	look(noon) // the number it began with is no decision
	svc.Scaled = &fleet.Scaled{Instances: 4, Min: 2, Max: 6, Reason: "40 requests at a time, 10 for each instance"}
	look(noon)
	svc.Slots[0].Instances = []fleet.Instance{{ID: "shop/v1/1"}}
	look(noon)
	for n := 1; n <= 40; n++ { // crashes every 10 seconds
		svc.Slots[0].Instances[0].Restarts, svc.Slots[0].Instances[0].LastExit = n, "exit status 3"
		look(noon.Add(time.Duration(n) * 10 * time.Second))
	}
	p.reports[0].Rest = fleet.Leaving
	look(noon)
	count := map[string]int{}
	for _, typ := range types(t, k) {
		count[typ]++
	}
	// 400 s of crashing: the first three, and one after five minutes
	if count["instances.scaled"] != 1 || count["instance.restarted"] != 4 || count["unit.left"] != 1 || len(count) != 3 {
		t.Errorf("recorded %v", count)
	}
}
