package notify

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Actor is who records what comes of telling.
const Actor = "system:notify"

const (
	lookEvery  = 2 * time.Second        // for notifiers, and for events that other processes recorded
	atMost     = 200 * time.Millisecond // between two looks for events, however many there are
	outage     = 5 * time.Second        // after an error of the store
	lastWrite  = 3 * time.Second        // to note what became of a message when the process ends
	lastSend   = 5 * time.Second        // to finish an attempt when the process ends
	leaseSlack = 5 * time.Second        // from when an attempt must be over until another process takes it over
)

// Options configure an Engine.
type Options struct {
	Store    Store
	Catalog  Catalog
	Rollouts Rollouts
	Changes  Changes // nil: new events are found by looking alone
	Sender   Sender
	Link     string // address of the pages, such as https://ringfence.example.com; empty: messages have no links
	Logger   *slog.Logger
	Now      func() time.Time // default time.Now
	Process  string           // name of this process, for those who read cursors; default random
}

// Engine tells all notifiers.
type Engine struct {
	Options
}

// New makes an engine; Run starts it.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Process == "" {
		o.Process = rand.Text()
	}
	o.Link = strings.TrimSuffix(o.Link, "/")
	return &Engine{Options: o}
}

// subject is how a notifier stands in events.
func subject(name string) string { return resource.Key(resource.KindNotifier, name) }

func (e *Engine) now() time.Time { return e.Now().UTC().Truncate(time.Microsecond) }

// Run has one worker for each notifier until ctx ends. It returns when what was being sent is done with.
func (e *Engine) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	running := map[string]*running{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := e.look(ctx, running, &workers); err != nil && ctx.Err() == nil {
			e.Logger.Warn("notifiers cannot be read", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// running is a worker with the resource that it was started for.
type running struct {
	spec string
	stop context.CancelFunc
	done chan struct{}
}

// look starts workers for new notifiers, restarts those whose notifier has changed and ends those of gone ones.
func (e *Engine) look(ctx context.Context, workers map[string]*running, all *sync.WaitGroup) error {
	cursors, err := e.cursors(ctx) // before the notifiers: a cursor of now belongs to a notifier of now
	if err != nil {
		return err
	}
	declared, err := e.declared(ctx)
	if err != nil {
		return err
	}
	for name, r := range workers {
		if now, ok := declared[name]; !ok || string(now.Spec) != r.spec {
			r.stop()
			select {
			case <-r.done:
				delete(workers, name)
			default: // it finishes what it is sending first
			}
		}
	}
	for name, r := range declared {
		spec, err := resource.As[resource.Notifier](r)
		if err != nil {
			return err
		}
		if workers[name] != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		started := &running{spec: string(r.Spec), stop: stop, done: make(chan struct{})}
		workers[name] = started
		w := &worker{engine: e, name: name, by: e.Process + "/" + rand.Text(), raw: string(r.Spec), spec: spec.Defaults(), log: e.Logger.With("notifier", name)}
		all.Go(func() {
			defer close(started.done)
			defer stop()
			w.run(ctx)
		})
	}
	for _, c := range cursors {
		if _, ok := declared[c.Name]; !ok && workers[c.Name] == nil {
			if _, err := e.Store.Commit(ctx, store.Write{Deletes: []store.Doc{{Kind: c.Kind, Name: c.Name, Rev: c.Rev}}}); err != nil && !errs.Is(err, errs.Conflict) {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) declared(ctx context.Context) (map[string]resource.Resource, error) {
	all := map[string]resource.Resource{}
	for after := ""; ; {
		rs, err := e.Catalog.List(ctx, resource.KindNotifier, after, 0)
		if err != nil || len(rs) == 0 {
			return all, err
		}
		for _, r := range rs {
			all[r.Metadata.Name] = r
		}
		after = rs[len(rs)-1].Metadata.Name
	}
}

func (e *Engine) cursors(ctx context.Context) ([]store.Doc, error) {
	var all []store.Doc
	for after := ""; ; {
		docs, err := e.Store.List(ctx, store.Page{Kind: KindCursor, After: after})
		if err != nil || len(docs) == 0 {
			return all, err
		}
		all = slices.Concat(all, docs)
		after = docs[len(docs)-1].Name
	}
}
