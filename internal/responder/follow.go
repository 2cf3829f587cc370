package responder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	batch     = 500
	saveAfter = 5000 // events that say nothing are read again after a restart, at most so many
)

// follow takes in what the record says of rollouts since the last look.
func (r *Responder) follow(ctx context.Context) error {
	h, rev, err := r.head(ctx)
	if err != nil {
		return err
	}
	if rev == 0 { // incidents begin now: what was before is over
		return r.start(ctx)
	}
	if r.seen < h.Seq {
		r.seen = h.Seq
	}
	for {
		events, err := r.Store.Events(ctx, store.EventQuery{After: r.seen, Limit: batch})
		if err != nil {
			return err
		}
		for _, ev := range events {
			if err := r.take(ctx, ev); err != nil {
				return err
			}
			r.seen = ev.Seq
		}
		if len(events) < batch {
			break
		}
	}
	if r.seen-h.Seq >= saveAfter {
		_, err = r.begin(ctx, r.seen, func([]incident.State) (*incident.State, []incident.Event, error) { return nil, nil, nil })
	}
	return err
}

// start writes the first head.
func (r *Responder) start(ctx context.Context) error {
	last, err := r.Store.Events(ctx, store.EventQuery{Backward: true, Limit: 1})
	if err != nil {
		return err
	}
	h := head{}
	if len(last) > 0 {
		h.Seq = last[0].Seq
	}
	doc, err := putHead(h, 0)
	if err != nil {
		return err
	}
	if _, err = r.Store.Commit(ctx, store.Write{Puts: []store.Doc{doc}}); errs.Is(err, errs.Conflict) {
		return nil
	}
	return err
}

// take looks at one event.
func (r *Responder) take(ctx context.Context, ev audit.Event) error {
	id, ok := strings.CutPrefix(ev.Subject, "rollout/")
	if !ok {
		return nil
	}
	switch ev.Type {
	case rollout.EvHalted, rollout.EvAborted:
		return r.hurt(ctx, ev, id)
	}
	return nil
}

// hurt opens an incident for a rollout that was halted or is taken back after somebody got it, or joins one.
func (r *Responder) hurt(ctx context.Context, ev audit.Event, id string) error {
	state, err := r.Rollouts.Find(ctx, id)
	if err != nil || state.ID != id {
		if errs.Is(err, errs.Missing) || err == nil {
			return nil
		}
		return err
	}
	if len(state.Stages) == 0 || state.Stages[0].Exposed.After(ev.Time) {
		return nil // nobody had it
	}
	calls, err := r.dependencies(ctx)
	if err != nil {
		return err
	}
	var said rollout.Event
	_ = json.Unmarshal(ev.Data, &said) // what cannot be read is opened without
	service := state.Service
	_, err = r.begin(ctx, ev.Seq, func(live []incident.State) (*incident.State, []incident.Event, error) {
		e := incident.Event{Time: r.now(), Actor: Actor, Service: service, Rollout: id, Text: said.Reason, Impact: &incident.Impact{Start: said.HurtAt, Source: "rollout"}}
		if said.HurtAt.IsZero() {
			e.Impact = nil
		} else if said.Ring != "" {
			e.Impact.Where = "ring " + said.Ring
		}
		if i := slices.IndexFunc(live, func(s incident.State) bool {
			return slices.Contains(s.Rollouts, id) || same(s, service, calls, ev.Time)
		}); i >= 0 {
			if slices.Contains(live[i].Rollouts, id) {
				return nil, nil, nil
			}
			e.Type, e.Phase = incident.EvJoined, live[i].Phase
			return &live[i], []incident.Event{e}, nil
		}
		severity := 3
		if state.Everyone() && strings.HasPrefix(ev.Actor, "user:") {
			severity = 2
		}
		e.Type, e.Origin, e.Severity, e.Phase, e.At = incident.EvOpened, incident.ByRollout, &severity, incident.Open, ev.Time
		e.Owner, e.Title = r.service(ctx, service).Owner, titleOfRollout(state, ev, said)
		return nil, []incident.Event{e}, nil
	})
	return err
}

func titleOfRollout(s rollout.State, ev audit.Event, said rollout.Event) string {
	what := "hurts"
	switch {
	case ev.Type == rollout.EvAborted:
		what = "is taken back"
	case strings.HasPrefix(ev.Actor, "user:"):
		what = "was halted"
	}
	where := ""
	if said.Ring != "" {
		where = " in ring " + said.Ring
	}
	return clip(fmt.Sprintf("%s %s %s%s", serviceName(s.Service), s.To, what, where), 200)
}

// serviceName is a service, or a flag as people name it.
func serviceName(s string) string {
	if name, ok := strings.CutPrefix(s, "flag:"); ok {
		return "flag " + strings.ReplaceAll(name, ":", "/")
	}
	return s
}

// settle mitigates an incident whose rollouts are all back when its alerts are over, or the requests say that it is:
// alerts look back, and go on for a while.
func (r *Responder) settle(ctx context.Context, s incident.State) (incident.State, error) {
	if !s.Live() || len(s.Rollouts) == 0 {
		return s, nil
	}
	var last time.Time
	for _, id := range s.Rollouts {
		state, err := r.Rollouts.Find(ctx, id)
		switch {
		case errs.Is(err, errs.Missing):
			continue
		case err != nil:
			return s, err
		case state.ID == id && state.Phase != rollout.RolledBack && state.Phase != rollout.Superseded:
			return s, nil
		case state.SafeAt.After(last):
			last = state.SafeAt
		}
	}
	over := len(s.Firing()) == 0
	if !over {
		var err error
		if over, err = r.calm(ctx, s, last); err != nil || !over {
			return s, err
		}
	}
	firing := s.Firing()
	return r.change(ctx, s.ID, func(s incident.State) ([]incident.Event, error) {
		if !s.Live() || !slices.Equal(s.Firing(), firing) {
			return nil, nil
		}
		e := incident.Event{Type: incident.EvMitigated, Time: r.now(), Actor: Actor, Service: s.Service, Phase: incident.Mitigated, Text: "it was taken back"}
		for _, p := range s.Pages {
			if p.Resolved.After(last) {
				last = p.Resolved
			}
		}
		if last.Before(e.Time) {
			e.At = last
		}
		return []incident.Event{e}, nil
	})
}

// calm says whether the requests of the service itself are as they were before, some time after a moment.
func (r *Responder) calm(ctx context.Context, s incident.State, back time.Time) (bool, error) {
	now := r.now()
	elsewhere := slices.ContainsFunc(s.Pages, func(p incident.PageRef) bool { return p.Resolved.IsZero() && p.Service != s.Service })
	if elsewhere || back.IsZero() || now.Sub(back) < r.Settle || now.Sub(r.calmed[s.ID]) < min(patience, r.Settle) {
		return false, nil
	}
	r.calmed[s.ID] = now
	_, _, spell, found, err := r.signal(ctx, s, s.Detected.Add(-lookBack), now, now)
	if err != nil {
		r.Logger.Warn("whether an incident is over cannot be said by requests now", "incident", s.ID, "err", err)
		return false, nil // its alerts will say so
	}
	return found && spell.Over && spell.End.Before(back.Add(closing)), nil
}

// closing is how long after a rollout is back the last of its bad requests may come.
const closing = time.Minute
