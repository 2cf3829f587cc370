package objective

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
	"github.com/ringfence/ringfence/internal/store"
)

// Metrics answer PromQL expressions that give one number: at from, from+step and so on up to to, NaN where there is none.
type Metrics interface {
	Values(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]float64, error)
}

// Store keeps documents and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Catalog holds what is declared.
type Catalog interface {
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
}

// Alerts takes alerts.
type Alerts interface {
	Send(ctx context.Context, alerts []alert.Alert) error
}

// The kinds of documents that the engine owns.
const (
	KindState     = "SLOState"  // by objective
	KindBook      = "SLOBook"   // by objective/page
	KindRestraint = "Restraint" // by service: what low budgets ask of its changes
)

// Options configure an engine.
type Options struct {
	Store     Store
	Metrics   Metrics
	Catalog   Catalog
	Alerts    Alerts // nil: nobody is told
	HeadKind  string // the document that every change of what is declared replaces
	HeadName  string
	URL       func(path string) string // address of a page, for alerts; nil: none
	Logger    *slog.Logger
	Every     time.Duration // between steps; default 15s
	Retention time.Duration // of the metrics; default 15 days
	Now       func() time.Time
}

// Engine watches objectives. Its methods may be called at the same time.
type Engine struct {
	Options
	wake chan struct{}

	stepping sync.Mutex // one step at a time; holds what follows
	rev      int64      // of the head, when what is declared was read last
	began    bool
	watched  map[string]*watch // by objective
	policies []policy
	pages    map[string]int64 // revisions of stored pages, by name
	sending  outbox

	mu       sync.Mutex // holds what is asked for
	statuses []Status
	compiled map[string]*slo.Objective
	books    map[string][]slo.Book
	restrain map[string]Restraint
	known    atomic.Int64 // revision of what is declared, as far as it was looked at
}

// New makes an engine; Run starts it.
func New(o Options) *Engine {
	if o.Every == 0 {
		o.Every = 15 * time.Second
	}
	if o.Retention == 0 {
		o.Retention = 15 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Engine{Options: o, wake: make(chan struct{}, 1), rev: -1, watched: map[string]*watch{}, pages: map[string]int64{}}
}

// Run takes a step at each interval, and sooner when woken, until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(e.Every)
	defer tick.Stop()
	for {
		if err := e.Step(ctx, e.Now().UTC()); err != nil && ctx.Err() == nil {
			e.Logger.Error("SLOs could not be looked at; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-e.wake:
		}
	}
}

// Wake asks for a step soon; it never blocks.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Declared are the objectives that are declared, as they were read last.
func (e *Engine) Declared(ctx context.Context) ([]slo.Objective, error) {
	if err := e.fresh(ctx); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []slo.Objective
	for _, s := range e.statuses {
		all = append(all, *e.compiled[s.Objective])
	}
	return all, nil
}

// Step looks at every objective once.
func (e *Engine) Step(ctx context.Context, now time.Time) error {
	e.stepping.Lock()
	defer e.stepping.Unlock()
	if err := e.declared(ctx, now); err != nil {
		return err
	}
	var first error
	for _, id := range e.order() {
		w := e.watched[id]
		if err := w.read(ctx, e.Metrics, now, e.Retention); err != nil {
			w.failed = err.Error()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			e.Logger.Warn("an SLO could not be read", "slo", id, "err", err)
			continue
		}
		w.failed = ""
		first = cmp.Or(first, e.judge(ctx, w, now))
	}
	first = cmp.Or(first, e.save(ctx, now), e.act(ctx, now))
	e.publish(now)
	e.deliver(ctx, now)
	return first
}

func (e *Engine) order() []string {
	ids := make([]string, 0, len(e.watched))
	for id := range e.watched {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// declared reads again what is declared when that has changed.
func (e *Engine) declared(ctx context.Context, now time.Time) error {
	head, err := e.Store.Get(ctx, e.HeadKind, e.HeadName)
	if err != nil && !errs.Is(err, errs.Missing) {
		return err
	}
	if head.Rev == e.rev {
		return nil
	}
	var set []resource.Resource
	for _, kind := range append(slices.Clone(slo.Kinds), resource.KindService, resource.KindBudgetPolicy, resource.KindGroup) {
		rs, err := e.every(ctx, kind)
		if err != nil {
			return err
		}
		set = append(set, rs...)
	}
	var all []slo.Objective
	for _, c := range slo.Compile(set) {
		all = append(all, c.Objectives...)
		for _, p := range c.Problems {
			e.Logger.Warn("an SLO cannot be watched", "slo", c.Name, "problem", p.String())
		}
	}
	if err := e.follow(ctx, all, now); err != nil {
		return err
	}
	e.policies = policiesOf(set)
	e.rev = head.Rev
	e.known.Store(head.Rev)
	return nil
}

// fresh takes a step when something was declared since the last: who has just declared an SLO wants to see it.
func (e *Engine) fresh(ctx context.Context) error {
	head, err := e.Store.Get(ctx, e.HeadKind, e.HeadName)
	if err != nil && !errs.Is(err, errs.Missing) {
		return err
	}
	if head.Rev == e.known.Load() {
		return nil
	}
	return e.Step(ctx, e.Now().UTC())
}

func (e *Engine) every(ctx context.Context, kind string) ([]resource.Resource, error) {
	var all []resource.Resource
	after := ""
	for {
		rs, err := e.Catalog.List(ctx, kind, after, 0)
		if err != nil || len(rs) == 0 {
			return all, err
		}
		all, after = append(all, rs...), rs[len(rs)-1].Metadata.Name
		if len(rs) < 1000 {
			return all, nil
		}
	}
}

// follow begins to watch new objectives, goes on with those that are as they were, and ends with those that are gone, whose alerts end.
func (e *Engine) follow(ctx context.Context, all []slo.Objective, now time.Time) error {
	still := map[string]bool{}
	for i := range all {
		o := &all[i]
		still[o.ID] = true
		old := e.watched[o.ID]
		if old != nil && old.hash == hashOf(o) {
			old.objective = o
			old.forgetConditions()
			continue
		}
		w, err := e.begin(ctx, o, now)
		if err != nil {
			return err
		}
		e.watched[o.ID] = w
	}
	for id, w := range e.watched {
		if !still[id] {
			if err := e.gone(ctx, w, now); err != nil {
				return err
			}
			delete(e.watched, id)
		}
	}
	if !e.began {
		e.began = true
		return e.sweep(ctx, still)
	}
	return nil
}
