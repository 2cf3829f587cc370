package upkeep

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/store"
)

// Store keeps documents and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Fleet is the way to the data planes: their last reports, with when they came, and how to tell one that something has changed.
type Fleet interface {
	Units() []fleet.Observed
	Publish(unit string)
}

// Options of a Keeper.
type Options struct {
	Store    Store
	Fleet    Fleet
	Declared func() // a unit began or ended its maintenance: whoever rests on that shall look again
	Logger   *slog.Logger
	Every    time.Duration // between looks at what is reported; default 1s
}

// Keeper looks after units. Make it with New; Run records what they do.
type Keeper struct{ Options }

// New makes a keeper.
func New(o Options) *Keeper {
	o.Every = cmp.Or(o.Every, time.Second)
	if o.Declared == nil {
		o.Declared = func() {}
	}
	return &Keeper{o}
}

// Unit is a place where instances run, as it was last heard of.
type Unit struct {
	Name     string      `json:"name"`
	State    string      `json:"state" enum:"serving,cordoned,leaving,resting,returning,silent" doc:"cordoned: nothing new is brought there; silent: not heard of for a while"`
	Rest     *fleet.Rest `json:"rest,omitempty" doc:"its maintenance"`
	Seen     time.Time   `json:"seen,omitzero" doc:"when its data plane last reported"`
	Gateway  string      `json:"gateway,omitempty" doc:"where its gateway is, as seen from its own machine"`
	Services []Service   `json:"services" doc:"what runs there"`
}

// Service is what a unit has of a service.
type Service struct {
	Name     string        `json:"name"`
	Ready    int           `json:"ready" doc:"instances that may be sent requests"`
	Wanted   int           `json:"wanted" doc:"instances that there shall be"`
	InFlight int64         `json:"inFlight" doc:"requests that it is answering"`
	Scaled   *fleet.Scaled `json:"scaled,omitempty" doc:"of a service whose instances follow its load"`
}

// silent is how old a unit's report may be.
const silent = 10 * time.Second

// Units returns all units that were heard of or are in maintenance.
func (k *Keeper) Units(ctx context.Context, now time.Time) ([]Unit, error) {
	docs, err := k.Store.List(ctx, store.Page{Kind: fleet.KindRest})
	if err != nil {
		return nil, err
	}
	rests := map[string]*fleet.Rest{}
	for _, d := range docs {
		r := &fleet.Rest{}
		if err := json.Unmarshal(d.Body, r); err != nil {
			return nil, errs.Wrap(errs.Internal, err, "maintenance of unit %s", d.Name)
		}
		rests[d.Name] = r
	}
	var all []Unit
	for _, o := range k.Fleet.Units() {
		all = append(all, unitOf(o, rests[o.Unit], now))
		delete(rests, o.Unit)
	}
	for name, r := range rests {
		all = append(all, Unit{Name: name, State: "silent", Rest: r, Services: []Service{}})
	}
	slices.SortFunc(all, func(a, b Unit) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func unitOf(o fleet.Observed, r *fleet.Rest, now time.Time) Unit {
	u := Unit{Name: o.Unit, State: cmp.Or(o.Rest, "serving"), Rest: r, Seen: o.Time, Gateway: o.Gateway, Services: []Service{}}
	if r != nil && !r.Drain && o.Rest == fleet.Serving {
		u.State = "cordoned"
	}
	if now.Sub(o.Time) > silent {
		u.State = "silent"
	}
	for _, s := range o.Services {
		if len(s.Slots) == 0 && s.Scaled == nil {
			continue // a flag's exposure, or nothing out yet
		}
		one := Service{Name: s.Name, Scaled: s.Scaled}
		for _, slot := range s.Slots {
			one.Ready, one.Wanted, one.InFlight = one.Ready+slot.Ready, one.Wanted+slot.Wanted, one.InFlight+slot.InFlight
		}
		u.Services = append(u.Services, one)
	}
	return u
}

// Order asks for a maintenance.
type Order struct {
	Drain  bool
	Reason string
	Wait   time.Duration
	Force  bool // though nobody else serves what it serves
}

// Rest takes a unit into maintenance. Asking for what is so already changes nothing.
func (k *Keeper) Rest(ctx context.Context, actor, unit string, o Order, now time.Time) (Unit, error) {
	if strings.TrimSpace(o.Reason) == "" {
		return Unit{}, errs.E(errs.Invalid, "reason: missing, expected what the maintenance is for")
	}
	if o.Wait < 0 || o.Wait > time.Hour {
		return Unit{}, errs.E(errs.Invalid, "wait: %s, expected 0s to 1h", o.Wait)
	}
	return k.turn(ctx, unit, now, func(was *fleet.Rest) (*fleet.Rest, audit.Event, error) {
		if was != nil && was.Drain == o.Drain {
			return was, audit.Event{}, nil
		}
		if alone := k.alone(unit, now); o.Drain && !o.Force && len(alone) > 0 {
			return nil, audit.Event{}, errs.E(errs.Conflict, "unit %s alone serves %s: their users would get errors", unit, strings.Join(alone, ", ")).
				Next("let them run in another unit, too, or say --force")
		}
		r := &fleet.Rest{Drain: o.Drain, By: actor, Reason: o.Reason, At: now.UTC(), Wait: fleet.Dur(o.Wait)}
		typ := "unit.cordoned"
		if o.Drain {
			typ = "unit.drained"
		}
		e, err := audit.New(now, typ, actor, "unit/"+unit, r)
		return r, e, err
	})
}

// Return ends a unit's maintenance.
func (k *Keeper) Return(ctx context.Context, actor, unit, reason string, now time.Time) (Unit, error) {
	return k.turn(ctx, unit, now, func(was *fleet.Rest) (*fleet.Rest, audit.Event, error) {
		if was == nil {
			return nil, audit.Event{}, nil
		}
		e, err := audit.New(now, "unit.returned", actor, "unit/"+unit, map[string]any{"reason": reason, "rested": now.Sub(was.At).Round(time.Second).String()})
		return nil, e, err
	})
}

// alone are the services that are ready in a unit and in no other that serves.
func (k *Keeper) alone(unit string, now time.Time) []string {
	here, elsewhere := map[string]bool{}, map[string]bool{}
	for _, o := range k.Fleet.Units() {
		for _, s := range unitOf(o, nil, now).Services {
			switch {
			case s.Ready == 0:
			case o.Unit == unit:
				here[s.Name] = true
			case o.Rest == fleet.Serving && now.Sub(o.Time) <= silent:
				elsewhere[s.Name] = true
			}
		}
	}
	var alone []string
	for name := range here {
		if !elsewhere[name] {
			alone = append(alone, name)
		}
	}
	slices.Sort(alone)
	return alone
}

func (k *Keeper) turn(ctx context.Context, unit string, now time.Time, decide func(was *fleet.Rest) (*fleet.Rest, audit.Event, error)) (Unit, error) {
	if !k.known(unit) {
		return Unit{}, errs.E(errs.Missing, "no unit %q is known", unit).Next("see: ringfence unit list")
	}
	for {
		doc, err := k.Store.Get(ctx, fleet.KindRest, unit)
		var was *fleet.Rest
		switch {
		case err == nil:
			was = &fleet.Rest{}
			err = json.Unmarshal(doc.Body, was)
		case errs.Is(err, errs.Missing):
			err = nil
		}
		if err != nil {
			return Unit{}, err
		}
		is, e, err := decide(was)
		if err != nil {
			return Unit{}, err
		}
		if e.Type == "" {
			return k.unit(ctx, unit, now)
		}
		w := store.Write{Events: []audit.Event{e}}
		if is == nil {
			w.Deletes = []store.Doc{{Kind: fleet.KindRest, Name: unit, Rev: doc.Rev}}
		} else {
			body, err := json.Marshal(is)
			if err != nil {
				return Unit{}, err
			}
			w.Puts = []store.Doc{{Kind: fleet.KindRest, Name: unit, Rev: doc.Rev, Body: body}}
		}
		_, err = k.Store.Commit(ctx, w)
		if errs.Is(err, errs.Conflict) && ctx.Err() == nil {
			continue // somebody else turned it: decide again
		}
		if err != nil {
			return Unit{}, err
		}
		k.Fleet.Publish(unit)
		k.Declared()
		return k.unit(ctx, unit, now)
	}
}

func (k *Keeper) known(unit string) bool {
	return slices.ContainsFunc(k.Fleet.Units(), func(o fleet.Observed) bool { return o.Unit == unit })
}

func (k *Keeper) unit(ctx context.Context, name string, now time.Time) (Unit, error) {
	all, err := k.Units(ctx, now)
	for _, u := range all {
		if u.Name == name {
			return u, err
		}
	}
	return Unit{Name: name}, err
}
