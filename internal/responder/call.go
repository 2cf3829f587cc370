package responder

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
)

// rotation is a declared one with its layers.
type rotation struct {
	name string
	resource.Rotation
	layers []incident.Layer
}

var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func rotationOf(res resource.Resource) (rotation, error) {
	spec, err := resource.As[resource.Rotation](res)
	if err != nil {
		return rotation{}, err
	}
	r := rotation{name: res.Metadata.Name, Rotation: spec.Defaults()}
	for _, l := range r.Layers {
		zone, err := time.LoadLocation(l.Zone)
		if err != nil {
			return r, errs.Wrap(errs.Internal, err, "rotation %s", r.name)
		}
		start, err := time.Parse("2006-01-02T15:04", l.Start)
		if err != nil {
			return r, errs.Wrap(errs.Internal, err, "rotation %s", r.name)
		}
		layer := incident.Layer{Name: l.Name, People: l.People, Start: start, Days: l.Days, Zone: zone}
		if h := l.Hours; h != nil {
			hours := incident.Hours{From: minutes(h.From), To: minutes(h.To)}
			for _, d := range h.Days {
				hours.Days[slices.Index(days, d)] = true
			}
			layer.Hours = &hours
		}
		r.layers = append(r.layers, layer)
	}
	return r, nil
}

// minutes of the day that a clock shows, as 09:00.
func minutes(clock string) int {
	var h, m int
	_, _ = fmt.Sscanf(clock, "%d:%d", &h, &m)
	return h*60 + m
}

func (r *Responder) rotations(ctx context.Context) ([]rotation, error) {
	var all []rotation
	for after := ""; ; {
		rs, err := r.Catalog.List(ctx, resource.KindRotation, after, 0)
		if err != nil || len(rs) == 0 {
			return all, err
		}
		for _, res := range rs {
			one, err := rotationOf(res)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
		}
		after = rs[len(rs)-1].Metadata.Name
	}
}

// rotationFor is the one that is called for an incident: the first that names its service or owner, else the first that
// is for all others.
func rotationFor(all []rotation, s incident.State) (rotation, bool) {
	for _, want := range []func(rotation) bool{
		func(o rotation) bool { return o.Concerns(s.Service, s.Owner) }, rotation.forAll,
	} {
		if i := slices.IndexFunc(all, want); i >= 0 {
			return all[i], true
		}
	}
	return rotation{}, false
}

func (o rotation) forAll() bool { return o.ForAll() }

// on are the people of a step at a time, with the layers that have nobody.
func (o rotation) on(step resource.CallStep, at time.Time, overrides []incident.Override) (people, empty []string) {
	for _, name := range step.Call {
		i := slices.IndexFunc(o.layers, func(l incident.Layer) bool { return l.Name == name })
		if i >= 0 {
			if name = o.layers[i].Now(at, overrides).Person; name == "" {
				empty = append(empty, o.layers[i].Name)
				continue
			}
		}
		if !slices.Contains(people, name) {
			people = append(people, name)
		}
	}
	return people, empty
}

// reach are the notifiers of people.
func (o rotation) reach(people []string) []string {
	var to []string
	for _, p := range o.People {
		for _, n := range p.Notifiers {
			if slices.Contains(people, p.Name) && !slices.Contains(to, n) {
				to = append(to, n)
			}
		}
	}
	return to
}

// call makes the step that is due, if one is. Of several control planes the first to write makes it.
func (r *Responder) call(ctx context.Context, s incident.State, now time.Time) error {
	if s.Calls.Done || s.Calls.Next.After(now) {
		return nil
	}
	all, err := r.rotations(ctx)
	if err != nil {
		return err
	}
	o, ok := rotationFor(all, s)
	if ok && s.Severity > *o.UpTo {
		return nil
	}
	overrides, err := r.overrides(ctx, o.name, now)
	if err != nil {
		return err
	}
	id := s.ID
	_, err = r.change(ctx, id, func(s incident.State) ([]incident.Event, error) {
		if s.Phase != incident.Open || s.Calls.Done || s.Calls.Next.After(now) {
			return nil, nil // another control plane made the step
		}
		if !ok {
			return []incident.Event{{Type: incident.EvUncalled, Time: now, Actor: Actor, Service: s.Service, Phase: s.Phase, Text: "nobody is called: no Rotation is for it"}}, nil
		}
		return []incident.Event{o.step(s, now, overrides)}, nil
	})
	return err
}

// step is the event of the step that is due.
func (o rotation) step(s incident.State, now time.Time, overrides []incident.Override) incident.Event {
	c := s.Calls
	if c.Rotation != o.name {
		c = incident.Calls{Rotation: o.name}
	}
	e := incident.Event{Time: now, Actor: Actor, Service: s.Service, Title: s.Title, Severity: &s.Severity, Phase: s.Phase}
	var empty []string
	for tries := 0; ; tries++ {
		if c.Step >= len(o.Steps) {
			c.Step = 0
			c.Round++
		}
		if c.Round > *o.Repeat || tries > len(o.Steps) {
			e.Type, e.Text = incident.EvUncalled, "nobody is left to call: nobody has taken it"
			if tries > len(o.Steps) {
				e.Text = "nobody is on call: " + strings.Join(empty, ", ")
			}
			return e
		}
		step := o.Steps[c.Step]
		people, none := o.on(step, now, overrides)
		for _, l := range none {
			if !slices.Contains(empty, l) {
				empty = append(empty, l)
			}
		}
		c.Step++
		if len(people) == 0 {
			continue // a gap is no time to wait in
		}
		c.Next, c.Called = now.Add(step.Wait.D(0)), people
		e.Type, e.Calls, e.People, e.To = incident.EvCalled, &c, people, o.reach(people)
		if len(empty) > 0 {
			e.Text = "nobody is on call in " + strings.Join(empty, ", ")
		}
		return e
	}
}

// remindEvery is the time between two reminders of an action item that is overdue.
const remindEvery = 24 * time.Hour

// remind tells who owns an action item that it is overdue.
func (r *Responder) remind(ctx context.Context, id string, now time.Time) error {
	s, err := r.Get(ctx, id)
	if err != nil || !slices.ContainsFunc(s.Actions, func(a incident.Action) bool { return overdue(a, now) }) {
		return err
	}
	all, err := r.rotations(ctx)
	if err != nil {
		return err
	}
	_, err = r.change(ctx, id, func(s incident.State) ([]incident.Event, error) {
		var events []incident.Event
		for _, a := range s.Actions {
			if !overdue(a, now) {
				continue
			}
			e := incident.Event{Type: incident.EvReminded, Time: now, Actor: Actor, Service: s.Service, Phase: s.Phase, Action: &a,
				Text: fmt.Sprintf("%s (%s, due %s, open for %s)", a.Text, a.Owner, a.Due.Format(time.DateOnly), incident.Span(now.Sub(a.Made)))}
			for _, o := range all {
				for _, n := range o.reach([]string{strings.TrimPrefix(a.Owner, "user:")}) {
					if !slices.Contains(e.To, n) {
						e.To = append(e.To, n)
					}
				}
			}
			events = append(events, e)
		}
		return events, nil
	})
	return err
}

func overdue(a incident.Action, now time.Time) bool {
	return a.Done.IsZero() && !a.Due.IsZero() && a.Due.Before(now) && now.Sub(a.Reminded) >= remindEvery
}
