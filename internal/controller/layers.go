package controller

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/layer"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// readLayers reads what is known of the databases that the service uses, or its versions were started on.
func (c *Controller) readLayers(ctx context.Context, s *situation) error {
	names := map[string]bool{s.spec.Service.Database: true}
	for _, slot := range s.live.value.Slots {
		names[databaseOf(slot)] = true
	}
	delete(names, "")
	s.layers = make(map[string]versioned[layer.State], len(names))
	for name := range names {
		doc, err := readOrNew[layer.State](ctx, c.Store, layer.Kind, name)
		if err != nil {
			return err
		}
		doc.value.Database = name
		s.layers[name] = doc
	}
	return nil
}

func databaseOf(slot fleet.Slot) string {
	if slot.Schema == nil {
		return ""
	}
	return slot.Schema.Database
}

// layered puts a slot on a version of its database's schema, or says why none is there for it.
func (s situation) layered(slot fleet.Slot, rel resource.Release, asked, stable string) (fleet.Slot, error) {
	if rel.Schema == nil {
		if asked != "" {
			return slot, errs.E(errs.Invalid, "release %s of %s does not say that it uses a database's schema", rel.Version, rel.Service).
				Next("Release it under a new version that says which versions it understands: --understands %s", asked)
		}
		return slot, nil
	}
	doc, known := s.layers[rel.Schema.Database]
	if !known || doc.rev == 0 {
		return slot, errs.E(errs.Conflict, "which versions of database %s are live is not known", rel.Schema.Database).
			Next("See why: ringfence database show %s. The service has to name that database, too.", rel.Schema.Database)
	}
	state := doc.value
	version := asked
	if version == "" {
		version = state.Choose(rel.Schema.Understands, stable)
	}
	label := resource.SlotOf(slot.Version)
	label.Schema = version
	slot.Version = label.String()
	slot.Schema = &fleet.SlotSchema{Database: rel.Schema.Database, Version: version, SearchPath: searchPath(version, state.Schema), Understands: rel.Schema.Understands}
	return slot, state.MayRun(useOf(s.spec.Name, slot, "", "", ""))
}

// searchPath selects a version: its views first, then what is beside the tables, such as functions.
func searchPath(version, tables string) string {
	quoted := func(name string) string {
		if strings.ToLower(name) == name && !strings.Contains(name, "-") {
			return name
		}
		return `"` + name + `"`
	}
	if tables == "" || tables == version {
		return quoted(version)
	}
	return quoted(version) + ", " + quoted(tables)
}

func useOf(service string, slot fleet.Slot, role, rolling, ring string) layer.Use {
	return layer.Use{Service: service, Version: slot.Version, Database: slot.Schema.Database, Schema: slot.Schema.Version, Understands: slot.Schema.Understands,
		Role: role, Rollout: rolling, Ring: ring}
}

// uses are the versions of a service that are in production or may be without anybody's asking, with the schemas that they are on.
func (l Live) uses(state rollout.State) []layer.Use {
	roles := map[string]string{l.Stable: "stable"}
	for _, v := range l.Versions {
		roles[v] = "stable"
	}
	rolling, ring := "", ""
	switch {
	case state.ID == "":
	case !state.Phase.Ended():
		rolling = state.ID
		if state.Ring >= 0 && state.Ring < len(state.Rings) {
			ring = state.Rings[state.Ring].Name
		}
		for _, v := range append(slices.Collect(maps.Values(state.Before)), state.From) {
			roles[v] = "before"
		}
		roles[state.To] = "new"
	case state.Standing():
		for _, v := range append(slices.Collect(maps.Values(state.Before)), state.From) {
			if _, is := roles[v]; !is {
				roles[v] = "standby"
			}
		}
	}
	var all []layer.Use
	for _, v := range slices.Sorted(maps.Keys(roles)) {
		slot, ok := l.Slots[v]
		if !ok || slot.Schema == nil {
			continue
		}
		u := useOf(l.Service, slot, roles[v], "", "")
		if roles[v] == "new" {
			u.Rollout, u.Ring = rolling, ring
		} else if roles[v] == "before" {
			u.Rollout = rolling
		}
		all = append(all, u)
	}
	return all
}

// Uses are the versions of all services that are in production, with the schemas that they are on.
func (c *Controller) Uses(ctx context.Context) ([]layer.Use, error) {
	lives, err := listAll[Live](ctx, c.Store, KindLive, "")
	if err != nil {
		return nil, err
	}
	all := []layer.Use{}
	for _, l := range lives {
		if !slices.ContainsFunc(slices.Collect(maps.Values(l.value.Slots)), func(s fleet.Slot) bool { return s.Schema != nil }) {
			continue
		}
		var state versioned[rollout.State]
		if l.value.Rollout != "" {
			if state, err = c.readRollout(ctx, l.value.Rollout); err != nil {
				return nil, err
			}
		}
		uses := l.value.uses(state.value)
		all = append(all, append(uses, c.leftovers(l.value, uses)...)...)
	}
	return all, nil
}

// leftovers are versions that units still report as running, though nothing needs them any more: those that drain, and those of a unit
// that has not heard of it yet.
func (c *Controller) leftovers(l Live, uses []layer.Use) (left []layer.Use) {
	for _, unit := range l.placed() {
		status, _ := c.Fleet.Observe(unit, l.Service)
		for _, s := range status.Slots {
			slot, known := l.Slots[s.Version]
			counted := func(u layer.Use) bool { return u.Version == s.Version }
			if !known || slot.Schema == nil || s.Wanted+s.Ready+len(s.Instances) == 0 || slices.ContainsFunc(uses, counted) || slices.ContainsFunc(left, counted) {
				continue
			}
			left = append(left, useOf(l.Service, slot, "leaving", "", ""))
		}
	}
	return left
}

// stranded says why what ran before the rollout cannot be returned to: its schema is gone, or going.
func (s situation) stranded() string {
	for _, v := range s.before() {
		slot, ok := s.live.value.Slots[v]
		if !ok || slot.Schema == nil {
			continue
		}
		state := s.layers[slot.Schema.Database].value
		if len(state.Live) > 0 && !state.Offers(slot.Schema.Version) {
			return v + " needs version " + slot.Schema.Version + " of database " + slot.Schema.Database + ", which is gone; live is " + strings.Join(state.Offered(), " and ")
		}
	}
	return ""
}

// before are the versions that a rollout returns to.
func (s situation) before() []string {
	state := s.rollout.value
	return append(slices.Sorted(maps.Values(state.Before)), state.From)
}

// mayReturn refuses to take a rollout back onto a version that is without its schema.
func (s situation) mayReturn(verb rollout.Verb) error {
	state := s.rollout.value
	if verb != rollout.Abort && verb != rollout.Rollback || state.Ring < 0 || state.Phase == rollout.RollingBack || state.Phase == rollout.RolledBack {
		return nil
	}
	if why := s.stranded(); why != "" {
		return errs.E(errs.Conflict, "cannot %s %s: %s", verb, state.ID, why).Next("The schema only rolls forward from here: release a fixed version.")
	}
	return nil
}

// returnsOn are the databases of the versions that a rollout returns to.
func (s situation) returnsOn() []string {
	var names []string
	for _, v := range s.before() {
		if slot, ok := s.live.value.Slots[v]; ok {
			names = append(names, databaseOf(slot))
		}
	}
	return names
}

// claim replaces what is known of databases, unchanged: a step of theirs that was decided without this is refused, or this is.
func (s situation) claim(b *writing, databases []string) {
	databases = slices.Compact(slices.Sorted(slices.Values(databases)))
	for _, name := range databases {
		if doc, ok := s.layers[name]; ok && doc.rev > 0 {
			b.put(layer.Kind, name, doc.rev, nil, doc.value)
		}
	}
}

// schema is what instances are told of their database.
func (s situation) schema() *fleet.Schema {
	doc, ok := s.layers[s.spec.Service.Database]
	if !ok || doc.rev == 0 {
		return nil
	}
	st := doc.value
	out := &fleet.Schema{Database: st.Database, Live: st.Live, Going: st.Going()}
	if st.Step != nil {
		out.Migration, out.Phase = st.Step.Name, string(st.Step.Phase)
	}
	return out
}
