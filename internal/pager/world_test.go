package pager_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// memory is a store, and the catalog over it, with the promises of the real ones.
type memory struct {
	mu     sync.Mutex
	docs   map[[2]string]store.Doc
	events []audit.Event
	before func(store.Write) error
}

func newMemory() *memory { return &memory{docs: map[[2]string]store.Doc{}} }

func (m *memory) Get(_ context.Context, kind, name string) (store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.docs[[2]string{kind, name}]
	if !ok {
		return d, errs.E(errs.Missing, "no %s %s", kind, name)
	}
	return d, nil
}

func (m *memory) List(_ context.Context, p store.Page) ([]store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []store.Doc
	for _, d := range m.docs {
		if d.Kind == p.Kind && d.Name > p.After {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b store.Doc) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (m *memory) Commit(_ context.Context, w store.Write) ([]audit.Event, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	if m.before != nil {
		if err := m.before(w); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range slices.Concat(w.Puts, w.Deletes) {
		if m.docs[[2]string{d.Kind, d.Name}].Rev != d.Rev {
			return nil, errs.E(errs.Conflict, "%s %s is at another revision", d.Kind, d.Name)
		}
	}
	for _, d := range w.Puts {
		d.Rev++
		m.docs[[2]string{d.Kind, d.Name}] = d
	}
	for _, d := range w.Deletes {
		delete(m.docs, [2]string{d.Kind, d.Name})
	}
	var sealed []audit.Event
	for _, e := range w.Events {
		seq, prev := int64(0), audit.Genesis
		if n := len(m.events); n > 0 {
			seq, prev = m.events[n-1].Seq, m.events[n-1].Hash
		}
		e = audit.Seal(seq, prev, e)
		m.events, sealed = append(m.events, e), append(sealed, e)
	}
	return sealed, nil
}

func (m *memory) Events(_ context.Context, q store.EventQuery) ([]audit.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []audit.Event
	for _, e := range m.events {
		if e.Seq > q.After && strings.HasPrefix(e.Type, q.Type) && (q.Subject == "" || q.Subject == e.Subject) && (q.Limit == 0 || len(all) < q.Limit) {
			all = append(all, e)
		}
	}
	return all, nil
}

// types are the events so far.
func (m *memory) types() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, e := range m.events {
		all = append(all, e.Type)
	}
	return all
}

// declared is the memory as a catalog.
type declared struct{ *memory }

func (c declared) Get(ctx context.Context, kind, name string) (resource.Resource, error) {
	d, err := c.memory.Get(ctx, kind, name)
	if err != nil {
		return resource.Resource{}, err
	}
	return resource.Resource{APIVersion: resource.APIVersion, Kind: kind, Metadata: resource.Metadata{Name: name}, Spec: d.Body}, nil
}

func (c declared) List(ctx context.Context, kind, after string, _ int) ([]resource.Resource, error) {
	docs, err := c.memory.List(ctx, store.Page{Kind: kind, After: after})
	var all []resource.Resource
	for _, d := range docs {
		all = append(all, resource.Resource{APIVersion: resource.APIVersion, Kind: kind, Metadata: resource.Metadata{Name: d.Name}, Spec: d.Body})
	}
	return all, err
}

// declare puts a resource.
func (m *memory) declare(t *testing.T, kind, name string, spec any) {
	t.Helper()
	body, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.docs[[2]string{kind, name}] = store.Doc{Kind: kind, Name: name, Rev: 1, Body: body}
}

var start = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
