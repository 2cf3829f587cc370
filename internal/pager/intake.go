package pager

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// The types of events.
const (
	EvFired    = "alert.fired"
	EvResolved = "alert.resolved"
)

const (
	unheardAfter = 5 * time.Minute // for alerts that say nothing of their end
	batch        = 500             // documents of one write
	mostAlerts   = 20_000          // that are kept
	tries        = 5
)

// Change is the data of EvFired and EvResolved.
type Change struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt,omitzero"`
	Why         string            `json:"why,omitempty" doc:"when nobody saw its end"`
}

// Subject is how an alert stands in events.
func Subject(id string) string { return "alert/" + id }

// Send takes alerts in.
func (p *Pager) Send(ctx context.Context, alerts []alert.Alert) error {
	for _, a := range alerts {
		if err := a.Check(); err != nil {
			return err
		}
	}
	know := p.services(ctx)
	for part := range slices.Chunk(alerts, batch) {
		if err := p.take(ctx, part, know); err != nil {
			return err
		}
	}
	return nil
}

// take stores what some alerts change, again when another process was faster.
func (p *Pager) take(ctx context.Context, alerts []alert.Alert, know func(string) (alert.Facts, bool)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	for range tries {
		if p.book == nil {
			if err = p.read(ctx); err != nil {
				return err
			}
		}
		if err = p.merge(ctx, alerts, know); !errs.Is(err, errs.Conflict) {
			return err
		}
		p.book = nil
	}
	return errs.Wrap(errs.Unavailable, err, "alerts: others write the same ones all the time")
}

// read takes what is stored for what is known. The lock is held.
func (p *Pager) read(ctx context.Context) error {
	book := map[string]kept{}
	err := list(ctx, p.Store, KindAlert, func(d store.Doc, r alert.Record) { book[r.ID] = kept{r, d.Rev} })
	if err == nil {
		p.book = book
	}
	return err
}

func (p *Pager) merge(ctx context.Context, alerts []alert.Alert, know func(string) (alert.Facts, bool)) error {
	now := p.now()
	var w store.Write
	next := map[string]kept{}
	told := false
	for _, a := range alerts {
		id := a.ID()
		was, there := next[id]
		if !there {
			was, there = p.book[id]
		}
		if !there && len(p.book)+len(next) >= mostAlerts {
			return errs.E(errs.Unavailable, "%d alerts are kept, and no more are taken", mostAlerts)
		}
		r, what := merged(was, there, a, now, know)
		if what == alert.Nothing && (!there || r.Until.Sub(was.Until) <= 0 || was.Until.Sub(now) > unheardAfter/2) {
			continue // heard of again: written down only now and then
		}
		if ev, ok, err := changed(r, what, now, ""); err != nil {
			return err
		} else if ok {
			w.Events = append(w.Events, ev)
		}
		told = told || what != alert.Nothing
		next[id] = kept{r, p.book[id].rev}
	}
	for _, id := range slices.Sorted(maps.Keys(next)) {
		d, err := put(KindAlert, id, next[id].rev, next[id].Record)
		if err != nil {
			return err
		}
		w.Puts = append(w.Puts, d)
	}
	if len(w.Puts) == 0 {
		return nil
	}
	if _, err := p.Store.Commit(ctx, w); err != nil {
		return err
	}
	for id, k := range next {
		p.book[id] = kept{k.Record, k.rev + 1}
	}
	if told {
		p.stir()
	}
	return nil
}

func merged(was kept, there bool, a alert.Alert, now time.Time, know func(string) (alert.Facts, bool)) (alert.Record, alert.What) {
	id := a.ID() // what is filled in is no part of what it is known by
	facts, _ := know(a.Labels[alert.Service])
	a, added := a.Filled(facts)
	var before *alert.Record
	if there {
		before = &was.Record
	}
	r, what := alert.Merge(before, a, now, unheardAfter)
	if what != alert.Nothing || !there || was.Firing() {
		r.ID, r.Added = id, added
	}
	return r, what
}

// changed is the event of a change, if it is one for the record.
func changed(r alert.Record, what alert.What, now time.Time, why string) (audit.Event, bool, error) {
	typ := map[alert.What]string{alert.Began: EvFired, alert.Ended: EvResolved}[what]
	if typ == "" {
		return audit.Event{}, false, nil
	}
	ev, err := audit.New(now, typ, Actor, Subject(r.ID), Change{r.Labels, r.Annotations, r.StartsAt, r.EndsAt, why})
	return ev, true, err
}

// stir has what changed looked at soon.
func (p *Pager) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// services looks services up, each once.
func (p *Pager) services(ctx context.Context) func(string) (alert.Facts, bool) {
	type entry struct {
		alert.Facts
		ok bool
	}
	seen := map[string]entry{}
	return func(name string) (alert.Facts, bool) {
		if e, ok := seen[name]; ok || name == "" {
			return e.Facts, e.ok
		}
		var e entry
		if r, err := p.Catalog.Get(ctx, resource.KindService, name); err == nil {
			if s, err := resource.As[resource.Service](r); err == nil {
				e = entry{alert.Facts{Owner: s.Owner, Runbook: s.Runbook, Impact: s.Impact, DependsOn: s.DependsOn}, true}
			}
		}
		seen[name] = e
		return e.Facts, e.ok
	}
}
