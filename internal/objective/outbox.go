package objective

import (
	"context"
	"maps"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
)

const (
	resend   = time.Minute     // between sendings of an alert that goes on
	farewell = 5 * time.Minute // for which the end of an alert is sent

	remembered = 20 * time.Minute // for which a process that comes back tells the ends that the one before may not have told
)

// outbox is what is to be told of alerts.
type outbox struct {
	over map[uint64]alert.Alert // ended, and not all told of it
	sent map[uint64]time.Time   // when it was told last that they go on
}

func (b *outbox) ended(a alert.Alert, now time.Time) alert.Alert {
	if b.over == nil {
		b.over = map[uint64]alert.Alert{}
	}
	a.EndsAt = now
	b.over[a.Fingerprint()] = a
	delete(b.sent, a.Fingerprint())
	return a
}

// lately are the alerts that ended not long ago.
func lately(all []alert.Alert, now time.Time) []alert.Alert {
	var list []alert.Alert
	for _, a := range all {
		if now.Sub(a.EndsAt) <= remembered {
			list = append(list, a)
		}
	}
	return list
}

// deliver sends the alerts that go on, new ones at once and others again, and the ends of those that are over.
func (e *Engine) deliver(ctx context.Context, now time.Time) {
	if e.Alerts == nil {
		return
	}
	b := &e.sending
	if b.sent == nil {
		b.sent = map[uint64]time.Time{}
	}
	var list []alert.Alert
	live := map[uint64]bool{}
	for _, a := range e.live() {
		id := a.Fingerprint()
		live[id] = true
		delete(b.over, id)
		if now.Sub(b.sent[id]) >= resend {
			list = append(list, a)
		}
	}
	ends := maps.Clone(b.over)
	for id, a := range ends {
		list = append(list, a)
		if now.Sub(a.EndsAt) > farewell {
			delete(b.over, id)
		}
	}
	maps.DeleteFunc(b.sent, func(id uint64, _ time.Time) bool { return !live[id] })
	if len(list) == 0 {
		return
	}
	if err := e.Alerts.Send(ctx, list); err != nil {
		e.Logger.Warn("alerts could not be sent; it is tried again", "err", err)
		return
	}
	for _, a := range list {
		if id := a.Fingerprint(); live[id] {
			b.sent[id] = now
		} else {
			delete(b.over, id)
		}
	}
}

// live are the alerts that go on.
func (e *Engine) live() []alert.Alert {
	var all []alert.Alert
	for _, id := range e.order() {
		for _, f := range e.watched[id].state.Alerts {
			if !f.Since.IsZero() {
				all = append(all, f.Alert)
			}
		}
	}
	return all
}
