package pager

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Firing lists what fires as it was sent, without what was filled in.
func (p *Pager) Firing(ctx context.Context) ([]alert.Alert, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	var out []alert.Alert
	for _, k := range p.book {
		if k.Firing() {
			a := k.Alert
			a.Labels = k.Sent()
			out = append(out, a)
		}
	}
	return out, nil
}

// Beat is at which interval the heartbeat is to come; 0: never.
func (p *Pager) Beat(ctx context.Context) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl, err := p.declared(ctx, p.now())
	if err != nil || pl.heartbeat == nil {
		return 0, err
	}
	return pl.heartbeat.Every.D(0), nil
}

// Overview is how everything stands.
type Overview struct {
	Alerts   []alert.Standing `json:"alerts" doc:"the gravest first; what is over is kept for an hour"`
	Pages    []PageStanding   `json:"pages" doc:"pages that are on"`
	Silences []alert.Silence  `json:"silences"`
	At       time.Time        `json:"at"`
}

// PageStanding is a page and what was told of it.
type PageStanding struct {
	alert.Page
	GroupKey string                `json:"groupKey"`
	Group    map[string]string     `json:"group"`
	Route    string                `json:"route"`
	Told     map[string]alert.Told `json:"told,omitempty" doc:"by notifier; under the empty name what was handed on inside"`
	Nobody   bool                  `json:"nobody,omitempty" doc:"no notifier is told of it"`
}

// Overview says how everything stands.
func (p *Pager) Overview(ctx context.Context) (Overview, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	o := Overview{At: now, Alerts: []alert.Standing{}, Pages: []PageStanding{}, Silences: []alert.Silence{}}
	if err := p.read(ctx); err != nil {
		return o, err
	}
	pl, groups, standings, err := p.judge(ctx, now)
	if err != nil {
		return o, err
	}
	ledgers, err := p.ledgers(ctx)
	if err != nil {
		return o, err
	}
	for _, id := range slices.Sorted(maps.Keys(standings)) {
		o.Alerts = append(o.Alerts, standings[id])
	}
	slices.SortStableFunc(o.Alerts, func(a, b alert.Standing) int {
		if a.Firing() != b.Firing() {
			return map[bool]int{true: -1, false: 1}[a.Firing()]
		}
		if d := alert.Rank(b.Labels[alert.Severity]) - alert.Rank(a.Labels[alert.Severity]); d != 0 {
			return d
		}
		return b.StartsAt.Compare(a.StartsAt)
	})
	for _, g := range groups {
		if len(g.Firing) == 0 {
			continue
		}
		l := ledgers[g.ID]
		o.Pages = append(o.Pages, PageStanding{Page: g.Page(l.Last, now), GroupKey: g.Key, Group: g.Labels, Route: g.Route.ID, Told: l.Told, Nobody: len(pl.receivers(g, l.Told)) == 0})
	}
	slices.SortStableFunc(o.Pages, func(a, b PageStanding) int {
		if d := alert.Rank(b.Severity) - alert.Rank(a.Severity); d != 0 {
			return d
		}
		return b.Started.Compare(a.Started)
	})
	silences, _, err := p.silences(ctx)
	o.Silences = append(o.Silences, silences...)
	slices.SortFunc(o.Silences, func(a, b alert.Silence) int { return strings.Compare(a.ID, b.ID) })
	return o, err
}

// Receivers names those that can be told.
func (p *Pager) Receivers(ctx context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl, err := p.declared(ctx, p.now())
	return slices.Sorted(maps.Keys(pl.specs)), err
}

// To names who is told of what a route takes: the owner's notifiers by their names.
func (p *Pager) To(ctx context.Context, st alert.Standing) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl, err := p.declared(ctx, p.now())
	if err != nil {
		return nil
	}
	return pl.receivers(alert.Group{Route: &alert.Route{To: st.To}, Firing: []alert.Record{st.Record}}, nil)
}

// find is the alerts that a word means: one alert by its ID, or all of a page by its key. The beginning of either will do
// where it is that of one alone.
func (p *Pager) find(ctx context.Context, word string) ([]kept, error) {
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	_, groups, standings, err := p.judge(ctx, p.now())
	if err != nil {
		return nil, err
	}
	found := map[string][]kept{}
	if len(word) >= 4 {
		for id := range standings {
			if strings.HasPrefix(id, word) {
				found[id] = []kept{p.book[id]}
			}
		}
		for _, g := range groups {
			if !strings.HasPrefix(g.ID, word) {
				continue
			}
			for _, r := range g.Firing {
				found["page "+g.ID] = append(found["page "+g.ID], p.book[r.ID])
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, errs.E(errs.Missing, "there is no alert or page %.60q", word).Next("see: ringfence alert list")
	case 1:
		for _, ks := range found {
			return ks, nil
		}
	}
	return nil, errs.E(errs.Invalid, "%.60q may be %d alerts and pages, expected more of the name", word, len(found))
}

// The types of events of what people do.
const (
	EvAcked    = "alert.acked"
	EvUnacked  = "alert.unacked"
	EvSilenced = "alert.silenced"
	EvExpired  = "silence.expired"
)

// Acked is the data of EvAcked.
type Acked struct {
	Note    string    `json:"note,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Alert   string    `json:"alert"`
	Service string    `json:"service,omitempty"`
}

// Ack takes an alert, or all of a page, for somebody: nobody else is called until it is over, or until a time. With undo it is given back.
func (p *Pager) Ack(ctx context.Context, actor, word, note string, until time.Time, undo bool) ([]alert.Record, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var done []alert.Record
	var err error
	for range tries {
		if done, err = p.ack(ctx, actor, word, note, until, undo); !errs.Is(err, errs.Conflict) {
			break
		}
	}
	p.stir()
	return done, err
}

func (p *Pager) ack(ctx context.Context, actor, word, note string, until time.Time, undo bool) ([]alert.Record, error) {
	now := p.now()
	if !until.IsZero() && !until.After(now) {
		return nil, errs.E(errs.Invalid, "until %s: expected a time to come", until.Format(time.RFC3339))
	}
	if len(note) > 2000 {
		return nil, errs.E(errs.Invalid, "note: expected at most 2000 bytes")
	}
	found, err := p.find(ctx, word)
	if err != nil {
		return nil, err
	}
	var w store.Write
	var done []alert.Record
	for _, k := range found {
		r := k.Record
		if !r.Firing() {
			continue
		}
		typ := EvAcked
		r.Ack = &alert.Ack{By: actor, Note: note, At: now, Until: until}
		if undo {
			r.Ack, typ = nil, EvUnacked
		}
		d, err := put(KindAlert, r.ID, k.rev, r)
		if err != nil {
			return nil, err
		}
		ev, err := audit.New(now, typ, actor, Subject(r.ID), Acked{note, until, r.Labels[alert.Name], r.Labels[alert.Service]})
		if err != nil {
			return nil, err
		}
		w.Puts, w.Events, done = append(w.Puts, d), append(w.Events, ev), append(done, r)
	}
	if len(done) == 0 {
		return nil, errs.E(errs.Conflict, "%.60q is over", word)
	}
	p.book = nil
	_, err = p.Store.Commit(ctx, w)
	return done, err
}
