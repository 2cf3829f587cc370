package batch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// What one transaction takes at most, so that the first of many waiting writes is not held up by the last.
const (
	maxWrites = 256
	maxBytes  = 8 << 20
)

// Transact runs one transaction: it reads the head of the chain and the revisions of keys, calls plan once
// with them, stores what it answers, and commits. No other writer may come between. When it returns an error
// nothing was stored, except that Unavailable may mean that the outcome is not known.
type Transact func(keys []Key, plan func(Head, Revs) Changes) error

// Group queues writes and commits them in batches.
type Group struct {
	transact Transact
	stopped  chan struct{}

	mu      sync.Mutex
	wake    sync.Cond
	waiting []*pending
	closed  bool
}

type pending struct {
	write  store.Write
	done   chan struct{}
	events []audit.Event
	err    error
}

// New starts a group. Close ends it.
func New(transact Transact) *Group {
	g := &Group{transact: transact, stopped: make(chan struct{})}
	g.wake.L = &g.mu
	go g.run()
	return g
}

// Commit stores w and returns its events, sealed.
func (g *Group) Commit(ctx context.Context, w store.Write) ([]audit.Event, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, abandoned(err)
	}
	p := &pending{write: w, done: make(chan struct{})}
	if !g.enqueue(p) {
		return nil, errs.E(errs.Unavailable, "the store is closed")
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if g.withdraw(p) {
			return nil, abandoned(ctx.Err())
		}
		<-p.done
	}
	return p.events, p.err
}

func abandoned(cause error) error {
	return errs.Wrap(errs.Unavailable, cause, "nothing was written")
}

func (g *Group) enqueue(p *pending) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.waiting = append(g.waiting, p)
	g.wake.Signal()
	return true
}

func (g *Group) withdraw(p *pending) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, p)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// Close refuses new writes and returns when the waiting ones are done.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	g.wake.Signal()
	g.mu.Unlock()
	<-g.stopped
}

func (g *Group) run() {
	defer close(g.stopped)
	for batch := g.take(); len(batch) > 0; batch = g.take() {
		g.commit(batch)
		for _, p := range batch {
			close(p.done)
		}
	}
}

// take waits for writes and returns those that fit in a batch, none once the group is closed and empty.
func (g *Group) take() []*pending {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.waiting) == 0 && !g.closed {
		g.wake.Wait()
	}
	n, size := 0, 0
	for n < len(g.waiting) && n < maxWrites {
		size += g.waiting[n].write.Size()
		if n > 0 && size > maxBytes {
			break
		}
		n++
	}
	batch := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	return batch
}

func (g *Group) commit(batch []*pending) {
	err := g.transact(keysOf(batch), func(h Head, r Revs) Changes { return plan(time.Now(), h, r, batch) })
	if err == nil {
		return
	}
	// One bad write must not fail its neighbours. But what may have been stored is never tried again.
	if len(batch) > 1 && !errs.Is(err, errs.Unavailable) {
		for i := range batch {
			g.commit(batch[i : i+1])
		}
		return
	}
	for _, p := range batch { // those in conflict too: what they were in conflict with may not have been stored
		p.events, p.err = nil, err
	}
}
