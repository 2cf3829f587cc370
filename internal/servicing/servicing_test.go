package servicing

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/layer"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// base is a database that does what it is told, or fails in given ways.
type base struct {
	mu    sync.Mutex
	seen  layer.Seen
	fail  map[string]error // by what is asked
	after bool             // what fails was done all the same
	calls []string
}

func (b *base) did(what string, done func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, what)
	if err := b.fail[what]; err != nil && !b.after {
		return err
	}
	done()
	return b.fail[what]
}

func (b *base) Look(context.Context, string) (layer.Seen, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen, b.fail["look"]
}

func (b *base) Plan(_ context.Context, _ string, m ddl.Migration) (ddl.Plan, error) {
	if err := b.fail["plan"]; err != nil {
		return ddl.Plan{}, err
	}
	return ddl.Plan{Name: m.Name, Schema: "public", Version: "public_" + m.Name, Previous: "public_01"}, nil
}

func (b *base) Start(_ context.Context, _ string, m ddl.Migration, report func(string)) error {
	report("step 1 of 1")
	return b.did("start", func() {
		b.seen = layer.Seen{Schema: "public", Live: []string{"public_" + m.Name, "public_01"}, Migration: m.Name, Phase: layer.Started, Version: "public_" + m.Name, Previous: "public_01"}
	})
}

func (b *base) Complete(_ context.Context, _ string, s layer.Step) error {
	return b.did("complete", func() { b.seen.Live, b.seen.Phase = []string{s.Version}, layer.Completed })
}

func (b *base) Rollback(_ context.Context, _ string, s layer.Step) error {
	return b.did("rollback", func() { b.seen.Live, b.seen.Phase = []string{s.Previous}, layer.RolledBack })
}

type bench struct {
	*Engine
	db   *base
	uses []layer.Use
	db2  *sqlite.Store
}

func engine(t *testing.T) *bench {
	db, err := sqlite.Open(t.Context(), t.TempDir()+"/ringfence.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	x := &bench{db: &base{seen: layer.Seen{Schema: "public", Live: []string{"public_01"}}, fail: map[string]error{}}, db2: db}
	x.Engine = New(Options{Store: db, Databases: x.db, Uses: func(context.Context) ([]layer.Use, error) { return x.uses, nil }, Logger: slog.New(slog.DiscardHandler),
		Read: func(file string, _ []byte) (ddl.Migration, error) {
			return ddl.Migration{Name: strings.TrimSuffix(file, ".yaml"), Digest: "d"}, nil
		}})
	if _, err := db.Commit(t.Context(), store.Write{Puts: []store.Doc{{Kind: resource.KindDatabase, Name: "shop", Body: []byte(`{}`)}}}); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *bench) events(t *testing.T) (types []string) {
	all, err := x.db2.Events(t.Context(), store.EventQuery{Subject: "database/shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		types = append(types, e.Type)
	}
	return types
}

func (x *bench) visited(t *testing.T) View {
	t.Helper()
	_ = x.visit(t.Context(), "shop")
	v, err := x.Show(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAStepIsRecordedThenDone(t *testing.T) {
	x := engine(t)
	ctx := t.Context()
	if _, err := x.Start(ctx, "ann", "shop", "02.yaml", "operations: []", Order{}); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("before the first look: %v", err)
	}
	x.visited(t)
	for range 2 { // the second is a retry
		if v, err := x.Start(ctx, "ann", "shop", "02.yaml", "operations: []", Order{}); err != nil || v.Step.Phase != layer.Starting {
			t.Fatal(v, err)
		}
	}
	if v := x.visited(t); v.Step.Phase != layer.Started || !slices.Equal(v.Live, []string{"public_02", "public_01"}) {
		t.Fatalf("%+v", v)
	}
	if v := x.visited(t); v.Step.Phase != layer.Started || len(x.db.calls) != 1 {
		t.Fatalf("a look does something: %v", x.db.calls)
	}
	if _, err := x.Complete(ctx, "ann", "shop", Order{Name: "02", Baked: true}); !errs.Is(err, errs.Invalid) {
		t.Fatalf("vouched for without a reason: %v", err)
	}
	x.uses = []layer.Use{{Service: "shop", Version: "v1~public_01", Database: "shop", Schema: "public_01", Role: "stable"}}
	if _, err := x.Complete(ctx, "ann", "shop", Order{Name: "02", Baked: true, Why: "x"}); !errs.Is(err, errs.Conflict) {
		t.Fatalf("needed: %v", err)
	}
	x.uses[0].Schema = "public_02"
	for range 2 {
		if _, err := x.Complete(ctx, "ann", "shop", Order{Name: "02"}); err != nil {
			t.Fatal(err)
		}
	}
	if v := x.visited(t); v.Step != nil || v.Last.Phase != layer.Completed {
		t.Fatalf("%+v", v.Step)
	}
	if _, err := x.Complete(ctx, "ann", "shop", Order{Name: "02"}); err != nil {
		t.Errorf("a retry of what is done: %v", err)
	}
	if got, want := x.events(t), []string{evSeen, evStarting, evStarted, evCompleting, evCompleted}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What the database refuses is as before; of what could not be done it is not known, so it is tried until it is.
func TestRefusedAndNotDone(t *testing.T) {
	x := engine(t)
	ctx := t.Context()
	x.visited(t)
	x.db.fail["start"] = errs.E(errs.Invalid, "a row is not a number")
	if _, err := x.Start(ctx, "ann", "shop", "02.yaml", "operations: []", Order{}); err != nil {
		t.Fatal(err)
	}
	if v := x.visited(t); v.Step.Phase != layer.Starting || !strings.Contains(v.Step.Error, "not a number") {
		t.Fatalf("%+v", v.Step)
	}
	if x.visited(t); len(x.db.calls) != 1 {
		t.Fatalf("what failed is done again unasked: %v", x.db.calls)
	}
	delete(x.db.fail, "start")
	if _, err := x.Start(ctx, "ann", "shop", "02.yaml", "operations: []", Order{}); err != nil {
		t.Fatal(err)
	}
	if v := x.visited(t); v.Step.Phase != layer.Started || v.Step.Error != "" {
		t.Fatalf("%+v", v.Step)
	}
	x.db.fail["rollback"] = errs.E(errs.Conflict, "1 sessions use it")
	if _, err := x.Return(ctx, "ann", "shop", Order{Name: "02"}); err != nil {
		t.Fatal(err)
	}
	if v := x.visited(t); v.Step.Phase != layer.Started || v.Step.Error == "" || !v.Offers("public_02") {
		t.Fatalf("refused: %+v", v.Step)
	}
	x.db.fail["complete"], x.db.fail["look"] = errs.E(errs.Unavailable, "connection lost"), nil
	x.uses = []layer.Use{{Service: "shop", Version: "v2", Database: "shop", Schema: "public_02", Role: "stable"}}
	if _, err := x.Complete(ctx, "ann", "shop", Order{Name: "02"}); err != nil {
		t.Fatal(err)
	}
	if v := x.visited(t); v.Step.Phase != layer.Completing || v.Offers("public_01") {
		t.Fatalf("not known whether it was done: %+v", v.Step)
	}
	x.db.after = true
	if v := x.visited(t); v.Step != nil || v.Last.Phase != layer.Completed {
		t.Fatalf("it was done, though the answer was lost: %+v", v.Step)
	}
	if got := x.events(t); !slices.Contains(got, evRefused) || got[len(got)-1] != evCompleted {
		t.Error(got)
	}
}

func TestADatabaseThatCannotBeLookedAt(t *testing.T) {
	x := engine(t)
	x.db.fail["look"] = errs.E(errs.Unavailable, "connect to PostgreSQL")
	if err := x.visit(t.Context(), "shop"); !errs.Is(err, errs.Unavailable) {
		t.Fatal(err)
	}
	delete(x.db.fail, "look")
	x.visited(t)
	x.db.fail["look"] = errs.E(errs.Unavailable, "connect to PostgreSQL")
	if v := x.visited(t); v.Trouble == "" || !slices.Equal(v.Live, []string{"public_01"}) {
		t.Errorf("what was known is forgotten: %+v", v.State)
	}
	if _, err := x.Show(t.Context(), "none"); !errs.Is(err, errs.Missing) {
		t.Error(err)
	}
}

// Run does what was asked for, and ends when it is told to.
func TestRun(t *testing.T) {
	x := engine(t)
	x.Every = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	within := func(ok func(View) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; {
			if v, err := x.Show(t.Context(), "shop"); err == nil && ok(v) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("it did not come about")
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	within(func(v View) bool { return len(v.Live) == 1 })
	if _, err := x.Start(ctx, "ann", "shop", "02.yaml", "operations: []", Order{}); err != nil {
		t.Fatal(err)
	}
	within(func(v View) bool { return v.Step != nil && v.Step.Phase == layer.Started })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
