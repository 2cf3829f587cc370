package notify

import (
	"context"
	"log/slog"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

// saveAfter is how many unwanted events are read again after a restart at most: nothing is written for each of them.
const saveAfter = 5000

// worker tells one notifier. What it remembers is a copy of what the store holds; when another process has replaced
// that, it forgets and reads again.
type worker struct {
	engine *Engine
	name   string
	by     string            // unlike that of any other worker, of this or another process
	raw    string            // the spec as it was declared
	spec   resource.Notifier // with defaults
	log    *slog.Logger

	loaded  bool
	at      position
	seen    int64         // read up to here
	pending []audit.Event // wanted and not dealt with, in order
	foreign foreign
}

// foreign is an attempt of another worker, by the revision of the cursor that says so.
type foreign struct {
	rev   int64
	since time.Time // when it was first seen, by the clock of this process: clocks of others do not matter
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		changed := w.changed()
		wait, err := w.step(ctx)
		switch {
		case err == nil && wait <= 0: // there may be more
			continue
		case err == nil:
		case errs.Is(err, errs.Conflict):
			w.loaded, wait = false, atMost // another process was faster: look at what it did
		case ctx.Err() == nil:
			w.log.Warn("events cannot be told now", "error", err)
			w.loaded, wait, changed = false, outage, nil
		}
		if !sleep(ctx, atMost, nil) || !sleep(ctx, min(wait, max(lookEvery, outage))-atMost, changed) {
			return
		}
	}
}

// changed is asked before looking: what comes between the two is not missed.
func (w *worker) changed() <-chan struct{} {
	if w.engine.Changes == nil {
		return nil
	}
	return w.engine.Changes.Changed()
}

// sleep waits for a time or a channel, and says whether there is anything to go on for.
func sleep(ctx context.Context, d time.Duration, until <-chan struct{}) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-until:
	case <-t.C:
	}
	return true
}

// step does the next thing, if it is time for it; else it says how long to wait.
func (w *worker) step(ctx context.Context) (time.Duration, error) {
	if !w.loaded {
		at, err := w.engine.load(ctx, w.name)
		if err != nil {
			return 0, err
		}
		w.at, w.seen, w.pending, w.loaded = at, at.Seq, nil, true
	}
	if err := w.read(ctx); err != nil {
		return 0, err
	}
	s, ok := w.next()
	if !ok {
		return lookEvery, w.skip(ctx)
	}
	if wait := w.early(s); wait > 0 {
		w.loaded = s.By == "" // what another worker does is looked at again
		return min(wait, lookEvery), nil
	}
	if still, err := w.declared(ctx); err != nil || !still {
		return lookEvery, err
	}
	return 0, w.tell(ctx, s)
}

// declared says whether the notifier is still as it was when the worker was started, which is ended soon if not: what
// was deleted is told nothing more, and nothing goes to where it went before a change.
func (w *worker) declared(ctx context.Context) (bool, error) {
	r, err := w.engine.Catalog.Get(ctx, resource.KindNotifier, w.name)
	if errs.Is(err, errs.Missing) {
		return false, nil
	}
	return string(r.Spec) == w.raw, err
}

// skip moves the cursor past what nobody wants, now and then.
func (w *worker) skip(ctx context.Context) error {
	if w.seen-w.at.Seq < saveAfter {
		return nil
	}
	p := w.at
	p.Seq, p.Done = w.seen, nil
	var err error
	w.at, err = w.engine.save(ctx, w.name, p)
	return err
}

// early is how long a message has to wait.
func (w *worker) early(s Sending) time.Duration {
	now := w.engine.now()
	switch {
	case s.Attempts == 0:
		return unlessAbove(w.spec.Group.D(0), s.Due.Sub(now))
	case s.By == "":
		return unlessAbove(longestPause, s.Next.Sub(now))
	case s.By == w.by: // it could not be noted that it begins; so it did not
		return 0
	}
	if w.foreign.rev != w.at.rev {
		w.foreign = foreign{rev: w.at.rev, since: now}
	}
	return s.Lease.D(0) + leaseSlack - now.Sub(w.foreign.since)
}

// unlessAbove takes a longer wait than there can be for a clock that was set back.
func unlessAbove(most, wait time.Duration) time.Duration {
	if wait > most {
		return 0
	}
	return wait
}
