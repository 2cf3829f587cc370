package responder

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// OnCall is a rotation as it stands.
type OnCall struct {
	Rotation  string              `json:"rotation"`
	Spec      resource.Rotation   `json:"spec"`
	Now       []incident.Shift    `json:"now" doc:"who is on call in each layer"`
	Shifts    []incident.Shift    `json:"shifts" doc:"who is, layer by layer, in the time that was asked for"`
	Gaps      []incident.Shift    `json:"gaps" doc:"times in which the first step would call nobody"`
	Overrides []incident.Override `json:"overrides"`
	Gone      []string            `json:"gone" doc:"people who cannot sign in any more, or never could"`
}

// OnCall are all rotations, with their shifts over the next time.
func (r *Responder) OnCall(ctx context.Context, name string, ahead time.Duration) ([]OnCall, error) {
	now := r.now()
	if ahead < time.Minute || ahead > 366*24*time.Hour {
		return nil, errs.E(errs.Invalid, "for %s: expected a minute to a year", ahead)
	}
	all, err := r.rotations(ctx)
	if err != nil {
		return nil, err
	}
	var known map[string]bool
	if r.Known != nil {
		if known, err = r.Known(ctx); err != nil {
			return nil, err
		}
	}
	list := []OnCall{}
	for _, o := range all {
		if name != "" && o.name != name {
			continue
		}
		overrides, err := r.overrides(ctx, o.name, now)
		if err != nil {
			return nil, err
		}
		list = append(list, o.stands(now, now.Add(ahead), overrides, known))
	}
	if name != "" && len(list) == 0 {
		return nil, errs.E(errs.Missing, "there is no Rotation %q", name)
	}
	return list, nil
}

func (o rotation) stands(from, to time.Time, overrides []incident.Override, known map[string]bool) OnCall {
	c := OnCall{Rotation: o.name, Spec: o.Rotation, Now: []incident.Shift{}, Shifts: []incident.Shift{}, Gaps: []incident.Shift{}, Overrides: overrides, Gone: []string{}}
	var first [][]incident.Shift
	person := false
	for _, l := range o.layers {
		shifts := l.Shifts(from, to, overrides)
		c.Now = append(c.Now, shifts[0])
		c.Shifts = append(c.Shifts, shifts...)
		if slices.Contains(o.Steps[0].Call, l.Name) {
			first = append(first, shifts)
		}
	}
	for _, name := range o.Steps[0].Call {
		person = person || slices.ContainsFunc(o.People, func(p resource.OnCall) bool { return p.Name == name })
	}
	if !person {
		c.Gaps = append(c.Gaps, incident.Gaps(first, from, to)...)
	}
	for _, p := range o.People {
		if known != nil && !known[p.Name] {
			c.Gone = append(c.Gone, p.Name)
		}
	}
	return c
}

// overrides are those of a rotation that are not over.
func (r *Responder) overrides(ctx context.Context, name string, now time.Time) ([]incident.Override, error) {
	all := []incident.Override{}
	if name == "" {
		return all, nil
	}
	for after := ""; ; {
		docs, err := r.Store.List(ctx, store.Page{Kind: KindOverride, Prefix: name + "/", After: after})
		if err != nil || len(docs) == 0 {
			return all, err
		}
		for _, d := range docs {
			var o incident.Override
			if err := json.Unmarshal(d.Body, &o); err != nil {
				return nil, errs.Wrap(errs.Internal, err, "override %s is damaged", d.Name)
			}
			if o.To.After(now) {
				all = append(all, o)
			}
		}
		after = docs[len(docs)-1].Name
	}
}

// Override gives a time of a layer to somebody.
func (r *Responder) Override(ctx context.Context, actor string, o incident.Override) (incident.Override, error) {
	now := r.now()
	res, err := r.Catalog.Get(ctx, resource.KindRotation, o.Rotation)
	if err != nil {
		return o, err
	}
	rot, err := rotationOf(res)
	if err != nil {
		return o, err
	}
	if o.Layer == "" && len(rot.layers) == 1 {
		o.Layer = rot.layers[0].Name
	}
	switch {
	case !slices.ContainsFunc(rot.layers, func(l incident.Layer) bool { return l.Name == o.Layer }):
		return o, errs.E(errs.Invalid, "layer %q: rotation %s has none of that name", o.Layer, o.Rotation)
	case o.Person != "" && !slices.ContainsFunc(rot.People, func(p resource.OnCall) bool { return p.Name == o.Person }):
		return o, errs.E(errs.Invalid, "%q is not among the people of rotation %s, so it is not known how to reach them", o.Person, o.Rotation)
	case o.From.IsZero():
		o.From = now
	}
	if !o.To.After(o.From) || !o.To.After(now) || o.To.Sub(o.From) > 366*24*time.Hour {
		return o, errs.E(errs.Invalid, "expected a time that ends after it begins, after now, and lasts at most a year")
	}
	o.ID, o.By, o.Made, o.From, o.To = strings.ToLower(rand.Text()[:10]), actor, now, o.From.UTC(), o.To.UTC()
	body, err := json.Marshal(o)
	if err != nil {
		return o, err
	}
	ev, err := audit.New(now, "oncall.overridden", actor, "rotation/"+o.Rotation, o)
	if err != nil {
		return o, err
	}
	_, err = r.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindOverride, Name: o.Rotation + "/" + o.ID, Body: body}}, Events: []audit.Event{ev}})
	return o, err
}
