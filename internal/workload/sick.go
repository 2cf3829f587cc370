package workload

import (
	"context"
	"fmt"
	"time"
)

// giveUp reports whether an instance has been without readiness for so long that it shall be started anew. Of a version that is
// done for one at a time: when what ails them is outside, such as a database, starting all of them anew would only add to it,
// and the first one that becomes ready again shows that it helps.
func (i *instance) giveUp(now time.Time) bool {
	i.rt.mu.Lock()
	defer i.rt.mu.Unlock()
	within := i.slot.want.Ready.Within.D(defaultWithin)
	limit := i.slot.want.Ready.Restart.D(defaultRestart)
	if !i.served {
		limit = max(limit, within)
	}
	since := i.rec.Since
	if i.rec.Started.After(since) {
		since = i.rec.Started
	}
	if i.health.ready || i.stopping || now.Sub(since) < limit {
		return false
	}
	for _, other := range i.slot.instances {
		if other != i && !other.health.ready && !other.served && now.Sub(other.rec.Since) < within {
			return false // that one has just been started: wait for what becomes of it
		}
	}
	i.given = fmt.Sprintf("given up, as it was not ready for %s", now.Sub(since).Round(time.Second))
	if i.trouble != "" {
		i.given += ": " + i.trouble
	}
	i.rec.Since, i.served = now, false
	return true
}

// restart ends the process; run starts the next one. It has no endpoint, but may have requests from before.
func (i *instance) restart(ctx context.Context) {
	i.rt.opt.Logger.Warn("instance started anew", "instance", i.view.ID, "why", i.given)
	i.rt.mu.Lock()
	ep, want := i.endpoint(), i.slot.want
	i.rt.mu.Unlock()
	i.drain(ctx, ep, want.Drain.D(defaultDrain))
	i.proc.stop(ctx, want.StopGrace.D(defaultStopGrace))
}
