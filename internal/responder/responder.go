package responder

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Actor is who acts when nobody asked for it.
const Actor = "system:responder"

// The kinds of documents that are kept.
const (
	KindIncident = "Incident"
	KindOverride = "OnCallOverride"
	KindRanking  = "IncidentRanking"
	kindHead     = "IncidentHead"
	headName     = "head"
)

// Store keeps incidents and the record. Errors: errs.Missing from Get, errs.Conflict from Commit when another was faster.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
}

// Catalog holds what is declared.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
}

// Rollouts are changes, and what takes them back.
type Rollouts interface {
	Find(ctx context.Context, which string) (rollout.State, error)
	List(ctx context.Context, service string) ([]rollout.State, error)
	Command(ctx context.Context, verb rollout.Verb, actor, which, reason string, now time.Time) (rollout.State, error)
	Redeploy(ctx context.Context, actor, service, why string, now time.Time) (rollout.State, error)
}

// Flags can be switched off.
type Flags interface {
	Off(ctx context.Context, actor string, s flag.Subject, reason string, now time.Time) error
}

// Line is one series of an answer of Metrics: points are Unix seconds and value.
type Line struct {
	Labels map[string]string
	Points [][2]float64
}

// Metrics answers PromQL over a range of time.
type Metrics interface {
	QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Line, error)
}

// Options configure a responder.
type Options struct {
	Store     Store
	Catalog   Catalog
	Rollouts  Rollouts
	Flags     Flags
	Metrics   Metrics
	LastGood  func(ctx context.Context, service string) (string, error)                       // what a redeployment would bring back; "" for nothing
	Signals   func(ctx context.Context, service string) []incident.Signal                     // what is seen of instances now; nil: nothing
	Customers func(ctx context.Context, service string, from, to time.Time) []incident.Signal // customers that fared worse than others; nil: nothing
	Known     func(ctx context.Context) (names map[string]bool, err error)                    // who may sign in; nil: nobody is said to have left
	Changed   func() <-chan struct{}                                                          // closed at the next new event; nil: looked for
	Scrape    time.Duration                                                                   // between two counts; default 5s
	Every     time.Duration                                                                   // between two looks; default 1s
	Settle    time.Duration                                                                   // from when an incident is mitigated until its last bad event is looked for; default 4 scrapes
	Link      string                                                                          // address of the pages
	Logger    *slog.Logger
	Now       func() time.Time // default time.Now
}

// Responder keeps incidents.
type Responder struct {
	Options
	mu       sync.Mutex           // openings of this process take turns; only another control plane makes one stale
	seen     int64                // the record was read up to here
	measured map[string]time.Time // when an incident's onset was looked for last
	ranked   map[string]time.Time // when the causes of incidents were kept last
	calmed   map[string]time.Time // and when whether it is over
	reminded time.Time
}

// New makes a responder; Run starts it.
func New(o Options) *Responder {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Scrape <= 0 {
		o.Scrape = 5 * time.Second
	}
	if o.Every <= 0 {
		o.Every = time.Second
	}
	if o.Settle <= 0 {
		o.Settle = 4 * o.Scrape
	}
	o.Link = strings.TrimSuffix(o.Link, "/")
	return &Responder{Options: o, measured: map[string]time.Time{}, ranked: map[string]time.Time{}, calmed: map[string]time.Time{}}
}

func (r *Responder) now() time.Time { return r.Now().UTC().Truncate(time.Microsecond) }

// Run follows the record, calls people, measures and reminds until ctx ends.
func (r *Responder) Run(ctx context.Context) error {
	tick := time.NewTicker(r.Every)
	defer tick.Stop()
	for {
		var changed <-chan struct{}
		if r.Changed != nil {
			changed = r.Changed()
		}
		if err := r.Look(ctx); err != nil && ctx.Err() == nil {
			r.Logger.Error("incidents cannot be looked at; it is tried again", "err", err)
			changed = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-changed:
			select { // many events come at once
			case <-ctx.Done():
				return nil
			case <-time.After(r.Every / 10):
			}
		}
	}
}

// Look does once what Run does again and again.
func (r *Responder) Look(ctx context.Context) error {
	if err := r.follow(ctx); err != nil {
		return err
	}
	head, _, err := r.head(ctx)
	if err != nil {
		return err
	}
	now := r.now()
	remind := now.Sub(r.reminded) >= time.Minute
	for _, id := range head.Live {
		if err := r.attend(ctx, id, now, remind); err != nil {
			return err
		}
	}
	if remind {
		r.reminded = now
	}
	return nil
}

// attend does what is due for one incident.
func (r *Responder) attend(ctx context.Context, id string, now time.Time, remind bool) error {
	s, _, err := r.get(ctx, id)
	if err != nil {
		return err
	}
	if s, err = r.settle(ctx, s); err != nil {
		return err
	}
	if s.Phase == incident.Open {
		if err := r.call(ctx, s, now); err != nil {
			return err
		}
	}
	if s.Phase != incident.Closed {
		if err := r.measure(ctx, id, now); err != nil {
			r.Logger.Warn("the impact of an incident cannot be measured now", "incident", id, "err", err)
		}
	}
	if s.Phase.Before(incident.Resolved) && now.Sub(r.ranked[id]) >= keepEvery {
		if err := r.keepRanking(ctx, s); err != nil {
			r.Logger.Warn("the ranking of causes cannot be kept", "incident", id, "err", err)
		}
		r.ranked[id] = now
	}
	if remind {
		return r.remind(ctx, id, now)
	}
	return nil
}
