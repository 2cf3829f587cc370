package pager

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	giveUpAfter = 15 * time.Minute // from when an alert is unheard until it is expired
	forgetAfter = time.Hour        // from its end, so that what comes and goes is seen to
	whyExpired  = "nothing was heard of it for a while: nobody saw its end"
)

// Look does what is due: alerts that were not heard of, and pages.
func (p *Pager) Look(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.read(ctx); err != nil {
		return err
	}
	return p.age(ctx)
}

// age marks what was not heard of in time, gives it up later, and forgets what is over. The lock is held.
func (p *Pager) age(ctx context.Context) error {
	now := p.now()
	var w store.Write
	for id, k := range p.book {
		r := k.Record
		switch {
		case r.Firing() && !r.Unheard && r.Until.Before(now):
			r.Unheard = true
		case r.Firing() && r.Unheard && r.Until.Add(giveUpAfter).Before(now):
			r.EndsAt, r.Expired = now, true
			ev, _, err := changed(r, alert.Ended, now, whyExpired)
			if err != nil {
				return err
			}
			w.Events = append(w.Events, ev)
		case !r.Firing() && r.EndsAt.Add(forgetAfter).Before(now):
			w.Deletes = append(w.Deletes, store.Doc{Kind: KindAlert, Name: id, Rev: k.rev})
			continue
		default:
			continue
		}
		d, err := put(KindAlert, id, k.rev, r)
		if err != nil {
			return err
		}
		w.Puts = append(w.Puts, d)
		if len(w.Puts)+len(w.Deletes) >= batch {
			break
		}
	}
	if len(w.Puts)+len(w.Deletes) == 0 {
		return nil
	}
	p.book = nil
	_, err := p.Store.Commit(ctx, w)
	return err
}
