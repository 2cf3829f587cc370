package responder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/store"
)

// head is what all incidents share. Whoever opens or ends one replaces it.
type head struct {
	Count int      `json:"count"` // incidents so far
	Live  []string `json:"live"`  // those that are not closed, or have open action items
	Seq   int64    `json:"seq"`   // the record was followed up to here
}

func (r *Responder) head(ctx context.Context) (head, int64, error) {
	var h head
	doc, err := r.Store.Get(ctx, kindHead, headName)
	if errs.Is(err, errs.Missing) {
		return h, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(doc.Body, &h)
	}
	return h, doc.Rev, err
}

func putHead(h head, rev int64) (store.Doc, error) {
	body, err := json.Marshal(h)
	return store.Doc{Kind: kindHead, Name: headName, Rev: rev, Body: body}, err
}

// get is an incident with the revision of its document. Its number alone names it as well.
func (r *Responder) get(ctx context.Context, id string) (incident.State, int64, error) {
	var s incident.State
	if !strings.HasPrefix(id, "inc-") {
		id = "inc-" + id
	}
	doc, err := r.Store.Get(ctx, KindIncident, id)
	if errs.Is(err, errs.Missing) {
		return s, 0, errs.E(errs.Missing, "there is no incident %q", id).Next("list them: ringfence incident list")
	}
	if err == nil {
		err = json.Unmarshal(doc.Body, &s)
	}
	return s, doc.Rev, err
}

// Get is an incident.
func (r *Responder) Get(ctx context.Context, id string) (incident.State, error) {
	s, _, err := r.get(ctx, id)
	return s, err
}

// List is every incident, newest first.
func (r *Responder) List(ctx context.Context) ([]incident.State, error) {
	var all []incident.State
	for after := ""; ; {
		docs, err := r.Store.List(ctx, store.Page{Kind: KindIncident, After: after})
		if err != nil {
			return nil, err
		}
		if len(docs) == 0 {
			break
		}
		for _, d := range docs {
			var s incident.State
			if err := json.Unmarshal(d.Body, &s); err != nil {
				return nil, errs.Wrap(errs.Internal, err, "%s is damaged", d.Name)
			}
			all = append(all, s)
		}
		after = docs[len(docs)-1].Name
	}
	slices.SortFunc(all, func(a, b incident.State) int { return b.Number - a.Number })
	return all, nil
}

// live are the incidents that are not closed.
func (r *Responder) live(ctx context.Context, h head) ([]incident.State, error) {
	var all []incident.State
	for _, id := range h.Live {
		s, _, err := r.get(ctx, id)
		if err != nil {
			return nil, err
		}
		if s.Phase != incident.Closed {
			all = append(all, s)
		}
	}
	return all, nil
}

// write is one transaction on one incident: its events and what follows from them.
func write(s incident.State, rev int64, events []incident.Event, more ...store.Doc) (incident.State, store.Write, error) {
	id := s.ID
	s = incident.FoldAll(s, events)
	if id == "" {
		id = s.ID
	}
	w := store.Write{Puts: more}
	for _, e := range events {
		a, err := audit.New(e.Time, e.Type, e.Actor, "incident/"+id, e)
		if err != nil {
			return s, w, err
		}
		w.Events = append(w.Events, a)
	}
	body, err := json.Marshal(s)
	w.Puts = append(w.Puts, store.Doc{Kind: KindIncident, Name: id, Rev: rev, Body: body})
	return s, w, err
}

// attempts bounds how often something is begun again because another write was faster.
const attempts = 20

// change decides on an incident and records it, again when another write was faster.
func (r *Responder) change(ctx context.Context, id string, decide func(incident.State) ([]incident.Event, error)) (incident.State, error) {
	for range attempts {
		s, rev, err := r.get(ctx, id)
		if err != nil {
			return s, err
		}
		events, err := decide(s)
		if err != nil || len(events) == 0 {
			return s, err
		}
		after, w, err := write(s, rev, events)
		if err != nil {
			return s, err
		}
		if finished(after) != finished(s) {
			h, hrev, err := r.head(ctx)
			if err != nil {
				return s, err
			}
			h.Live = slices.DeleteFunc(h.Live, func(o string) bool { return o == after.ID })
			if !finished(after) {
				h.Live = append(h.Live, after.ID)
			}
			doc, err := putHead(h, hrev)
			if err != nil {
				return s, err
			}
			w.Puts = append(w.Puts, doc)
		}
		_, err = r.Store.Commit(ctx, w)
		if errs.Is(err, errs.Conflict) && ctx.Err() == nil {
			continue
		}
		return after, err
	}
	return incident.State{}, errs.E(errs.Conflict, "incident %s is being changed by others over and over", id).Next("ask again")
}

// finished says whether nothing is left to be attended to.
func finished(s incident.State) bool {
	return s.Phase == incident.Closed && !slices.ContainsFunc(s.Actions, func(a incident.Action) bool { return a.Done.IsZero() })
}

// begin opens an incident, or joins what is the same: decide says which. It is asked again when another write was faster.
func (r *Responder) begin(ctx context.Context, seq int64, decide func(live []incident.State) (into *incident.State, events []incident.Event, err error)) (incident.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range attempts {
		h, hrev, err := r.head(ctx)
		if err != nil {
			return incident.State{}, err
		}
		if seq > 0 && seq <= h.Seq {
			return incident.State{}, nil // another control plane has done it
		}
		live, err := r.live(ctx, h)
		if err != nil {
			return incident.State{}, err
		}
		s, events, err := decide(live)
		if err != nil || len(events) == 0 && seq == 0 {
			return incident.State{}, err
		}
		h.Seq = max(h.Seq, seq)
		w := store.Write{}
		var after incident.State
		if len(events) > 0 {
			if after, w, err = r.into(ctx, s, &h, events); err != nil {
				return after, err
			}
		}
		doc, err := putHead(h, hrev)
		if err != nil {
			return after, err
		}
		w.Puts = append(w.Puts, doc)
		_, err = r.Store.Commit(ctx, w)
		if errs.Is(err, errs.Conflict) && ctx.Err() == nil {
			continue
		}
		return after, err
	}
	return incident.State{}, errs.E(errs.Conflict, "incidents are being opened by others over and over").Next("ask again")
}

// into writes events of an incident that is there, or of a new one.
func (r *Responder) into(ctx context.Context, s *incident.State, h *head, events []incident.Event) (incident.State, store.Write, error) {
	if s != nil {
		now, rev, err := r.get(ctx, s.ID)
		if err != nil {
			return now, store.Write{}, err
		}
		return write(now, rev, events)
	}
	h.Count++
	id := fmt.Sprintf("inc-%d", h.Count)
	events[0].ID, events[0].Number = id, h.Count
	h.Live = append(h.Live, id)
	return write(incident.State{}, 0, events)
}

// Hurting are the incidents that are not yet resolved.
func (r *Responder) Hurting(ctx context.Context) ([]incident.State, error) {
	h, _, err := r.head(ctx)
	if err != nil {
		return nil, err
	}
	all, err := r.live(ctx, h)
	return slices.DeleteFunc(all, func(s incident.State) bool { return !s.Phase.Before(incident.Resolved) }), err
}
