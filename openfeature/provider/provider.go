package provider

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/ringfence/ringfence/internal/flag"
)

// Provider is an OpenFeature provider. New makes one.
type Provider struct {
	o      Options
	source source
	cache  *cache
	served atomic.Pointer[served] // nil before there are any
	queue  *queue
	events *events
	hooks  []openfeature.Hook

	mu    sync.Mutex
	life  *life // between Init and Shutdown
	state state
}

var (
	_ openfeature.FeatureProvider          = (*Provider)(nil)
	_ openfeature.ContextAwareStateHandler = (*Provider)(nil)
	_ openfeature.EventHandler             = (*Provider)(nil)
	_ openfeature.Tracker                  = (*Provider)(nil)
)

// served is what is evaluated, and what the server adds to every context.
type served struct {
	*flag.View
	context map[string]any
}

// source has flags.
type source interface {
	// follow calls got with the flags and again after each change, until ctx is done or the flags cannot be had any more.
	follow(ctx context.Context, got func(*served)) error
}

// life is what runs between Init and Shutdown.
type life struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	fresh   chan struct{} // closed when the source has brought flags
	failed  chan struct{} // closed when its first attempt has failed
	err     error         // why
}

// New makes a Provider. It does nothing until it is registered with the SDK.
func New(o Options) (*Provider, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	p := &Provider{o: o, events: newEvents()}
	if o.File != "" {
		p.source = &file{path: o.File, environment: o.Environment, log: o.Log}
	} else {
		p.source = newStream(o)
		p.cache = newCache(o)
	}
	p.queue = newQueue(o)
	if o.Events != "" && !o.NoExposures {
		p.hooks = []openfeature.Hook{p.ExposureHook()}
	}
	return p, nil
}

// Metadata names the provider.
func (*Provider) Metadata() openfeature.Metadata { return openfeature.Metadata{Name: "ringfence"} }

// Hooks are called by the SDK with each evaluation.
func (p *Provider) Hooks() []openfeature.Hook { return p.hooks }

// EventChannel is where the SDK hears of changes.
func (p *Provider) EventChannel() <-chan openfeature.Event { return p.events.out }

// Init is InitWithContext without a context.
func (p *Provider) Init(about openfeature.EvaluationContext) error {
	return p.InitWithContext(context.Background(), about)
}

// InitWithContext begins to follow the flags and returns when there are some.
func (p *Provider) InitWithContext(ctx context.Context, _ openfeature.EvaluationContext) error {
	p.mu.Lock()
	l := p.life
	if l == nil {
		l = p.begin()
	}
	p.mu.Unlock()
	err := p.await(ctx, l)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != l {
		return errors.New("the provider was shut down while it started")
	}
	return p.settle(l, err)
}

// begin starts what follows the flags and what sends events.
func (p *Provider) begin() *life {
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{cancel: cancel, fresh: make(chan struct{}), failed: make(chan struct{})}
	p.life, p.state = l, starting
	if p.served.Load() == nil && p.cache != nil {
		if kept := p.cache.load(); kept != nil {
			p.served.Store(kept)
		}
	}
	l.running.Go(func() { p.follow(ctx, l) })
	l.running.Go(func() { p.events.tell(ctx) })
	p.queue.start()
	return l
}

// cachePatience is how long Init waits for a source that says nothing when it has flags to start from.
const cachePatience = 2 * time.Second

// await returns when there is something to evaluate, with why there is not when it takes too long.
func (p *Provider) await(ctx context.Context, l *life) error {
	patience := p.o.Patience
	if p.served.Load() != nil {
		patience = min(patience, cachePatience)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	err, failed := errors.New("the flags' source does not answer"), l.failed
	for {
		select {
		case <-l.fresh:
			return nil
		case <-failed:
			if err, failed = l.err, nil; p.served.Load() != nil || p.o.File != "" || errors.As(err, new(refusedError)) {
				return err // waiting would not help
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return err
		}
	}
}

// settle says how starting went. It is called with p.mu held.
func (p *Provider) settle(l *life, err error) error {
	select {
	case <-l.fresh:
		err = nil
	default:
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			break // whoever gave up wants to know it
		}
		if p.served.Load() != nil {
			err = nil
		}
	}
	if p.state == starting {
		if p.state = ready; err != nil {
			p.state = broken
		}
	}
	if err != nil {
		return &openfeature.ProviderInitError{ErrorCode: openfeature.ProviderNotReadyCode, Message: "there are no flags: " + err.Error()}
	}
	return nil
}

// Shutdown is ShutdownWithContext without a context. What could not be sent is logged.
func (p *Provider) Shutdown() {
	if err := p.ShutdownWithContext(context.Background()); err != nil {
		p.o.Log.Warn("flags: the provider was shut down", "err", err)
	}
}

// farewell is how long shutting down may take when the caller does not say, so that no program hangs for a server that is gone.
const farewell = 5 * time.Second

// ShutdownWithContext ends what follows the flags and sends what is queued until ctx is done, or five seconds if it never is. Its error says how many events could not be sent.
// Evaluations go on as before, from the last flags.
func (p *Provider) ShutdownWithContext(ctx context.Context) error {
	p.mu.Lock()
	l := p.life
	p.life = nil
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	l.cancel()
	l.running.Wait()
	p.events.clear()
	defer p.o.HTTPClient.CloseIdleConnections()
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, farewell)
		defer cancel()
	}
	return p.queue.stop(ctx)
}

// Flush sends what is queued and returns when the server has it.
func (p *Provider) Flush(ctx context.Context) error { return p.queue.flush(ctx) }

// Lost is how many exposures and metric events were dropped: because too many waited, or because the server refused them.
func (p *Provider) Lost() int64 { return p.queue.lost.Load() }

// take puts flags in the place of those before.
func (p *Provider) take(l *life, next *served) {
	before := p.served.Swap(next)
	select {
	case <-l.fresh:
	default:
		close(l.fresh)
	}
	if before != nil && before.Hash != next.Hash {
		changed := flag.Changes(before.View, next.View)
		keys := make([]string, 0, len(changed))
		for key := range changed {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		p.events.changed(keys)
	}
	if p.cache != nil {
		p.cache.keep(next)
	}
}
