package serving_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/serving"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// world is a store with what is declared and what is exposed.
type world struct {
	t     *testing.T
	store *sqlite.Store
	revs  map[string]int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &world{t: t, store: s, revs: map[string]int64{}}
}

func (w *world) put(kind, name string, body any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	key := kind + "/" + name
	if _, err := w.store.Commit(context.Background(), store.Write{Puts: []store.Doc{{Kind: kind, Name: name, Rev: w.revs[key], Body: raw}}}); err != nil {
		w.t.Fatal(err)
	}
	w.revs[key]++
}

// declare puts a set and moves the head, as the catalog does.
func (w *world) declare(name, spec string) {
	w.t.Helper()
	w.put(resource.KindFlagSet, name, resource.Resource{APIVersion: resource.APIVersion, Kind: resource.KindFlagSet, Metadata: resource.Metadata{Name: name}, Spec: json.RawMessage(spec)})
	w.put("Catalog", "head", w.revs["Catalog/head"])
}

func (w *world) expose(generation int64, exposure []string, ramp *fleet.Ramp) {
	w.t.Helper()
	w.put("Desired", flag.Unit+"/flag:shop:new", fleet.Service{Name: "flag:shop:new", Generation: generation, Salt: "plan", Exposure: exposure, Ramp: ramp,
		Rings: []fleet.Ring{{Name: "canary", Audience: json.RawMessage(`{"in":[{"var":"targetingKey"},["ann","bob"]]}`)}, {Name: "all"}}})
}

func (w *world) engine(e serving.Experiments) *serving.Engine {
	return serving.New(serving.Options{Store: w.store, Experiments: e, Desired: "Desired", HeadKind: "Catalog", HeadName: "head"})
}

const shop = `{"flags":{"new":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","preview":{"title":"New","variant":"on"},"environments":{"staging":{"defaultVariant":"on"}}}}}`

func variant(t *testing.T, e *serving.Engine, env, user string) string {
	t.Helper()
	s, err := e.Current(env)
	if err != nil {
		t.Fatal(err)
	}
	return s.All().Evaluate("new", &exposure.Context{TargetingKey: user}).Variant
}

func refresh(t *testing.T, e *serving.Engine) {
	t.Helper()
	if err := e.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, e *serving.Engine, env string, by map[string]string) {
	t.Helper()
	for user, want := range by {
		if got := variant(t, e, env, user); got != want {
			t.Errorf("%s in %s: %q, want %q", user, env, got, want)
		}
	}
}

func TestWhatIsServed(t *testing.T) {
	w := newWorld(t)
	w.declare("shop", shop)
	e := w.engine(nil)
	want(t, e, "", map[string]string{"ann": "off", "zoe": "off"})
	want(t, e, "staging", map[string]string{"ann": "on"})

	w.expose(3, []string{"on", "off"}, &fleet.Ramp{Ring: -1, From: "off", To: "on"})
	refresh(t, e)
	want(t, e, "production", map[string]string{"ann": "on", "zoe": "off"})
	want(t, e, "staging", map[string]string{"zoe": "on"})
	if s := e.InForce("flag:shop:new"); s.Generation != 3 || len(s.Slots) == 0 {
		t.Errorf("in force: %+v", s)
	}
	if s := e.InForce("flag:shop:other"); s.Generation != 0 {
		t.Errorf("in force: %+v", s)
	}

	w.put(serving.KindChoices, "flag:shop:new", flag.Choices{In: []string{"zoe"}, Out: []string{"ann"}})
	refresh(t, e)
	want(t, e, "", map[string]string{"ann": "off", "bob": "on", "zoe": "on", "max": "off"})

	w.expose(4, []string{"off", "off"}, nil)
	refresh(t, e)
	want(t, e, "", map[string]string{"bob": "off", "zoe": "on"})
}

// In trial, a part of the ring goes without; nobody loses the variant when the trial is over.
func TestTrial(t *testing.T) {
	w := newWorld(t)
	w.declare("shop", shop)
	e := w.engine(nil)
	w.expose(1, []string{"on", "on"}, &fleet.Ramp{Ring: 1, From: "off", To: "on", Control: 50, Salt: "trial"})
	refresh(t, e)
	want(t, e, "", map[string]string{"ann": "on", "bob": "on"})
	had, without := []string{}, 0
	for i := range 1000 {
		if user := fmt.Sprint("user-", i); variant(t, e, "", user) == "on" {
			had = append(had, user)
		} else {
			without++
		}
	}
	if without < 420 || without > 580 {
		t.Errorf("%d of 1000 go without, want about half", without)
	}
	w.expose(2, []string{"on", "on"}, &fleet.Ramp{Ring: -1, From: "off", To: "on"})
	refresh(t, e)
	for _, user := range had {
		if variant(t, e, "", user) != "on" {
			t.Fatalf("%s lost it", user)
		}
	}
}

// A set that cannot be served stays as it was, and costs no other.
func TestABadSetCostsNoOther(t *testing.T) {
	w := newWorld(t)
	w.declare("shop", shop)
	w.declare("other", `{"flags":{"o":{"state":"ENABLED","variants":{"x":"1"},"defaultVariant":"x"}}}`)
	e := w.engine(nil)
	want(t, e, "", map[string]string{"ann": "off"})
	w.declare("shop", `"nonsense"`)
	w.declare("other", `{"flags":{"o":{"state":"ENABLED","variants":{"x":"1","y":"2"},"defaultVariant":"y"}}}`)
	refresh(t, e)
	want(t, e, "", map[string]string{"ann": "off"})
	s, err := e.Current("")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.All().Evaluate("o", &exposure.Context{}).Variant; got != "y" {
		t.Errorf("the other set gives %q", got)
	}
}

type running map[string]flag.Assignment

func (r running) Assignments(context.Context) (map[string]flag.Assignment, string, error) {
	return r, fmt.Sprint(len(r)), nil
}

func TestExperiments(t *testing.T) {
	w := newWorld(t)
	w.declare("shop", shop)
	r := running{}
	e := w.engine(r)
	want(t, e, "", map[string]string{"ann": "off"})
	r["flag:shop:new"] = flag.Assignment{Experiment: "x", Salt: "x/1", Share: 100, Variants: []flag.Weight{{Variant: "off", Weight: 0}, {Variant: "on", Weight: 1}}}
	refresh(t, e)
	want(t, e, "", map[string]string{"ann": "on"})
}

// Who waits is told of a change, and of nothing else.
func TestAwait(t *testing.T) {
	w := newWorld(t)
	w.declare("shop", shop)
	e := w.engine(nil)
	first, err := e.Await(t.Context(), "", "", 0)
	if err != nil || first.Version == "" || len(first.Sets) != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := e.Await(t.Context(), "", first.Version, 0); err != nil || again.Version != first.Version {
		t.Fatalf("%+v, %v", again, err)
	}
	changed, stop := e.Watch("")
	defer stop()
	got := make(chan flag.Feed, 1)
	go func() {
		feed, err := e.Await(context.Background(), "", first.Version, time.Minute)
		if err == nil {
			got <- feed
		}
	}()
	refresh(t, e) // nothing has changed
	select {
	case <-changed:
		t.Fatal("told of no change")
	default:
	}
	w.expose(1, []string{"on", "on"}, nil)
	refresh(t, e)
	feed, ok := <-got
	if !ok || feed.Version == first.Version || len(feed.Ramps) != 1 {
		t.Fatalf("%+v", feed)
	}
	<-changed
	snapshot, faults := feed.Snapshot()
	if len(faults) > 0 || snapshot.All().Evaluate("new", &exposure.Context{TargetingKey: "zoe"}).Variant != "on" {
		t.Errorf("the feed says something else: %v", faults)
	}
}

// What other processes write is found by looking.
func TestRunLooks(t *testing.T) {
	w := newWorld(t)
	w.declare("shop", shop)
	docs := map[string][]store.Doc{}
	for _, kind := range []string{resource.KindFlagSet, "Catalog"} {
		list, err := w.store.List(t.Context(), store.Page{Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		docs[kind] = list
	}
	synctest.Test(t, func(t *testing.T) {
		m := &memory{docs: docs}
		e := serving.New(serving.Options{Store: m, Desired: "Desired", HeadKind: "Catalog", HeadName: "head"})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = e.Run(ctx) }()
		synctest.Wait()
		want(t, e, "", map[string]string{"zoe": "off"})
		raw, err := json.Marshal(flag.Choices{In: []string{"zoe"}})
		if err != nil {
			t.Fatal(err)
		}
		m.put(store.Doc{Kind: serving.KindChoices, Name: "flag:shop:new", Rev: 1, Body: raw})
		time.Sleep(3 * time.Second) // of the bubble
		synctest.Wait()
		want(t, e, "", map[string]string{"zoe": "on"})
	})
}

var errMissing = errs.E(errs.Missing, "there is none")

// memory is a store of documents by kind.
type memory struct {
	mu   sync.Mutex
	docs map[string][]store.Doc
}

func (m *memory) put(d store.Doc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.docs[d.Kind] = append(m.docs[d.Kind], d)
}

func (m *memory) Get(_ context.Context, kind, name string) (store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.docs[kind] {
		if d.Name == name {
			return d, nil
		}
	}
	return store.Doc{}, errMissing
}

func (m *memory) List(_ context.Context, p store.Page) ([]store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []store.Doc
	for _, d := range m.docs[p.Kind] {
		if d.Name > p.After && len(d.Name) >= len(p.Prefix) && d.Name[:len(p.Prefix)] == p.Prefix {
			list = append(list, d)
		}
	}
	return list, nil
}

// Who asks for many names keeps nobody from what is served, and who waits for a change hears of it.
func TestManyEnvironments(t *testing.T) {
	w := newWorld(t)
	w.declare("shop", shop)
	e := w.engine(nil)
	changed, stop := e.Watch("production")
	defer stop()
	for i := range 300 {
		if _, err := e.Current(fmt.Sprintf("made-up-%d", i)); err != nil {
			t.Fatalf("name %d: %v", i, err)
		}
	}
	if got := variant(t, e, "staging", "zoe"); got != "on" {
		t.Errorf("in staging: %s", got)
	}
	w.expose(1, []string{"on", "on"}, nil)
	refresh(t, e)
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Error("who waited did not hear of a change")
	}
}
