package pager

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	mostSilences   = 5000
	silenceKept    = 5 * 24 * time.Hour // from its end, as Alertmanager keeps them
	longestSilence = 366 * 24 * time.Hour
)

// Silenced is the data of events of silences.
type Silenced struct {
	ID       string    `json:"id"`
	Matchers string    `json:"matchers"`
	StartsAt time.Time `json:"startsAt"`
	EndsAt   time.Time `json:"endsAt"`
	By       string    `json:"by,omitempty" doc:"who is said to be its author"`
	Comment  string    `json:"comment,omitempty"`
}

// SetSilence makes a silence, or replaces the one of its ID: where that has begun and what it matches changes, it is ended and
// another one made, so that what was silenced when stays known. The answer is its ID.
func (p *Pager) SetSilence(ctx context.Context, actor string, s alert.Silence) (string, error) {
	now := p.now()
	if s.StartsAt.Before(now) {
		s.StartsAt = now
	}
	s, err := s.Checked()
	if err != nil {
		return "", err
	}
	if s.EndsAt.Sub(now) > longestSilence {
		return "", errs.E(errs.Invalid, "a silence until %s: expected at most a year", s.EndsAt.Format(time.RFC3339))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all, revs, err := p.silences(ctx)
	if err != nil {
		return "", err
	}
	var w store.Write
	var was *alert.Silence
	for _, old := range all {
		if old.ID == s.ID {
			was = &old
		}
	}
	switch {
	case s.ID != "" && was == nil:
		return "", errs.E(errs.Missing, "silence not found")
	case was != nil && was.State(now) != alert.SilenceExpired && (was.Matchers.String() == s.Matchers.String() || was.State(now) == alert.SilencePending):
		if was.State(now) == alert.SilenceActive {
			s.StartsAt = was.StartsAt
		}
	case was != nil && was.State(now) != alert.SilenceExpired:
		if err := p.end(&w, actor, *was, revs[was.ID], now); err != nil {
			return "", err
		}
		fallthrough
	default:
		if len(all) >= mostSilences {
			return "", errs.E(errs.Unavailable, "%d silences are kept, and no more are taken", mostSilences)
		}
		s.ID = newID()
	}
	s.UpdatedAt, s.Author = now, actor
	d, err := put(KindSilence, s.ID, revs[s.ID], s)
	if err != nil {
		return "", err
	}
	ev, err := audit.New(now, EvSilenced, actor, "silence/"+s.ID, silenced(s))
	if err != nil {
		return "", err
	}
	w.Puts, w.Events = append(w.Puts, d), append(w.Events, ev)
	_, err = p.Store.Commit(ctx, w)
	p.stir()
	return s.ID, err
}

func silenced(s alert.Silence) Silenced {
	return Silenced{s.ID, s.Matchers.String(), s.StartsAt, s.EndsAt, s.CreatedBy, s.Comment}
}

// end adds the end of a silence to a write.
func (p *Pager) end(w *store.Write, actor string, s alert.Silence, rev int64, now time.Time) error {
	s.EndsAt, s.UpdatedAt = now, now
	if s.StartsAt.After(now) {
		s.StartsAt = now
	}
	d, err := put(KindSilence, s.ID, rev, s)
	if err != nil {
		return err
	}
	ev, err := audit.New(now, EvExpired, actor, "silence/"+s.ID, silenced(s))
	w.Puts, w.Events = append(w.Puts, d), append(w.Events, ev)
	return err
}

// ExpireSilence ends a silence now. Ending what is over is an error, as Alertmanager has it.
func (p *Pager) ExpireSilence(ctx context.Context, actor, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, revs, err := p.silences(ctx)
	if err != nil {
		return err
	}
	now := p.now()
	for _, s := range all {
		if s.ID != id {
			continue
		}
		if s.State(now) == alert.SilenceExpired {
			return errs.E(errs.Conflict, "silence %s already expired", id)
		}
		var w store.Write
		if err := p.end(&w, actor, s, revs[id], now); err != nil {
			return err
		}
		_, err := p.Store.Commit(ctx, w)
		p.stir()
		return err
	}
	return errs.E(errs.Missing, "silence not found")
}

// sweep forgets silences that ended long ago; the record keeps them. The lock is held.
func (p *Pager) sweep(ctx context.Context, all []alert.Silence, revs map[string]int64, now time.Time) error {
	var w store.Write
	for _, s := range all {
		if s.EndsAt.Add(silenceKept).Before(now) && len(w.Deletes) < batch {
			w.Deletes = append(w.Deletes, store.Doc{Kind: KindSilence, Name: s.ID, Rev: revs[s.ID]})
		}
	}
	if len(w.Deletes) == 0 {
		return nil
	}
	_, err := p.Store.Commit(ctx, w)
	return err
}

// newID is a random UUID: those who speak Alertmanager's language expect one.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
