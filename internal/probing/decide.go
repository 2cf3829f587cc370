package probing

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// The board's times.
const (
	lookEvery = time.Second
	readEvery = 2 * time.Second
	saveEvery = 10 * time.Second
	tellEvery = time.Minute
)

// Run votes, tells and keeps until ctx ends.
func (b *Board) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var read, saved time.Time
	for {
		if now := time.Now(); now.Sub(read) >= readEvery {
			b.Refresh(ctx)
			read = now
		}
		b.decide(ctx)
		b.tell(ctx)
		if now := time.Now(); now.Sub(saved) >= saveEvery || ctx.Err() != nil {
			b.save()
			saved = now
		}
		select {
		case <-ctx.Done():
			b.save()
			return nil
		case <-tick.C:
		}
	}
}

// Refresh reads which probes there are.
func (b *Board) Refresh(ctx context.Context) {
	all, err := b.Catalog.Probes(ctx)
	if err != nil {
		if ctx.Err() == nil {
			b.Logger.Warn("the probes cannot be read; what was known is watched on", "err", err)
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	there := map[string]bool{}
	for _, d := range all {
		there[d.Name] = true
		w := b.probes[d.Name]
		if w == nil {
			w = &watched{versions: map[string]*known{}}
			b.probes[d.Name] = w
		}
		w.Declared = d
		if d.Unseen {
			continue
		}
		looked := map[string]bool{}
		for _, t := range d.Targets {
			looked[t.Version] = true
		}
		for name, k := range w.versions {
			k.Looked = looked[name]
		}
		for name := range looked {
			w.version(name).Looked = true
		}
	}
	for name := range b.probes {
		if !there[name] {
			delete(b.probes, name)
			b.dirty = true
		}
	}
}

// decide votes on all versions and records what changed.
func (b *Board) decide(ctx context.Context) {
	b.deciding.Lock()
	defer b.deciding.Unlock()
	now := b.now()
	var events []audit.Event
	note := func(kind, probe string, data Changed) {
		if e, err := audit.New(now, kind, "system:probes", "probe/"+probe, data); err == nil {
			events = append(events, e)
		}
	}
	b.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(b.probes)) {
		w := b.probes[name]
		for version, k := range w.versions {
			if !k.Looked && now.Sub(k.last().At) > forgetAfter {
				delete(w.versions, version)
				continue
			}
			k.vote = synthetic.Cast(w.Spec, k.Views, now)
			data := Changed{Service: w.Spec.Service, Version: version, Vote: k.vote}
			b.soon(w, k, now, func() {
				data := data
				data.Vote, data.Expires = synthetic.Vote{}, k.expires()
				note(EvExpiry, name, data)
			})
			if k.vote.State == synthetic.Unknown || k.vote.State == k.State {
				continue
			}
			switch {
			case k.vote.State == synthetic.Down:
				note(EvDown, name, data)
			case k.State == synthetic.Down:
				data.Since = k.Since
				note(EvUp, name, data)
			}
			k.State, k.Since, b.dirty = k.vote.State, now, true
		}
	}
	if len(events) > 0 || b.dirty {
		close(b.changed)
		b.changed = make(chan struct{})
	}
	b.mu.Unlock()
	if b.Record == nil || len(events) == 0 {
		return
	}
	if err := b.Record.Record(ctx, events); err != nil && ctx.Err() == nil {
		b.Logger.Warn("what probes saw is not recorded", "err", err)
	}
}

// soon notes, once for a certificate, that it is about to expire.
func (b *Board) soon(w *watched, k *known, now time.Time, note func()) {
	at := k.expires()
	if at.IsZero() || !k.Looked || at.Sub(now) > time.Duration(w.Spec.Alert.Expiry) || k.Expired.Equal(at) {
		return
	}
	k.Expired, b.dirty = at, true
	note()
}

// expires is when the first certificate that any prober saw expires.
func (k *known) expires() (at time.Time) {
	for _, v := range k.Views {
		if e := v.Last.Expires; !e.IsZero() && (at.IsZero() || e.Before(at)) {
			at = e
		}
	}
	return at
}
