package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/link"
	"github.com/ringfence/ringfence/internal/serving"
	"github.com/ringfence/ringfence/internal/store"
)

// shelf has documents, and takes none.
type shelf []store.Doc

func (s shelf) Get(context.Context, string, string) (store.Doc, error) {
	return store.Doc{}, errs.E(errs.Missing, "there is none")
}

func (s shelf) List(_ context.Context, p store.Page) ([]store.Doc, error) {
	var found []store.Doc
	for _, d := range s {
		if d.Kind == p.Kind && d.Name > p.After {
			found = append(found, d)
		}
	}
	return found, nil
}

func (s shelf) Commit(context.Context, store.Write) ([]audit.Event, error) { return nil, nil }

// An exposure is in force when it is here and in every data plane that serves flags of its environment and is heard of.
func TestExposuresAreInForceEverywhere(t *testing.T) {
	const name = "flag:web:banner"
	body, err := json.Marshal(fleet.Service{Name: name, Generation: 4, Rings: []fleet.Ring{{Name: "all"}}, Exposure: []string{"off"},
		Ramp: &fleet.Ramp{Counts: "shop", Ring: -1, From: "off", To: "on"}})
	if err != nil {
		t.Fatal(err)
	}
	told := func(generation int64) []fleet.ServiceStatus {
		return []fleet.ServiceStatus{{Name: "shop", Generation: 9}, {Name: name, Generation: generation, Users: []fleet.UserCount{{Ring: "all", Version: "on", Users: 3}}}, {Name: flag.Mark("production")}}
	}
	for _, c := range []struct {
		what  string
		units [][]fleet.ServiceStatus
		later time.Duration
		want  int64
		users int
	}{
		{what: "no data plane", want: 4},
		{what: "both have it", units: [][]fleet.ServiceStatus{told(4), told(4)}, want: 4, users: 2},
		{what: "one has the one before", units: [][]fleet.ServiceStatus{told(4), told(3)}, want: 3, users: 2},
		{what: "one is ahead", units: [][]fleet.ServiceStatus{told(5)}, want: 4, users: 1},
		{what: "one cannot save it", units: [][]fleet.ServiceStatus{told(4), told(0)}, want: 0, users: 2},
		{what: "one has not heard of it", units: [][]fleet.ServiceStatus{told(4), {{Name: flag.Mark("production")}}}, want: 0, users: 1},
		{what: "one serves another environment", units: [][]fleet.ServiceStatus{told(4), {{Name: flag.Mark("staging")}}}, want: 4, users: 1},
		{what: "one serves no flags", units: [][]fleet.ServiceStatus{told(4), {{Name: "shop", Generation: 9}}}, want: 4, users: 1},
		{what: "one has gone away", units: [][]fleet.ServiceStatus{told(3)}, later: ackAge + time.Second, want: 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := shelf{{Kind: "Desired", Name: flag.Unit + "/" + name, Rev: 1, Body: body}}
			engine := serving.New(serving.Options{Store: s, Desired: "Desired", HeadKind: "Catalog", HeadName: "head", Logger: slog.New(slog.DiscardHandler)})
			e := everywhere{link.NewHub(s, "Desired", func() {}), engine, newTold(counting{}, nil, engine)}
			for i, services := range c.units {
				if err := e.Report(t.Context(), fleet.Observed{Unit: string(rune('a' + i)), Services: services}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(c.later)
			got, at := e.Observe(flag.Unit, name)
			if got.Generation != c.want || len(got.Users) != c.users || !at.Equal(time.Now()) {
				t.Errorf("%s: generation %d, %d counts of users; want %d, %d", c.what, got.Generation, len(got.Users), c.want, c.users)
			}
			if !slices.ContainsFunc(got.Slots, func(s fleet.SlotStatus) bool { return s.Version == "on" && s.Ready > 0 }) {
				t.Errorf("%s: the variant cannot be served: %+v", c.what, got.Slots)
			}
		})
	}
}
