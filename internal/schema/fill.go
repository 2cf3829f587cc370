package schema

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/ddl"
)

const (
	feel = 50 * time.Millisecond // how often the database is asked how it fares
	tell = time.Second           // how often progress is told
)

// filling is a fill that goes on: who fills, and who asks the database meanwhile how it fares.
type filling struct {
	mu     sync.Mutex
	pace   *pace
	busy   bool
	lag    Pressure
	failed error
}

// watch asks the database how it fares until ctx is done.
func (f *filling) watch(ctx context.Context, db Database) {
	for {
		f.mu.Lock()
		busy := f.busy
		f.mu.Unlock()
		p, err := db.Pressure(ctx)
		f.mu.Lock()
		if err != nil && ctx.Err() == nil {
			f.failed = err
		} else if err == nil {
			f.lag, f.failed = p, nil
			f.pace.answer(p.Answer, busy)
		}
		f.mu.Unlock()
		if pause(ctx, feel) != nil {
			return
		}
	}
}

// begin starts a batch and says how large it is.
func (f *filling) begin() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = true
	return f.pace.blocks
}

// end ends a batch and says how long to pause.
func (f *filling) end(took time.Duration, rows int64) (time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = false
	return f.pace.filled(took, rows), f.failed
}

func (f *filling) lagging() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lag.Lag
}

// fill fills a table batch by batch, up to where it ended when the fill began: what is written since is complete by the trigger, so
// that the end does not run away.
func (e *Engine) fill(ctx context.Context, lease Lease, r *Record, s ddl.Step) error {
	f := &filling{pace: newPace(e.o.Batch, e.o.Rate)}
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { f.watch(watching, e.db) })
	defer func() { stop(); wg.Wait() }()
	var told time.Time
	for first := true; first || r.Filled.Block < r.Filled.Blocks; {
		begin := e.now()
		if f.lagging() > e.o.MaxLag {
			if err := e.hold(ctx, *r, s, begin, true); err != nil {
				return err
			}
		}
		done, err := lease.Fill(ctx, Batch{Step: s, Blocks: f.begin(), Record: *r})
		if errors.Is(err, ErrBusy) { // a program holds a row for long
			if _, err := f.end(2*e.o.Batch+1, 0); err != nil {
				return err
			}
			if err := pause(ctx, jitter(e.o.LockTimeout, 0)); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		first = false
		rest, err := f.end(done.Took, done.Progress.Rows-r.Filled.Rows)
		if err != nil {
			return err
		}
		took := r.Filled.Took
		r.Filled = done.Progress
		if err := pause(ctx, rest); err != nil {
			return err
		}
		now := e.now()
		r.Filled.Took = took + now.Sub(begin)
		if now.Sub(told) >= tell {
			told = now
			e.report(*r, s, r.Filled, "")
		}
	}
	e.report(*r, s, r.Filled, "")
	return nil
}
