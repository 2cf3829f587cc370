package postgres

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
	"github.com/ringfence/ringfence/internal/schema"
)

// caller is a program in deployment mode: each request is one transaction, on a version that it understands and that is live.
type caller struct {
	pool  *pgxpool.Pool
	enter string
	on    sync.Map // versions that requests were answered on
}

func newCaller(t *testing.T, address, versions string) *caller {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 4
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // what a name means changes between two uses
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &caller{pool: pool, enter: "SELECT ringfence_schema.enter(" + versions + ")"}
}

// ServeHTTP adds a person, whichever version it is given.
func (c *caller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := pgx.BeginFunc(r.Context(), c.pool, func(tx pgx.Tx) error {
		var version string
		if err := tx.QueryRow(r.Context(), c.enter).Scan(&version); err != nil {
			return err
		}
		c.on.Store(version, true)
		insert := "INSERT INTO people (name, age) VALUES ('Ann Lee', '33')"
		if version == "public_02" {
			insert = "INSERT INTO people (first_name, last_name, age) VALUES ('Ann', 'Lee', 33)"
		}
		_, err := tx.Exec(r.Context(), insert)
		return err
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (c *caller) was(version string) bool { _, ok := c.on.Load(version); return ok }

// behindGateway starts programs as the instances of one version, with a gateway before them.
func behindGateway(t *testing.T, callers ...*caller) *httptest.Server {
	g := gateway.New(gateway.Options{})
	route := fleet.Service{Name: "shop", Generation: 1, Salt: "s", Rings: []fleet.Ring{{Name: "all"}}, Exposure: []string{"v1"}, Slots: []fleet.Slot{{Version: "v1"}}}
	if err := g.Apply(t.Context(), []fleet.Service{route}); err != nil {
		t.Fatal(err)
	}
	var instances []fleet.Endpoint
	for i, c := range callers {
		s := httptest.NewServer(c)
		t.Cleanup(s.Close)
		instances = append(instances, fleet.Endpoint{Service: "shop", Version: "v1", ID: "shop/v1/" + strconv.Itoa(i), Address: s.Listener.Addr().String()})
	}
	g.SetEndpoints("shop", "v1", instances)
	front := httptest.NewServer(g.Handler())
	t.Cleanup(front.Close)
	return front
}

// Programs that take a version for each call are served through expand and contract, without being started anew: requests are held for
// a moment and none is lost.
func TestCallsAreHeldNotLost(t *testing.T) {
	address := newDatabase(t)
	setup := connect(t, address, "")
	setup.exec(people)
	setup.close()
	e, d := openEngine(t, address, schema.Options{})
	must[schema.Record](t)(e.Start(t.Context(), migration(t, "01", "")))
	must[schema.Record](t)(e.Complete(t.Context(), "01", schema.Consent{Baked: true, AllowUnknown: true}))

	eager, late := newCaller(t, address, "'public_02', 'public_01'"), newCaller(t, address, "'public_01', 'public_02'")
	front := behindGateway(t, eager, late)
	ctx, stop := context.WithCancel(t.Context())
	var users sync.WaitGroup
	var served, lost, longest atomic.Int64
	var why sync.Once
	for range 6 {
		users.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				resp, err := http.Post(front.URL, "text/plain", http.NoBody) //nolint:noctx // one that has begun is to end
				if err == nil {
					var body []byte
					if body, err = io.ReadAll(resp.Body); err == nil && resp.StatusCode != http.StatusOK {
						err = fmt.Errorf("%s: %s", resp.Status, body)
					}
					_ = resp.Body.Close()
				}
				if took := int64(time.Since(began)); took > longest.Load() {
					longest.Store(took)
				}
				if err != nil {
					lost.Add(1)
					why.Do(func() { t.Error(err) })
				}
				served.Add(1)
			}
		})
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(); <-time.After(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s did not come about", what)
			}
		}
	}
	more := func(n int64) {
		t.Helper()
		from := served.Load()
		until("traffic", func() bool { return served.Load() > from+n })
	}
	more(50)
	must[schema.Record](t)(e.Start(t.Context(), migration(t, "02", splitPeople)))
	until("a call on the new version", func() bool { return eager.was("public_02") })
	more(50)
	if late.was("public_02") {
		t.Error("who would rather have the old version got the new one while both were live")
	}
	must[schema.Record](t)(e.Complete(t.Context(), "02", schema.Consent{Baked: true})) // no session is unknown
	until("a call on the version that stays", func() bool { return late.was("public_02") })
	more(50)
	sessions := must[[]schema.Session](t)(d.Sessions(t.Context()))
	stop()
	users.Wait()
	for _, s := range sessions {
		if s.How != "call" || len(s.Calls) != 1 || s.Calls[0] != "public_02" {
			t.Errorf("%+v", s)
		}
	}
	if lost.Load() > 0 || len(sessions) == 0 {
		t.Errorf("%d of %d requests lost, %d sessions", lost.Load(), served.Load(), len(sessions))
	}
	t.Logf("%d requests, none lost, the longest took %s", served.Load(), time.Duration(longest.Load()).Round(time.Millisecond))
	p := connect(t, address, "public_02")
	p.want("SELECT count(*) - 1000 FROM people", fmt.Sprint(served.Load()))
	p.want("SELECT count(*) FROM people WHERE first_name IS NULL OR age IS NULL", "0")
}

// Readers come first: in the middle of a call the contract is not waited for by anybody, until it insists; and a program that only
// understands what goes is in the way.
func TestReadersFirst(t *testing.T) {
	address, e, d := started(t, schema.Options{Wait: 100 * time.Millisecond})
	p := connect(t, address, "")
	p.exec("BEGIN; SELECT ringfence_schema.enter('public_01', 'public_02')")
	if _, err := e.Complete(t.Context(), "02", schema.Consent{Baked: true}); err == nil {
		t.Fatal("completed in the middle of a call")
	}
	lease := must[schema.Lease](t)(d.Lease(t.Context()))
	defer lease.Close()
	other := connect(t, address, "")
	other.exec("SELECT ringfence_schema.enter('public_01', 'public_02')") // is not held: nobody waits before it
	other.exec("SELECT ringfence_schema.enter('public_02', 'public_01')") // another list takes the place of the first
	p.exec("COMMIT")
	lease.Close()
	only := connect(t, address, "")
	only.exec("SELECT ringfence_schema.enter('public_01')")
	if _, err := e.Complete(t.Context(), "02", schema.Consent{Baked: true, AllowUnknown: true}); err == nil {
		t.Fatal("completed though a program understands only what goes")
	}
	only.close()
	if err := p.try("SELECT ringfence_schema.enter('public_07')"); err == nil {
		t.Error("a version that is not live")
	}
	for deadline := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) {
		_, err := e.Complete(t.Context(), "02", schema.Consent{Baked: true})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	p.want("SELECT ringfence_schema.enter('public_01', 'public_02')", "public_02")
}
