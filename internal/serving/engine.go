package serving

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/store"
)

// Store has the documents that are served, and those that they are served by.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
}

// Experiments says which experiments run, by the subject of their flag. The version differs when they do.
type Experiments interface {
	Assignments(ctx context.Context) (all map[string]flag.Assignment, version string, err error)
}

// KindChoices are documents of what users chose about previews, by subject.
const KindChoices = "FlagChoices"

// Options configure an engine.
type Options struct {
	Store       Store
	Experiments Experiments // nil: none run
	Desired     string      // the kind of documents that say what is exposed, by unit/subject
	HeadKind    string      // the document that each change of what is declared replaces
	HeadName    string
	Logger      *slog.Logger
	Changed     func()        // called after what is served to some environment has changed; may be nil
	Every       time.Duration // between looks at what other processes have written; default 2s
}

// Engine keeps what is served. It is safe for use by many goroutines.
type Engine struct {
	Options
	wake chan struct{}

	look sync.Mutex // held while what is served is made anew

	lastGood map[setIn]made // under look

	mu   sync.Mutex
	seen inputs
	envs map[string]*environment
}

// environment is what is served to one.
type environment struct {
	flag.Feed
	snapshot *flag.Snapshot
	changed  chan struct{} // closed and replaced when it changes
	asked    time.Time     // last
	waiting  int           // for a change
}

// maxEnvironments bounds what callers can make the engine keep. Beyond it the one that was longest not asked for, and that nobody
// waits for, is forgotten: it is made anew when it is asked for again. So nobody is kept from what is served by those who ask for
// names that nobody serves.
const maxEnvironments = 100

// New makes an engine; Run keeps it up to date.
func New(o Options) *Engine {
	if o.Every == 0 {
		o.Every = 2 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Engine{Options: o, wake: make(chan struct{}, 1), envs: map[string]*environment{}, lastGood: map[setIn]made{}}
}

// Wake asks for a look soon; it never blocks.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run looks when woken, and at each interval for what other processes have written, until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(e.Every)
	defer tick.Stop()
	for {
		if err := e.Refresh(ctx); err != nil && ctx.Err() == nil {
			e.Logger.Error("cannot look at what is to be served; the flags stay as they are", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-e.wake:
		}
	}
}

// Current is what is served to an environment now.
func (e *Engine) Current(env string) (*flag.Snapshot, error) {
	at, err := e.at(env)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return at.snapshot, nil
}

// Keys are those of everyone who may ask, in any environment.
func (e *Engine) Keys() (*flag.Keyring, error) {
	if _, err := e.at(""); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen.keyring, nil
}

// Watch returns a channel that receives after what is served to an environment has changed, and what ends that.
func (e *Engine) Watch(env string) (<-chan struct{}, func()) {
	out, done := make(chan struct{}, 1), make(chan struct{})
	at, err := e.waitAt(env)
	if err != nil {
		return out, func() {}
	}
	go func() {
		defer e.waited(at)
		for {
			e.mu.Lock()
			changed := at.changed
			e.mu.Unlock()
			select {
			case <-changed:
			case <-done:
				return
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out, sync.OnceFunc(func() { close(done) })
}

// Await returns what a program elsewhere serves an environment by, once it is not what the program has; after wait, that
// again.
func (e *Engine) Await(ctx context.Context, env, have string, wait time.Duration) (flag.Feed, error) {
	at, err := e.waitAt(env)
	if err != nil {
		return flag.Feed{}, err
	}
	defer e.waited(at)
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		e.mu.Lock()
		feed, changed := at.Feed, at.changed
		e.mu.Unlock()
		if feed.Version != have {
			return feed, nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			return feed, nil
		case <-ctx.Done():
			return flag.Feed{}, ctx.Err()
		}
	}
}

// at is an environment, made when it was not asked for so far.
func (e *Engine) at(env string) (*environment, error) { return e.find(env, 0) }

// waitAt is an environment that is kept until waited.
func (e *Engine) waitAt(env string) (*environment, error) { return e.find(env, 1) }

func (e *Engine) waited(at *environment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at.waiting--
}

func (e *Engine) find(env string, waiting int) (*environment, error) {
	if env == "" {
		env = flag.Production
	}
	if at := e.kept(env, waiting); at != nil {
		return at, nil
	}
	if len(env) > 200 {
		return nil, errs.E(errs.Invalid, "environment %.20q…: expected a name of at most 200 characters", env)
	}
	e.look.Lock()
	defer e.look.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := e.known(ctx); err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "what is to be served cannot be read")
	}
	if at := e.kept(env, waiting); at != nil {
		return at, nil
	}
	if !e.makeRoom() {
		return nil, errs.E(errs.Invalid, "flags are served to %d environments already", maxEnvironments)
	}
	e.mu.Lock()
	in := e.seen
	e.mu.Unlock()
	e.serve(env, in)
	return e.kept(env, waiting), nil
}

// kept is an environment that is kept, which was asked for.
func (e *Engine) kept(env string, waiting int) *environment {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.envs[env]
	if at != nil {
		at.asked, at.waiting = time.Now(), at.waiting+waiting
	}
	return at
}

// makeRoom forgets an environment when there are too many, and reports whether there is room for one more. e.look is held.
func (e *Engine) makeRoom() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.envs) < maxEnvironments {
		return true
	}
	oldest := ""
	for env, at := range e.envs {
		if at.waiting == 0 && (oldest == "" || at.asked.Before(e.envs[oldest].asked)) {
			oldest = env
		}
	}
	if oldest == "" {
		return false
	}
	delete(e.envs, oldest)
	maps.DeleteFunc(e.lastGood, func(key setIn, _ made) bool { return key.env == oldest })
	return true
}
