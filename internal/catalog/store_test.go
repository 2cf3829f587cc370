package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
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

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// memory is a store that keeps the promises of package store in memory.
type memory struct {
	mu      sync.Mutex
	docs    map[[2]string]store.Doc
	events  []audit.Event
	commits int
	before  func() // called once before the next commit, to let another writer be faster
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
	p, err := p.Check()
	if err != nil {
		return nil, err
	}
	var docs []store.Doc
	for _, d := range m.docs {
		if d.Kind == p.Kind && strings.HasPrefix(d.Name, p.Prefix) && d.Name > p.After {
			docs = append(docs, d)
		}
	}
	slices.SortFunc(docs, func(a, b store.Doc) int { return strings.Compare(a.Name, b.Name) })
	return docs[:min(len(docs), p.Limit)], nil
}

func (m *memory) Commit(_ context.Context, w store.Write) ([]audit.Event, error) {
	m.mu.Lock()
	hook := m.before
	m.before = nil
	m.mu.Unlock()
	if hook != nil {
		hook()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := w.Check(); err != nil {
		return nil, err
	}
	for _, d := range slices.Concat(w.Puts, w.Deletes) {
		if m.docs[[2]string{d.Kind, d.Name}].Rev != d.Rev {
			return nil, errs.E(errs.Conflict, "%s %s has changed", d.Kind, d.Name)
		}
	}
	for _, d := range w.Puts {
		d.Rev++
		m.docs[[2]string{d.Kind, d.Name}] = d
	}
	for _, d := range w.Deletes {
		delete(m.docs, [2]string{d.Kind, d.Name})
	}
	m.events = append(m.events, w.Events...)
	m.commits++
	return w.Events, nil
}

// blobs keeps artifacts in memory.
type blobs map[string][]byte

func (b blobs) Put(_ context.Context, r io.Reader, limit int64) (string, int64, error) {
	all, err := io.ReadAll(io.LimitReader(r, limit))
	sum := sha256.Sum256(all)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	b[digest] = all
	return digest, int64(len(all)), err
}

func (b blobs) Open(_ context.Context, digest string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b[digest])), nil
}

func (b blobs) Size(_ context.Context, digest string) (int64, error) {
	all, ok := b[digest]
	if !ok {
		return 0, errs.E(errs.Missing, "no %s", digest)
	}
	return int64(len(all)), nil
}

func newCatalog() (*Catalog, *memory) {
	m := newMemory()
	return &Catalog{Store: m, Blobs: blobs{}}, m
}

func make1(kind, name, spec string) resource.Resource {
	return resource.Resource{APIVersion: resource.APIVersion, Kind: kind, Metadata: resource.Metadata{Name: name}, Spec: json.RawMessage(spec)}
}

func service(name, plan string) resource.Resource {
	return make1("Service", name, `{"plan":"`+plan+`","run":{"command":["{artifact}","--listen","{address}"]},"route":{"host":"`+name+`.localhost"}}`)
}

func segment(name, spec string) resource.Resource { return make1("Segment", name, spec) }

func standard() resource.Resource {
	return make1("RingPlan", "standard", `{"rings":[
		{"name":"canary","audience":{"segment":"employees"},"bake":"30m"},
		{"name":"early","audience":{"percent":5}},
		{"name":"all"}]}`)
}

func shop() []resource.Resource {
	return []resource.Resource{service("shop", "standard"), standard(), segment("employees", `{"audience":{"users":["ann","bob"]}}`)}
}

func apply(t *testing.T, c *Catalog, set ...resource.Resource) Result {
	t.Helper()
	res, err := c.Apply(t.Context(), "user:ann", t0, set, false)
	if err != nil {
		t.Fatal(err)
	}
	return res
}
