package breaching

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/breach"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Store keeps documents and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
}

// Hands are what contains.
type Hands interface {
	End(ctx context.Context, actor, name string, now time.Time) (sessions int, err error)
	Revoke(ctx context.Context, actor, name string, now time.Time) (tokens int, err error)
	Stop(ctx context.Context, actor, reason string, now time.Time) error
	Lead(ctx context.Context, actor, title string, severity int) (incident string, err error)
}

// Alerts are told what was found, again and again while it holds.
type Alerts interface {
	Found(ctx context.Context, all []breach.Detection) error
}

// Query is asked in intervals, and must have no answer.
type Query struct {
	Name, About, Owner, Playbook string
	Ask                          func(ctx context.Context) ([]string, error)
}

// Options configure a keeper.
type Options struct {
	Store   Store
	Hands   Hands
	Alerts  Alerts // may be nil
	Queries []Query
	Changed func() <-chan struct{} // closed at the next event; nil: looked for
	Every   time.Duration          // between two rounds of queries; default 5 minutes
	Now     func() time.Time
	Logger  *slog.Logger
}

// The kinds of documents.
const (
	KindBreach = "Breach"
	kindWatch  = "DetectionState"
	watchName  = "record"
	actor      = "system:sentinel"
)

const (
	page  = 500
	look  = 2 * time.Second
	holds = time.Hour      // how long a detection stays an alert
	stale = 24 * time.Hour // what is older is history, not news
)

// Keeper watches and keeps.
type Keeper struct {
	Options
	mu      sync.Mutex
	honey   map[string]bool
	touched map[string]time.Time
}

// memory is what is kept between two looks.
type memory struct {
	breach.Watch
	Held []breach.Detection `json:"held,omitempty"`
}

// New makes a keeper.
func New(o Options) *Keeper {
	if o.Every == 0 {
		o.Every = 5 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keeper{Options: o, honey: map[string]bool{}, touched: map[string]time.Time{}}
}

// Run watches until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick, round := time.NewTicker(look), time.NewTicker(k.Every)
	defer tick.Stop()
	defer round.Stop()
	for {
		if err := k.Look(ctx); err != nil && ctx.Err() == nil {
			k.Logger.Warn("the record could not be watched", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-round.C:
			if err := k.Ask(ctx); err != nil && ctx.Err() == nil {
				k.Logger.Warn("what must have no answer could not be asked", "err", err)
			}
		}
	}
}

func (k *Keeper) memory(ctx context.Context) (memory, int64, error) {
	var m memory
	d, err := k.Store.Get(ctx, kindWatch, watchName)
	if errs.Is(err, errs.Missing) {
		return m, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(d.Body, &m)
	}
	return m, d.Rev, err
}

// Look reads what is new on the record and records what it gives away.
func (k *Keeper) Look(ctx context.Context) error {
	for {
		m, rev, err := k.memory(ctx)
		if err != nil {
			return err
		}
		events, err := k.Store.Events(ctx, store.EventQuery{After: m.Seq, Limit: page})
		if err != nil {
			return err
		}
		now := k.Now()
		var found []breach.Detection
		for _, e := range events {
			for _, d := range m.Next(e) {
				if now.Sub(d.At) < stale {
					found = append(found, d)
				}
			}
		}
		held := len(m.Held)
		m.Held = slices.DeleteFunc(m.Held, func(d breach.Detection) bool { return now.Sub(d.At) > holds })
		m.Held = append(m.Held, found...)
		k.bait(m.Honey)
		if len(events) > 0 || len(m.Held) != held {
			if err := k.save(ctx, m, rev, found); errs.Is(err, errs.Conflict) {
				continue // another control plane was faster
			} else if err != nil {
				return err
			}
			if err := k.tell(ctx, m.Held); err != nil {
				return err
			}
		}
		if len(events) < page {
			return nil
		}
	}
}

func (k *Keeper) tell(ctx context.Context, held []breach.Detection) error {
	if k.Alerts == nil {
		return nil
	}
	return k.Alerts.Found(ctx, held)
}

func (k *Keeper) save(ctx context.Context, m memory, rev int64, found []breach.Detection) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	w := store.Write{Puts: []store.Doc{{Kind: kindWatch, Name: watchName, Rev: rev, Body: body}}}
	for _, d := range found {
		e, err := audit.New(k.Now(), "detection.found", actor, "detection/"+d.Name, d)
		if err != nil {
			return err
		}
		w.Events = append(w.Events, e)
	}
	_, err = k.Store.Commit(ctx, w)
	return err
}

// Ask asks every query; what has an answer is found.
func (k *Keeper) Ask(ctx context.Context) error {
	m, rev, err := k.memory(ctx)
	if err != nil {
		return err
	}
	now := k.Now()
	var found []breach.Detection
	for _, q := range k.Queries {
		answers, err := q.Ask(ctx)
		if err != nil {
			return errs.Wrap(errs.KindOf(err), err, "query %s", q.Name)
		}
		for _, why := range answers {
			d := breach.Detection{Name: q.Name, Seq: m.Seq, At: now, Why: why, Owner: q.Owner, Playbook: q.Playbook}
			i := slices.IndexFunc(m.Held, func(o breach.Detection) bool { return o.Name == d.Name && o.Why == d.Why })
			if i >= 0 {
				m.Held[i].At = now
				continue
			}
			found, m.Held = append(found, d), append(m.Held, d)
		}
	}
	if err := k.save(ctx, m, rev, found); err != nil && !errs.Is(err, errs.Conflict) {
		return err
	}
	return k.tell(ctx, m.Held)
}

func (k *Keeper) bait(honey map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.honey = honey
}

// Held are the detections that are alerts now.
func (k *Keeper) Held(ctx context.Context) ([]breach.Detection, error) {
	m, _, err := k.memory(ctx)
	return m.Held, err
}

// Lay lays out bait, a token or a flag that nobody has a reason to use, or takes it up again.
func (k *Keeper) Lay(ctx context.Context, who, subject string, up bool) error {
	kind, name, _ := strings.Cut(subject, "/")
	if name == "" || kind != "token" && kind != "flag" && kind != "service" && kind != "flagset" {
		return errs.E(errs.Invalid, "bait %q: expected token/NAME, flag/SET:KEY, flagset/NAME or service/NAME", subject)
	}
	typ := "honey.laid"
	if up {
		typ = "honey.taken-up"
	}
	e, err := audit.New(k.Now(), typ, who, subject, nil)
	if err != nil {
		return err
	}
	if _, err = k.Store.Commit(ctx, store.Write{Events: []audit.Event{e}}); err != nil {
		return err
	}
	return k.Look(ctx)
}

// Used says that somebody signed in. When that was by bait it is recorded, at most once a minute.
func (k *Keeper) Used(ctx context.Context, who string) {
	k.mu.Lock()
	now := k.Now()
	due := k.honey[who] && now.Sub(k.touched[who]) > time.Minute
	if due {
		k.touched[who] = now
	}
	k.mu.Unlock()
	if !due {
		return
	}
	e, err := audit.New(now, "honey.touched", who, "api/sign-in", nil)
	if err == nil {
		_, err = k.Store.Commit(ctx, store.Write{Events: []audit.Event{e}})
	}
	if err != nil {
		k.Logger.Error("that bait was touched could not be recorded", "who", who, "err", err)
	}
}

// Overdue says which repairs of any breach should be done.
func (k *Keeper) Overdue(ctx context.Context) ([]string, error) {
	all, err := k.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range all {
		for _, r := range s.Overdue(k.Now()) {
			out = append(out, fmt.Sprintf("breach %s: %s (%s) should have been repaired by %s", s.ID, r.Text, r.Owner, r.Due.UTC().Format(time.DateOnly)))
		}
		if !s.NotifyDue.IsZero() && len(s.Notified) == 0 && s.Closed.IsZero() && k.Now().After(s.NotifyDue) {
			out = append(out, fmt.Sprintf("breach %s: nobody was told, which was due on %s", s.ID, s.NotifyDue.UTC().Format(time.DateTime)))
		}
	}
	return out, nil
}
