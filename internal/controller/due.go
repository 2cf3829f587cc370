package controller

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/rollout"
)

// idleDue is how long to wait when no bake is known to end.
const idleDue = 100 * time.Millisecond

// expect notes when a rollout's current bake ends, so that it is looked at then and not only at the next interval.
func (c *Controller) expect(state rollout.State, ev rollout.Evidence, now time.Time) {
	due := state.BakedAt(ev)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !due.After(now) { // none, or over: something else is waited for
		delete(c.dues, state.Service)
		return
	}
	c.dues[state.Service] = due
}

// runDue steps services when their bakes end, beside the steps of all services at each interval.
func (c *Controller) runDue(ctx context.Context) {
	for {
		due, next := c.dueNow(time.Now())
		for _, l := range due {
			if line, err := c.Line(ctx); err == nil {
				c.stepOne(ctx, l, line)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
	}
}

// dueNow returns the services whose bakes have ended, each once, and how long to wait for the next one.
func (c *Controller) dueNow(now time.Time) (due []versioned[Live], next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next = max(idleDue, c.Interval/10)
	for service, at := range c.dues {
		if at.After(now) {
			next = min(next, max(at.Sub(now), idleDue/5))
			continue
		}
		delete(c.dues, service)
		if l, ok := c.lived[service]; ok {
			due = append(due, l)
		}
	}
	return due, next
}
