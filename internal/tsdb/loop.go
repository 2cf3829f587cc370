package tsdb

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"
)

// loop scrapes one target.
type loop struct {
	db     *DB
	key    string
	target Target
	cancel context.CancelFunc
	gone   atomic.Bool // the target is no longer wanted, as opposed to the process stopping
	done   chan struct{}

	ingest ingest
	body   bytes.Buffer
	failed bool  // the last scrape did
	last   int64 // time of the last scrape
}

func newLoop(db *DB, key string, t Target) *loop {
	return &loop{db: db, key: key, target: t, done: make(chan struct{}), ingest: newIngest(t)}
}

// end stops the loop for good and waits for it.
func (l *loop) end() {
	l.gone.Store(true)
	l.cancel()
	<-l.done
}

func (l *loop) run(ctx context.Context, at int64) {
	defer func() {
		if l.target.Gateway {
			l.db.due.remove(l.key)
		}
		l.db.meta.remove(l.key)
	}()
	timer := time.NewTimer(time.Until(time.UnixMilli(at)))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			if l.gone.Load() {
				l.leave()
			}
			return
		case <-timer.C:
		}
		l.scrape(ctx, at)
		at = nextTick(at, time.Now().UnixMilli(), l.target.Interval.Milliseconds())
		if l.target.Gateway {
			l.db.due.move(l.key, at)
		}
		timer.Reset(time.Until(time.UnixMilli(at)))
	}
}

// nextTick returns the whole multiple of interval after the scrape at last. Ticks that were slept through are left
// out, and a clock that was set back is followed.
func nextTick(last, now, interval int64) int64 {
	this := now - now%interval
	return min(max(last-last%interval+interval, this), this+interval)
}

// scrape fetches the target and stores what it said, or that it said nothing.
func (l *loop) scrape(ctx context.Context, at int64) {
	begin := time.Now()
	contentType, err := l.db.fetch(ctx, l.target, &l.body)
	if ctx.Err() != nil {
		return // not the target's fault
	}
	took := time.Since(begin)
	err = l.db.store(&l.ingest, at, contentType, l.body.Bytes(), took, err)
	if l.body.Cap() > 1<<20 {
		l.body = bytes.Buffer{} // one large answer is not a reason to keep its memory
	}
	l.last = at
	l.note(err)
	if err == nil {
		l.db.meta.set(l.key, &l.ingest)
	}
}

// note logs when a target begins to fail and when it recovers.
func (l *loop) note(err error) {
	switch {
	case err != nil && !l.failed:
		l.db.log.Warn("scrape failed", "url", l.target.URL, "err", err)
	case err == nil && l.failed:
		l.db.log.Info("scrape succeeds again", "url", l.target.URL)
	}
	l.failed = err != nil
}

// leave marks everything of the target stale.
func (l *loop) leave() {
	if l.last == 0 {
		return
	}
	at := max(time.Now().UnixMilli(), l.last+1)
	if err := l.db.storeGone(&l.ingest, at); err != nil {
		l.db.log.Warn("mark series stale", "url", l.target.URL, "err", err)
	}
	l.last = at
}
