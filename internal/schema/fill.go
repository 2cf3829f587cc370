package schema

import (
	"context"
	"errors"
	"time"

	"github.com/ringfence/ringfence/internal/ddl"
)

const (
	feel  = 250 * time.Millisecond // how often the database is asked how it fares
	every = time.Second            // how often progress is told
)

// fill fills a table batch by batch, up to where it ended when the fill began: what is written since is complete by the trigger, so
// that the end does not run away.
func (e *Engine) fill(ctx context.Context, lease Lease, r *Record, s ddl.Step) error {
	p := newPace(e.o.Batch, e.o.Rate)
	for !p.ready() {
		if err := e.feel(ctx, p); err != nil {
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	var felt, told time.Time
	for r.Filled.Blocks == 0 || r.Filled.Block < r.Filled.Blocks {
		begin := e.now()
		if begin.Sub(felt) >= feel {
			felt = begin
			if err := e.feel(ctx, p); err != nil {
				return err
			}
			if err := e.hold(ctx, *r, s, begin, true); err != nil {
				return err
			}
		}
		done, err := lease.Fill(ctx, Batch{Step: s, Blocks: p.blocks, Record: *r})
		if errors.Is(err, ErrBusy) { // a program holds a row for long
			p.blocks = max(p.blocks/2, 1)
			if err := pause(ctx, jitter(e.o.LockTimeout, 0)); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		rows := done.Progress.Rows - r.Filled.Rows
		took := r.Filled.Took
		r.Filled = done.Progress
		if err := pause(ctx, p.filled(done.Took, rows)); err != nil {
			return err
		}
		now := e.now()
		r.Filled.Took = took + now.Sub(begin)
		if now.Sub(told) >= every {
			told = now
			e.report(*r, s, r.Filled, "")
		}
		if done.Progress.Blocks == 0 {
			break // an empty table
		}
	}
	e.report(*r, s, r.Filled, "")
	return nil
}

func (e *Engine) feel(ctx context.Context, p *pace) error {
	now, err := e.db.Pressure(ctx)
	if err == nil {
		p.answer(now.Answer)
	}
	return err
}
