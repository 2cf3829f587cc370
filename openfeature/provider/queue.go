package provider

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// queue holds events until the server has them. Putting one in never waits. A queue without a sender takes nothing.
type queue struct {
	sender  *sender
	every   time.Duration
	log     *slog.Logger
	waiting chan event
	flushes chan chan struct{}
	lost    atomic.Int64
	said    atomic.Int64 // when something was last logged, in seconds

	mu      sync.Mutex // of start and stop, which may be called by several
	cancel  context.CancelFunc
	stopped chan struct{}

	// What follows is run's, and stays from one run to the next.
	unsent []batch
	asked  []chan struct{} // flushes that are not answered
	taken  bool            // what they are to wait for is in unsent
}

// batch is sent under one name however often, so that the server counts it once.
type batch struct {
	name   string
	events []event
}

func newQueue(o Options) *queue {
	q := &queue{every: o.EventsInterval, log: o.Log}
	if o.Events != "" {
		q.sender = newSender(o)
		q.waiting, q.flushes = make(chan event, o.MaxEvents), make(chan chan struct{})
	}
	return q
}

func (q *queue) put(e event) {
	if q.sender == nil {
		return
	}
	select {
	case q.waiting <- e:
	default:
		q.drop("too many wait to be sent", 1)
	}
}

// drop counts events that are given up.
func (q *queue) drop(why string, n int64) {
	if q.sender != nil {
		q.say("flags: events are lost", "why", why, "lost", q.lost.Add(n))
	}
}

// say logs once a minute.
func (q *queue) say(message string, about ...any) {
	now := time.Now().Unix()
	if said := q.said.Load(); now-said >= 60 && q.said.CompareAndSwap(said, now) {
		q.log.Warn(message, about...)
	}
}

// start begins sending.
func (q *queue) start() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sender == nil || q.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	q.cancel, q.stopped = cancel, stopped
	go func() {
		defer close(stopped)
		q.run(ctx)
	}()
}

// stop sends what waits until ctx is done, and ends.
func (q *queue) stop(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cancel == nil {
		return nil
	}
	err := q.flush(ctx)
	q.cancel()
	<-q.stopped
	q.cancel = nil
	n := len(q.waiting)
	for _, b := range q.unsent {
		n += len(b.events)
	}
	if err != nil && n > 0 {
		return fmt.Errorf("%d events were not sent: %w", n, err)
	}
	return nil
}

// flush returns when what waits now is sent, or ctx is done.
func (q *queue) flush(ctx context.Context) error {
	if q.sender == nil {
		return nil
	}
	done := make(chan struct{})
	select {
	case q.flushes <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run sends until ctx is done.
func (q *queue) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		switch {
		case len(q.unsent) > 0:
			wait, err := q.send(ctx)
			if err == nil {
				pause = firstPause
				continue
			}
			if ctx.Err() == nil {
				q.say("flags: events wait to be sent", "err", err)
			}
			q.rest(ctx, pause, wait)
			pause = min(2*pause, lastPause)
		case len(q.asked) > 0 && !q.taken:
			q.taken = true
			q.take(len(q.waiting), nil)
		case len(q.asked) > 0:
			for _, done := range q.asked {
				close(done)
			}
			q.asked = nil
		default:
			q.collect(ctx)
		}
	}
}

// collect waits until there is a batch or somebody flushes.
func (q *queue) collect(ctx context.Context) {
	var events []event
	due := time.NewTimer(q.every)
	due.Stop()
	defer due.Stop()
	for len(events) < batchSize {
		select {
		case e := <-q.waiting:
			if events = append(events, e); len(events) == 1 {
				due.Reset(q.every)
			}
			continue
		case <-due.C:
		case done := <-q.flushes:
			q.flushed(done)
		case <-ctx.Done():
		}
		break
	}
	q.take(0, events)
}

func (q *queue) flushed(done chan struct{}) { q.asked, q.taken = append(q.asked, done), false }

// take puts events into batches, and n of those that wait.
func (q *queue) take(n int, events []event) {
	for ; n > 0; n-- {
		if events = append(events, <-q.waiting); len(events) == batchSize {
			q.unsent = append(q.unsent, batch{rand.Text(), events})
			events = nil
		}
	}
	if len(events) > 0 {
		q.unsent = append(q.unsent, batch{rand.Text(), events})
	}
}

// send sends the first batch once. One that the server refuses is halved, until the event is alone that it does not take.
func (q *queue) send(ctx context.Context) (wait time.Duration, err error) {
	first := q.unsent[0]
	wait, wrong, err := q.sender.send(ctx, first)
	switch half := len(first.events) / 2; {
	case err != nil && !wrong:
		return wait, err
	case err == nil:
		q.unsent = q.unsent[1:]
	case half == 0:
		q.drop(err.Error(), 1)
		q.unsent = q.unsent[1:]
	default:
		q.unsent = append([]batch{{rand.Text(), first.events[:half]}, {rand.Text(), first.events[half:]}}, q.unsent[1:]...)
	}
	return 0, nil
}

// rest waits before the next attempt: for as long as the server wants, else for a pause that a flush ends.
func (q *queue) rest(ctx context.Context, pause, wait time.Duration) {
	timer := time.NewTimer(max(pause, wait))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case done := <-q.flushes:
			if q.flushed(done); wait == 0 {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
