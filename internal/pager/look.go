package pager

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	giveUpAfter = 15 * time.Minute // from when an alert is unheard until it is expired
	forgetAfter = time.Hour        // from its end, so that what comes and goes is seen to
	whyExpired  = "nothing was heard of it for a while: nobody saw its end"
)

// Look does what is due: alerts that were not heard of, and pages, which are told beside it. Wait waits for those.
func (p *Pager) Look(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.read(ctx); err != nil {
		return err
	}
	if err := p.age(ctx); err != nil {
		if errs.Is(err, errs.Conflict) {
			return nil // another one did it
		}
		return err
	}
	if err := p.page(ctx); err != nil {
		return err
	}
	return p.watch(ctx)
}

// Undelivered is the alert of a notifier that takes no page.
const Undelivered = "RingfenceAlertsUndelivered"

// tolerated is how long a notifier may take nothing until others are told.
const tolerated = 5 * time.Minute

// watch tells of notifiers that take no page, and of those that do again. The lock is held.
func (p *Pager) watch(ctx context.Context) error {
	now := p.now()
	p.seen.Lock()
	failing := maps.Clone(p.seen.failing)
	p.seen.Unlock()
	var out []alert.Alert
	for name, since := range failing {
		if now.Sub(since) >= tolerated {
			p.told[name] = true
			out = append(out, undelivered(name, since))
		}
	}
	for name := range p.told {
		if _, still := failing[name]; !still {
			a := undelivered(name, now)
			a.EndsAt = now
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil
	}
	if p.book == nil {
		if err := p.read(ctx); err != nil {
			return err
		}
	}
	err := p.merge(ctx, out, func(string) (alert.Facts, bool) { return alert.Facts{}, false })
	if err != nil {
		p.book = nil
		return err
	}
	maps.DeleteFunc(p.told, func(name string, _ bool) bool { _, still := failing[name]; return !still })
	return nil
}

func undelivered(name string, since time.Time) alert.Alert {
	return alert.Alert{Labels: map[string]string{alert.Name: Undelivered, alert.Severity: alert.Paging, "notifier": name}, StartsAt: since,
		Annotations: map[string]string{alert.Summary: "notifier " + name + " takes no page", alert.Impact: "who is called through it is not called"}}
}

// Wait waits until what was begun to be told is told.
func (p *Pager) Wait() { p.errand.Wait() }

// page tells of what is to be told. The lock is held.
func (p *Pager) page(ctx context.Context) error {
	if p.book == nil {
		if err := p.read(ctx); err != nil {
			return err
		}
	}
	now := p.now()
	ledgers, err := p.ledgers(ctx)
	if err != nil || len(ledgers) == 0 && len(p.book) == 0 {
		p.seen.note(now, nil, nil)
		return err
	}
	pl, groups, standings, err := p.judge(ctx, now)
	if err != nil {
		return err
	}
	p.seen.note(now, standings, ledgers)
	gone := maps.Clone(ledgers)
	all := p.errands(pl, groups, gone, now)
	for id, l := range gone { // of groups that have no alerts any more
		all = append(all, p.left(pl, id, l, now)...)
	}
	p.forget(ctx, groups, ledgers)
	for _, e := range all {
		p.telling[e.group.ID] = true
		p.errand.Go(func() {
			p.slots <- struct{}{}
			defer func() { <-p.slots }()
			err := p.tell(ctx, pl, e, now)
			p.mu.Lock()
			delete(p.telling, e.group.ID)
			p.mu.Unlock()
			if err != nil && !errs.Is(err, errs.Conflict) && ctx.Err() == nil {
				p.Logger.Error("a page cannot be told; it is tried again", "key", e.group.Key, "err", err)
			}
		})
	}
	return nil
}

// planFor is how long what is declared is taken to be as it was read.
const planFor = 5 * time.Second

// declared is what is declared, read anew now and then. The lock is held.
func (p *Pager) declared(ctx context.Context, now time.Time) (plan, error) {
	if now.Sub(p.known.at) < planFor && !now.Before(p.known.at) {
		return p.known.plan, nil
	}
	pl, err := p.plan(ctx, now)
	if err == nil {
		p.known.at, p.known.plan = now, pl
	}
	return pl, err
}

// judge puts alerts into groups by what is declared now. The lock is held.
func (p *Pager) judge(ctx context.Context, now time.Time) (plan, []alert.Group, map[string]alert.Standing, error) {
	pl, err := p.declared(ctx, now)
	if err != nil {
		return pl, nil, nil, err
	}
	silences, revs, err := p.silences(ctx)
	if err != nil {
		return pl, nil, nil, err
	}
	if err := p.sweep(ctx, silences, revs, now); err != nil && !errs.Is(err, errs.Conflict) {
		return pl, nil, nil, err
	}
	s := alert.Situation{Routes: pl.routes, Silences: silences, Inhibit: pl.inhibit, Depends: pl.depends, Damping: pl.damping, Now: now}
	for _, k := range p.book {
		s.Records = append(s.Records, k.Record)
	}
	groups, standings := alert.Judge(s)
	return pl, groups, standings, nil
}

// left tells of the end of a group whose alerts are not kept any more, or go other ways since.
func (p *Pager) left(pl plan, id string, l Ledger, now time.Time) []errand {
	if l.over() {
		return nil
	}
	g := alert.Group{ID: id, Key: l.Key, Labels: l.Labels, Route: alert.OwnersRoute(), First: true}
	g.Route.To = nil
	return p.errands(pl, []alert.Group{g}, map[string]Ledger{id: l}, now)
}

// forget deletes ledgers of groups of which nothing is left to be told.
func (p *Pager) forget(ctx context.Context, groups []alert.Group, ledgers map[string]Ledger) {
	var w store.Write
	for id, l := range ledgers {
		alive := slices.ContainsFunc(groups, func(g alert.Group) bool { return g.ID == id && len(g.Firing)+len(g.Held)+len(g.Ended) > 0 })
		if !alive && l.over() && !p.telling[id] && len(w.Deletes) < batch {
			w.Deletes = append(w.Deletes, store.Doc{Kind: KindGroup, Name: id, Rev: l.rev})
		}
	}
	if len(w.Deletes) == 0 {
		return
	}
	if _, err := p.Store.Commit(ctx, w); err != nil && !errs.Is(err, errs.Conflict) && ctx.Err() == nil {
		p.Logger.Warn("what was told of pages that are over is still kept", "err", err)
	}
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
