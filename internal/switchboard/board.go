package switchboard

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Catalog holds the declared sets. Replace puts after in the place of before, without asking whether it needs a review;
// errs.Conflict when that is not what is there.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
	Replace(ctx context.Context, actor string, now time.Time, before, after resource.Resource) error
}

// Rollouts carries exposures through their rings.
type Rollouts interface {
	Release(ctx context.Context, actor string, o rollout.Order, now time.Time) (rollout.State, error)
	Direct(ctx context.Context, verb rollout.Verb, actor string, s rollout.State, reason string, now time.Time) (rollout.State, error)
	Newest(ctx context.Context, subject string) (rollout.State, error)
}

// Served is what environments are served now.
type Served interface {
	Current(env string) (*flag.Snapshot, error)
	Await(ctx context.Context, env, have string, wait time.Duration) (flag.Feed, error)
}

// Store keeps change requests and users' choices.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
}

// Usage says when flags were last asked for in an environment, by set/key, and since when that is known.
type Usage interface {
	Usage(ctx context.Context, env string) (asked map[string]time.Time, since time.Time, err error)
}

// Experiments are those that run: who takes part, by the subject of their flag, and why a flag must not be shown to more users
// now.
type Experiments interface {
	Assignments(ctx context.Context) (all map[string]flag.Assignment, version string, err error)
	Holds(ctx context.Context, s flag.Subject) error
}

// Options configure a board.
type Options struct {
	Experiments Experiments // nil: none run
	Catalog     Catalog
	Rollouts    Rollouts
	Served      Served
	Store       Store
	Usage       Usage  // nil: nothing is known of it
	Choices     string // the kind of documents of users' choices
}

// Board is where people act on flags.
type Board struct {
	Options
	mu   sync.Mutex
	sets map[string]readSet // sets as last read, by name
}

// readSet is a set that was read, and of what.
type readSet struct {
	spec string
	doc  *flag.Document
}

// New makes a board.
func New(o Options) *Board { return &Board{Options: o, sets: map[string]readSet{}} }

// set reads a declared set.
func (b *Board) set(ctx context.Context, name string) (resource.Resource, *flag.Document, error) {
	r, err := b.Catalog.Get(ctx, resource.KindFlagSet, name)
	if err != nil {
		return r, nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if last := b.sets[name]; last.doc != nil && last.spec == string(r.Spec) {
		return r, last.doc, nil
	}
	doc, problems := flag.Of(r)
	if doc != nil {
		b.sets[name] = readSet{string(r.Spec), doc}
	}
	if doc == nil {
		return r, nil, errs.Wrap(errs.Internal, resource.Refuse(problems), "flag set %s is damaged", name)
	}
	return r, doc, nil
}

// find is one flag of a set in an environment.
func (b *Board) find(ctx context.Context, s flag.Subject) (*flag.Definition, *flag.Document, error) {
	_, doc, err := b.set(ctx, s.Set)
	if err != nil {
		return nil, nil, err
	}
	f := doc.Flags[s.Key]
	switch {
	case f == nil:
		return nil, doc, errs.E(errs.Missing, "there is no flag %q in set %s", s.Key, s.Set)
	case !doc.HasEnvironment(s.Environment):
		return nil, doc, errs.E(errs.Missing, "set %s has no environment %q, it has %v", s.Set, s.Environment, doc.Environments)
	}
	return f, doc, nil
}

// newest is the newest rollout of a flag's exposure; ok is false when there was none.
func (b *Board) newest(ctx context.Context, subject string) (s rollout.State, ok bool, err error) {
	s, err = b.Rollouts.Newest(ctx, subject)
	if errs.Is(err, errs.Missing) {
		return s, false, nil
	}
	return s, err == nil, err
}

// shown is the variant that everyone has by rollouts that have ended.
func shown(s rollout.State, ok bool, baseline string) string {
	name := s.From
	if s.Phase == rollout.Succeeded {
		name = s.To
	}
	if !ok || s.Defined(name) {
		return baseline
	}
	return name
}

func event(now time.Time, typ, actor, subject string, data any) (audit.Event, error) {
	return audit.New(now, typ, actor, subject, data)
}

func decode[T any](doc store.Doc) (T, error) {
	var v T
	if err := json.Unmarshal(doc.Body, &v); err != nil {
		return v, errs.Wrap(errs.Internal, err, "%s %s is damaged", doc.Kind, doc.Name)
	}
	return v, nil
}
