package gateway

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
)

const (
	// keepRamp is how long the counts of a ramp that has ended stay: they are still scraped, and users read, at its end.
	keepRamp = 10 * time.Minute
	maxRamps = 1000 // in trial at one time
)

// ramp is the exposure of a flag, whose users with and without the variant are told apart among a service's requests.
type ramp struct {
	given              fleet.Service
	wanted             bool        // else it has gone, and is kept for its counts
	ended              time.Time   // since when nothing of it is in trial; zero while something is
	sides              *flag.Sides // nil when nothing is in trial
	treatment, control *series

	blind bool // it was said that requests do not have all that its rings read
}

// counted are the ramps that the requests of a route are counted for.
type counted struct {
	ramps []*ramp
	attrs []attribute // what their rings read, beyond what the route's own do
}

// SetRamps puts the exposures of flags in force, and no others: requests of the service that each one names are counted also for
// the side of its trial that their user is on, under the flag's name. One that cannot be counted by is left out, and the
// error says why; the others are in force all the same.
func (g *Gateway) SetRamps(services []fleet.Service) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var refused []error
	next, trials := make(map[string]*ramp, len(services)), 0
	for _, s := range services {
		r, err := g.ramp(s)
		switch {
		case err == nil && next[s.Name] != nil:
			err = errs.E(errs.Invalid, "%s appears twice", s.Name)
		case err == nil && r.sides != nil:
			if trials++; trials > maxRamps {
				err = errs.E(errs.Invalid, "%s: there are more than %d ramps in trial", s.Name, maxRamps)
			}
		}
		if err != nil {
			refused = append(refused, err)
			if next[s.Name] == nil && flag.IsSubject(s.Name) {
				next[s.Name] = &ramp{given: fleet.Service{Name: s.Name, Generation: s.Generation}, wanted: true, ended: time.Now()}
			}
			continue
		}
		next[s.Name] = r
	}
	for name, r := range next {
		g.restartRamp(g.ramps[name], r)
	}
	g.retire(next)
	g.ramps = next
	for _, r := range g.table.Load().services {
		r.counted.Store(g.countedFor(r))
	}
	g.sweepRamps(time.Now())
	return errors.Join(refused...)
}

// ramp is what a service of that kind asks for, the one in force when that is the same.
func (g *Gateway) ramp(s fleet.Service) (*ramp, error) {
	if !flag.IsSubject(s.Name) {
		return nil, errs.E(errs.Invalid, "%q is no flag's exposure", s.Name)
	}
	if old := g.ramps[s.Name]; old != nil && old.wanted && reflect.DeepEqual(old.given, s) {
		return old, nil
	}
	r := &ramp{given: s, wanted: true}
	t := s.Ramp
	if t == nil || t.Ring < 0 {
		r.ended = time.Now()
		if old := g.ramps[s.Name]; old != nil && !old.ended.IsZero() {
			r.ended = old.ended
		}
		return r, nil
	}
	if t.Ring >= len(s.Rings) || len(s.Exposure) != len(s.Rings) || t.From == "" || t.To == "" || t.From == t.To {
		return nil, errs.E(errs.Invalid, "%s: ring %d of %d is in trial, with %d variants out, %q against %q", s.Name, t.Ring, len(s.Rings), len(s.Exposure), t.To, t.From)
	}
	e := flag.ExposureOf(s, "")
	e.Rings = fleet.RingsIn(e.Rings, "") // as flags are served: alike everywhere
	sides, err := e.Compile()
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "%s", s.Name)
	}
	r.sides = sides
	return r, nil
}

// trial is what the users of a ramp are counted under; nil when nothing is in trial.
func (r *ramp) trial() []string {
	if r == nil || r.sides == nil {
		return nil
	}
	t := r.given.Ramp
	return []string{t.Salt, r.sides.Ring(t.Ring), t.From, t.To}
}

// restartRamp gives a ramp its counters. Of another trial than the last, its users are counted from none: variants, unlike
// versions, are tried again and again. g.mu is held.
func (g *Gateway) restartRamp(before, now *ramp) {
	name := now.given.Name
	was, known := g.loaded[name]
	if before != nil {
		was, known = before.trial(), true
	}
	delete(g.loaded, name)
	if now.sides == nil || now == before {
		return
	}
	if known && !slices.Equal(was, now.trial()) {
		for k, u := range g.users {
			if k.service == name {
				u.forget(k.ring == now.trial()[1])
			}
		}
		g.userChanges.Add(1)
	}
	t := now.given.Ramp
	side := func(variant string) *series {
		k := seriesKey{name, variant, now.sides.Ring(t.Ring)}
		return g.metrics.series(k, now.given.SlowOver, g.userSet(k))
	}
	now.treatment, now.control = side(t.To), side(t.From)
}

// retire keeps what is in next no more, and what there are only counts of, until those are dropped. g.mu is held.
func (g *Gateway) retire(next map[string]*ramp) {
	now := time.Now()
	for k := range g.users {
		if !flag.IsSubject(k.service) || next[k.service] != nil {
			continue
		}
		gone := &ramp{given: fleet.Service{Name: k.service}, ended: now}
		if old := g.ramps[k.service]; old != nil && !old.ended.IsZero() {
			gone.ended = old.ended
		}
		next[k.service] = gone
	}
}

// sweepRamps drops the counts of ramps that ended a while ago. g.mu is held.
func (g *Gateway) sweepRamps(now time.Time) {
	old := func(name string) bool {
		r := g.ramps[name]
		return r != nil && !r.ended.IsZero() && now.Sub(r.ended) >= keepRamp
	}
	for k := range g.users {
		if flag.IsSubject(k.service) && old(k.service) {
			delete(g.users, k)
			g.metrics.drop(k)
			g.userChanges.Add(1)
		}
	}
	for name, r := range g.ramps {
		if !r.wanted && old(name) {
			delete(g.ramps, name)
		}
	}
}

// countedFor are the ramps in trial that count the requests of a route; nil when there are none. g.mu is held.
func (g *Gateway) countedFor(r *route) *counted {
	c := &counted{}
	for _, m := range g.ramps {
		if m.sides == nil || m.given.Ramp.Counts != r.service {
			continue
		}
		c.ramps = append(c.ramps, m)
		for _, name := range m.sides.Attributes() {
			known := func(a attribute) bool { return a.name == name }
			from, ok := r.declared[name]
			switch {
			case slices.ContainsFunc(r.attrs, known) || slices.ContainsFunc(c.attrs, known):
			case ok:
				c.attrs = append(c.attrs, attribute{name, from})
			case !m.blind:
				m.blind = true
				g.log.Warn("a flag's rings read an attribute that the service's route does not declare; requests are taken to have none",
					"flag", m.given.Name, "service", r.service, "attribute", name)
			}
		}
	}
	if len(c.ramps) == 0 {
		return nil
	}
	slices.SortFunc(c.ramps, func(a, b *ramp) int { return cmp.Compare(a.given.Name, b.given.Name) })
	return c
}

// place notes on which sides of which trials the request's user is. It allocates nothing once the exchange has done so.
func (c *counted) place(x *exchange) {
	for _, r := range c.ramps {
		switch _, side := r.sides.Of(&x.user); side {
		case flag.Treatment:
			x.sides = append(x.sides, r.treatment)
		case flag.Control:
			x.sides = append(x.sides, r.control)
		}
	}
}

// RampStatuses are the exposures of flags in force, with the users seen on both sides of the trials.
func (g *Gateway) RampStatuses() []fleet.ServiceStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]fleet.ServiceStatus, 0, len(g.ramps))
	for name, r := range g.ramps {
		if r.wanted {
			all = append(all, fleet.ServiceStatus{Name: name, Generation: r.given.Generation, Slots: []fleet.SlotStatus{}})
		}
	}
	slices.SortFunc(all, func(a, b fleet.ServiceStatus) int { return cmp.Compare(a.Name, b.Name) })
	at := make(map[string]int, len(all))
	for i, s := range all {
		at[s.Name] = i
	}
	for k, u := range g.users {
		i, ok := at[k.service]
		if !ok {
			continue
		}
		if n, since := u.counts(); n > 0 {
			all[i].Users = append(all[i].Users, fleet.UserCount{Ring: k.ring, Version: k.version, Users: n, Recent: since})
		}
	}
	for i := range all {
		sortCounts(all[i].Users)
	}
	return all
}
