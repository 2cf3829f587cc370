package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// told is an event with what is known around it. Of the rollout's state, only what never changes goes into the Event,
// so that a repeat is the same; the rest is for the words.
type told struct {
	Event
	said     rollout.Event   // of events of a rollout
	state    rollout.State   // as it is now; without ID when it is not known
	freeze   resource.Freeze // of events of a freeze, as it is now or was last
	incident incident.Event  // of events of an incident
}

// lookUp completes an event.
func (e *Engine) lookUp(ctx context.Context, ev audit.Event, states map[string]rollout.State) (told, error) {
	t := told{Event: Event{Event: ev, ID: eventID(ev), Source: e.source(), Service: serviceOf(ev.Subject), Link: e.link(ev.Subject)}}
	if id, ok := strings.CutPrefix(ev.Subject, "rollout/"); ok {
		_ = json.Unmarshal(ev.Data, &t.said) // what cannot be read is told without
		t.said.Type, t.said.Time, t.said.Actor = ev.Type, ev.Time, ev.Actor
		t.Rollout, t.From, t.To = id, t.said.From, t.said.To
		if err := e.rollout(ctx, id, &t, states); err != nil {
			return t, err
		}
	}
	if name, ok := strings.CutPrefix(ev.Subject, "freeze/"); ok {
		if err := e.freeze(ctx, name, &t); err != nil {
			return t, err
		}
	}
	if strings.HasPrefix(ev.Type, incidentTypes) {
		t.incident = incidentOf(ev)
		t.Service = t.incident.Service
	}
	t.Text = t.sentence()
	return t, nil
}

// freeze finds what was frozen, for the words: where it is declared, or in the event that says that it no longer is.
func (e *Engine) freeze(ctx context.Context, name string, t *told) error {
	var gone struct{ Before resource.Resource }
	_ = json.Unmarshal(t.Data, &gone)
	r := gone.Before
	if r.Kind == "" {
		var err error
		if r, err = e.Catalog.Get(ctx, resource.KindFreeze, name); errs.Is(err, errs.Missing) {
			return nil
		} else if err != nil {
			return err
		}
	}
	var err error
	t.freeze, err = resource.As[resource.Freeze](r)
	return err
}

func (e *Engine) rollout(ctx context.Context, id string, t *told, states map[string]rollout.State) error {
	s, known := states[id]
	if !known {
		var err error
		if s, err = e.Rollouts.Find(ctx, id); err != nil && !errs.Is(err, errs.Missing) {
			return err
		}
		if s.ID != id { // unknown, or a service of that name was found
			s = rollout.State{}
		}
		states[id] = s
	}
	if s.ID == "" {
		return nil
	}
	t.state = s
	t.Service, t.From, t.To, t.By = s.Service, s.From, s.To, s.By
	t.Plan, t.Lane, t.Units = s.Plan, string(s.Lane), s.Units
	left := t.To
	if t.Type == rollout.EvRolledBack || t.Type == rollout.EvSuperseded {
		left = t.From
	}
	return e.digest(ctx, t, resource.SlotOf(left).Version)
}

func (e *Engine) digest(ctx context.Context, t *told, version string) error {
	if version == "" {
		return nil
	}
	r, err := e.Catalog.Get(ctx, resource.KindRelease, resource.ReleaseName(t.Service, version))
	if errs.Is(err, errs.Missing) {
		return nil
	}
	if err != nil {
		return err
	}
	rel, err := resource.As[resource.Release](r)
	t.Digest = rel.Digest
	return err
}

// source is what CloudEvents call the producer.
func (e *Engine) source() string {
	if e.Link == "" {
		return "/ringfence"
	}
	return e.Link
}

// link is the page of a subject.
func (e *Engine) link(subject string) string {
	if e.Link == "" {
		return ""
	}
	kind, name, _ := strings.Cut(subject, "/")
	if kind == "rollout" || kind == "incident" {
		return e.Link + "/" + kind + "s/" + name
	}
	if service := serviceOf(subject); service != "" {
		return e.Link + "/services/" + service
	}
	return e.Link + "/events"
}

// reasonOf is the reason that an event of anything but a rollout was given.
func reasonOf(data json.RawMessage) string {
	var d struct{ Reason, Error string }
	_ = json.Unmarshal(data, &d)
	return cmp.Or(d.Reason, d.Error)
}
