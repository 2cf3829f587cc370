package resource

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Rotation says who is called for incidents, in turns and in steps, until somebody takes them.
type Rotation struct {
	Services []string        `json:"services,omitempty" maxItems:"1000" doc:"for incidents of these services; with owners too, for either; without both for those that no other rotation is for"`
	Owners   []string        `json:"owners,omitempty" maxItems:"1000" doc:"for incidents of services that these own"`
	UpTo     *int            `json:"upTo,omitempty" minimum:"0" maximum:"4" doc:"the mildest severity for which people are called; default 2"`
	People   []OnCall        `json:"people" minItems:"1" maxItems:"200" doc:"who takes part, and how they are reached"`
	Layers   []RotationLayer `json:"layers" minItems:"1" maxItems:"20" doc:"rows of people who take turns"`
	Steps    []CallStep      `json:"steps" minItems:"1" maxItems:"20" doc:"who is called, one after the other, until somebody takes the incident"`
	Repeat   *int            `json:"repeat,omitempty" minimum:"0" maximum:"20" doc:"how often all steps are gone through again; default 3"`
}

// OnCall is somebody who can be called.
type OnCall struct {
	Name      string   `json:"name" maxLength:"200" doc:"a principal, as their token names them"`
	Notifiers []string `json:"notifiers" minItems:"1" maxItems:"10" doc:"Notifiers by which they are reached; a webhook for a phone"`
}

// RotationLayer is a row of people who take turns.
type RotationLayer struct {
	Name   string   `json:"name" doc:"lower-case letters, digits and hyphens"`
	People []string `json:"people" minItems:"1" maxItems:"100" doc:"who takes turns, in this order"`
	Start  string   `json:"start" doc:"when the first turn begins, local to the zone, such as 2026-11-02T09:00; turns are handed over at this time of the day"`
	Zone   string   `json:"zone,omitempty" doc:"IANA time zone, such as Europe/Berlin; default UTC"`
	Days   int      `json:"days,omitempty" minimum:"1" maximum:"366" doc:"how long a turn is; default 7"`
	Hours  *Hours   `json:"hours,omitempty" doc:"only then, in the layer's zone; default always"`
}

// CallStep calls some people and waits.
type CallStep struct {
	Call []string  `json:"call" minItems:"1" maxItems:"20" doc:"layers, of which whoever is on call is called, and people"`
	Wait fleet.Dur `json:"wait,omitempty" doc:"how long until the next step, when nobody takes the incident; default 5m"`
}

// Defaults returns r with every default filled in.
func (r Rotation) Defaults() Rotation {
	if r.UpTo == nil {
		two := 2
		r.UpTo = &two
	}
	if r.Repeat == nil {
		three := 3
		r.Repeat = &three
	}
	r.Layers, r.Steps = slices.Clone(r.Layers), slices.Clone(r.Steps)
	for i := range r.Layers {
		or(&r.Layers[i].Days, 7)
		or(&r.Layers[i].Zone, "UTC")
		if h := r.Layers[i].Hours; h != nil {
			full := *h
			or(&full.From, "09:00")
			or(&full.To, "17:00")
			if full.Days == nil {
				full.Days = weekdays[:5]
			}
			r.Layers[i].Hours = &full
		}
	}
	for i := range r.Steps {
		or(&r.Steps[i].Wait, fleet.Dur(5*time.Minute))
	}
	return r
}

// Concerns reports whether the rotation names a service or its owner.
func (r Rotation) Concerns(service, owner string) bool {
	return slices.Contains(r.Services, service) || owner != "" && slices.Contains(r.Owners, owner)
}

// ForAll reports whether it is for what no other rotation is for.
func (r Rotation) ForAll() bool { return len(r.Services)+len(r.Owners) == 0 }

func (r Rotation) refs() []Ref {
	var refs []Ref
	for i, p := range r.People {
		for j, n := range p.Notifiers {
			refs = append(refs, Ref{item(item("spec.people", i)+".notifiers", j), KindNotifier, n})
		}
	}
	return refs
}

func (p *problems) rotation(r *Rotation) {
	p.names(r.Services, "spec.services")
	if r.Owners != nil {
		p.keys(r.Owners, "spec.owners", "an owner")
	}
	var people, layers []string
	for i, c := range r.People {
		people = append(people, c.Name)
		p.names(c.Notifiers, item("spec.people", i)+".notifiers")
	}
	p.keys(people, "spec.people", "a principal")
	for i, l := range r.Layers {
		at := item("spec.layers", i)
		p.name(l.Name, at+".name")
		p.need(!slices.Contains(layers, l.Name), at+".name", "each once", "%q stands twice", clip(l.Name))
		p.need(!slices.Contains(people, l.Name), at+".name", "a name that no person has", "%q is a person", clip(l.Name))
		layers = append(layers, l.Name)
		for j, name := range l.People {
			p.need(slices.Contains(people, name), item(at+".people", j), "one of spec.people", "%q is none of them", clip(name))
		}
		_, err := time.Parse(localTime, l.Start)
		p.need(err == nil, at+".start", "a local time such as 2026-11-02T09:00", "got %q", clip(l.Start))
		p.zone(l.Zone, at+".zone")
		p.hours(l.Hours, at+".hours")
		p.need(l.Hours == nil || l.Hours.Zone == "", at+".hours.zone", "none: the layer's zone counts", "is given")
	}
	for i, s := range r.Steps {
		at := item("spec.steps", i)
		for j, c := range s.Call {
			p.need(slices.Contains(layers, c) || slices.Contains(people, c), item(at+".call", j), "a layer or a person of this rotation", "%q is neither", clip(c))
		}
		p.within(s.Wait, 24*time.Hour, at+".wait")
		p.need(s.Wait == 0 || s.Wait >= fleet.Dur(time.Second), at+".wait", "at least 1s", "%s is too short", s.Wait)
	}
}
