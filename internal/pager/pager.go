package pager

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Actor is who acts when nobody asked for it.
const Actor = "system:pager"

// The kinds of documents that are kept.
const (
	KindAlert   = "Alert"
	KindGroup   = "AlertGroup"
	KindSilence = "AlertSilence"
)

// Store keeps alerts and the record. Errors: errs.Missing from Get, errs.Conflict from Commit when another was faster.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
}

// Catalog holds what is declared: services, routes, notifiers.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
}

// Pages takes pages further. It is called at least once for every change of a page, from one goroutine, until it
// answers nil.
type Pages interface {
	Page(ctx context.Context, p alert.Page) error
}

// Options configure a pager.
type Options struct {
	Store    Store
	Catalog  Catalog
	Sender   Sender
	Pages    Pages    // nil: nobody
	Calendar Calendar // nil: no time is ever now
	Logger   *slog.Logger
	Now      func() time.Time // default time.Now
	Process  string           // name of this process, for those who read claims; default random
	Every    time.Duration    // between two looks at what is to be told; default 1s
	Link     string           // address of the pages; empty: messages have no links
}

// Pager keeps alerts and tells of them.
type Pager struct {
	Options
	mu   sync.Mutex
	book map[string]kept // by ID; nil: not read yet
	wake chan struct{}

	known struct { // what is declared
		at time.Time
		plan
	}
	telling map[string]bool  // groups that this process tells of now
	foreign map[string]sight // claims of others
	errand  sync.WaitGroup
	seen    seen
	told    map[string]bool // notifiers of which it was told that they take nothing
	slots   chan struct{}
	paging  sync.Mutex // Pages is called from one at a time
}

// kept is an alert as it stands in the store.
type kept struct {
	alert.Record
	rev int64
}

// New makes a pager; Run starts it. Send may be called before.
func New(o Options) *Pager {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Process == "" {
		o.Process = rand.Text()
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	o.Link = strings.TrimSuffix(o.Link, "/")
	return &Pager{Options: o, wake: make(chan struct{}, 1), telling: map[string]bool{}, foreign: map[string]sight{}, told: map[string]bool{}, slots: make(chan struct{}, atOnce)}
}

func (p *Pager) now() time.Time { return p.Now().UTC().Truncate(time.Millisecond) }

// Run tells of alerts until ctx ends.
func (p *Pager) Run(ctx context.Context) error {
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	defer p.errand.Wait()
	for {
		if err := p.Look(ctx); err != nil && ctx.Err() == nil {
			p.Logger.Error("alerts cannot be looked at; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-p.wake:
		}
	}
}

// list reads all documents of a kind.
func list[T any](ctx context.Context, s Store, kind string, each func(store.Doc, T)) error {
	for after := ""; ; {
		docs, err := s.List(ctx, store.Page{Kind: kind, After: after})
		if err != nil || len(docs) == 0 {
			return err
		}
		for _, d := range docs {
			var v T
			if err := json.Unmarshal(d.Body, &v); err != nil {
				return errs.Wrap(errs.Internal, err, "%s %s is damaged", d.Kind, d.Name)
			}
			each(d, v)
		}
		after = docs[len(docs)-1].Name
	}
}

func put(kind, name string, rev int64, v any) (store.Doc, error) {
	body, err := json.Marshal(v)
	return store.Doc{Kind: kind, Name: name, Rev: rev, Body: body}, err
}
