package breaching

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/breach"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Draft begins a breach.
type Draft struct {
	Title        string        `json:"title" minLength:"1" maxLength:"200" doc:"what is known, in a line"`
	Severity     int           `json:"severity" minimum:"0" maximum:"4" doc:"0 is the worst"`
	Principals   []string      `json:"principals,omitempty" maxItems:"100" doc:"identities that are in wrong hands"`
	NotifyWithin time.Duration `json:"notifyWithinNanoseconds,omitempty" minimum:"0" doc:"how soon those concerned have to be told; 0 for no clock"`
}

// List returns all breaches, by their numbers.
func (k *Keeper) List(ctx context.Context) ([]breach.State, error) {
	docs, err := k.Store.List(ctx, store.Page{Kind: KindBreach})
	if err != nil {
		return nil, err
	}
	all := make([]breach.State, len(docs))
	for i, d := range docs {
		if err := json.Unmarshal(d.Body, &all[i]); err != nil {
			return nil, errs.Wrap(errs.Internal, err, "breach %s is damaged", d.Name)
		}
	}
	return all, nil
}

// Get returns a breach.
func (k *Keeper) Get(ctx context.Context, id string) (breach.State, error) {
	s, _, err := k.get(ctx, id)
	return s, err
}

func (k *Keeper) get(ctx context.Context, id string) (breach.State, int64, error) {
	d, err := k.Store.Get(ctx, KindBreach, id)
	if errs.Is(err, errs.Missing) {
		return breach.State{}, 0, errs.E(errs.Missing, "there is no breach %.80q", id).Next("See which there are: ringfence breach list")
	}
	var s breach.State
	if err == nil {
		err = json.Unmarshal(d.Body, &s)
	}
	return s, d.Rev, err
}

func (k *Keeper) put(ctx context.Context, s breach.State, rev int64, typ, who string, data any) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	e, err := audit.New(k.Now(), typ, who, "breach/"+s.ID, data)
	if err != nil {
		return err
	}
	_, err = k.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindBreach, Name: s.ID, Rev: rev, Body: body}}, Events: []audit.Event{e}})
	return err
}

const attempts = 20

// Start begins a breach, and an incident that it is led in.
func (k *Keeper) Start(ctx context.Context, who string, d Draft) (breach.State, error) {
	for range attempts {
		all, err := k.List(ctx)
		if err != nil {
			return breach.State{}, err
		}
		s, err := breach.Start(fmt.Sprintf("breach-%04d", len(all)+1), d.Title, d.Severity, d.Principals, d.NotifyWithin, who, k.Now().UTC())
		if err != nil {
			return s, err
		}
		if err := k.put(ctx, s, 0, "breach.started", who, d); errs.Is(err, errs.Conflict) {
			continue
		} else if err != nil {
			return s, err
		}
		return k.lead(ctx, who, s)
	}
	return breach.State{}, errs.E(errs.Conflict, "breaches are being started by others over and over").Next("Try again.")
}

// lead opens the incident. A breach without one goes on: nobody is kept from containing by that.
func (k *Keeper) lead(ctx context.Context, who string, s breach.State) (breach.State, error) {
	id, err := k.Hands.Lead(ctx, who, "breach: "+s.Title, s.Severity)
	if err != nil {
		k.Logger.Warn("no incident could be opened for a breach", "breach", s.ID, "err", err)
		return s, nil
	}
	s, rev, err := k.get(ctx, s.ID)
	if err != nil {
		return s, err
	}
	s.Incident = id
	return s, k.put(ctx, s, rev, "breach.led", who, map[string]string{"incident": id})
}

// Do does what is asked with a breach.
func (k *Keeper) Do(ctx context.Context, id string, a breach.Ask) (breach.State, error) {
	a.Now = k.Now().UTC()
	for range attempts {
		s, rev, err := k.get(ctx, id)
		if err != nil {
			return s, err
		}
		next, err := s.Next(a)
		if err != nil {
			return s, err
		}
		err = k.put(ctx, next, rev, "breach."+event(a.Verb), a.Actor, a)
		if !errs.Is(err, errs.Conflict) {
			return next, err
		}
	}
	return breach.State{}, errs.E(errs.Conflict, "breach %s is being changed by others over and over", id).Next("Try again.")
}

// event is a verb in the past tense.
func event(verb string) string {
	past := map[string]string{"contain": "contained", "evidence": "evidence-kept", "answer": "answered", "role": "role-given", "step": "step-done",
		"notified": "notified", "repair": "repair-added", "repaired": "repaired", "close": "closed"}
	return past[verb]
}

// Contain ends all sessions and tokens of the identities, and stops the line, so that nothing that they began goes on. What could not be done is
// said, and the rest is done.
func (k *Keeper) Contain(ctx context.Context, who, id, name string, freeze bool) (breach.State, error) {
	s, err := k.Get(ctx, id)
	if err != nil {
		return s, err
	}
	if !s.Closed.IsZero() {
		return s, errs.E(errs.Conflict, "breach %s was closed", id)
	}
	names := s.Principals
	if name != "" {
		names = []string{name}
	}
	if len(names) == 0 && !freeze {
		return s, errs.E(errs.Invalid, "breach %s names no identity: expected whom to contain", id)
	}
	now := k.Now().UTC()
	var done []string
	var failed []error
	for _, n := range names {
		sessions, err := k.Hands.End(ctx, who, n, now)
		failed = append(failed, err)
		tokens, err := k.Hands.Revoke(ctx, who, n, now)
		failed = append(failed, err)
		done = append(done, fmt.Sprintf("%s: %d sessions ended, %d tokens revoked", n, sessions, tokens))
	}
	if freeze {
		err := k.Hands.Stop(ctx, who, "breach "+id+": "+s.Title, now)
		if err == nil {
			done = append(done, "the line is stopped")
		}
		failed = append(failed, err)
	}
	s, err = k.Do(ctx, id, breach.Ask{Verb: "contain", Name: name, Actor: who, Contained: done})
	return s, errors.Join(append(failed, err)...)
}
