package pager

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Calendar says whether a time is now.
type Calendar interface {
	Active(w resource.Window, now time.Time) bool
}

// plan is what is declared of alerts.
type plan struct {
	routes    []*alert.Route
	inhibit   []alert.Inhibit
	depends   alert.Depends
	damping   alert.Damping
	heartbeat *resource.AlertHeartbeat
	notifiers map[string]resource.Resource
	specs     map[string]resource.Notifier
	services  map[string]resource.Resource
}

// Heartbeat is the name of the alert that always fires, by which the way of alerts is known to be open.
const Heartbeat = "RingfenceHeartbeat"

// plan reads what is declared.
func (p *Pager) plan(ctx context.Context, now time.Time) (plan, error) {
	pl := plan{damping: alert.DefaultDamping, depends: alert.Depends{}, notifiers: map[string]resource.Resource{}, specs: map[string]resource.Notifier{},
		services: map[string]resource.Resource{}}
	err := each(ctx, p.Catalog, resource.KindAlertRouting, func(r resource.Resource, a resource.AlertRouting) error {
		return pl.add(r.Metadata.Name, a, p.Calendar, now)
	})
	if err == nil {
		err = each(ctx, p.Catalog, resource.KindNotifier, func(r resource.Resource, n resource.Notifier) error {
			pl.notifiers[r.Metadata.Name], pl.specs[r.Metadata.Name] = r, n.Defaults()
			return nil
		})
	}
	if err == nil {
		err = each(ctx, p.Catalog, resource.KindService, func(r resource.Resource, s resource.Service) error {
			pl.services[r.Metadata.Name], pl.depends[r.Metadata.Name] = r, s.DependsOn
			return nil
		})
	}
	beat := &alert.Route{ID: "heartbeat", Matchers: alert.Matchers{{Name: alert.Name, Value: Heartbeat, IsEqual: true}}, To: []string{}, GroupBy: []string{alert.Name}}
	if h := pl.heartbeat; h != nil {
		beat.To, beat.Interval, beat.Repeat = []string{h.To}, h.Every.D(0), h.Every.D(0)
	}
	pl.routes = append([]*alert.Route{beat}, pl.routes...)
	return pl, err
}

func each[T resource.Spec](ctx context.Context, c Catalog, kind string, do func(resource.Resource, T) error) error {
	for after := ""; ; {
		rs, err := c.List(ctx, kind, after, 0)
		if err != nil || len(rs) == 0 {
			return err
		}
		for _, r := range rs {
			spec, err := resource.As[T](r)
			if err != nil {
				return err
			}
			if err := do(r, spec); err != nil {
				return err
			}
		}
		after = rs[len(rs)-1].Metadata.Name
	}
}

func (pl *plan) add(name string, a resource.AlertRouting, c Calendar, now time.Time) error {
	if a.Route != nil {
		open := func(times string) bool {
			return slices.ContainsFunc(a.Times[times], func(w resource.Window) bool { return c != nil && c.Active(w, now) })
		}
		root, err := routeOf(*a.Route, name, open)
		if err != nil {
			return err
		}
		root.To, root.GroupBy = orList(root.To, []string{alert.OwnerOf}), orList(root.GroupBy, alert.DefaultGroupBy)
		for _, d := range []struct {
			to *time.Duration
			or time.Duration
		}{{&root.Wait, alert.DefaultWait}, {&root.Interval, alert.DefaultInterval}, {&root.Repeat, alert.DefaultRepeat}} {
			if *d.to < 0 {
				*d.to = d.or
			}
		}
		root.Inherit()
		pl.routes = append(pl.routes, root)
	}
	for _, in := range a.Inhibit {
		source, err := alert.ParseMatchers(in.Source...)
		if err != nil {
			return err
		}
		target, err := alert.ParseMatchers(in.Target...)
		if err != nil {
			return err
		}
		pl.inhibit = append(pl.inhibit, alert.Inhibit{Source: source, Target: target, Equal: in.Equal})
	}
	if d := a.Damping; d != nil {
		pl.damping = alert.Damping{Times: d.Times, Within: d.Within.D(alert.DefaultDamping.Within), Calm: d.Calm.D(alert.DefaultDamping.Calm)}
	}
	if a.Heartbeat != nil {
		h := a.Heartbeat.Defaults()
		pl.heartbeat = &h
	}
	return nil
}

func orList(a, b []string) []string {
	if a == nil {
		return b
	}
	return a
}

// routeOf makes a route of what is declared; times that are not said are below 0.
func routeOf(r resource.AlertRoute, id string, open func(times string) bool) (*alert.Route, error) {
	matchers, err := alert.ParseMatchers(r.Matchers...)
	if err != nil {
		return nil, err
	}
	said := func(d fleet.Dur) time.Duration { return cmp.Or(time.Duration(d), -1) }
	out := &alert.Route{ID: id, Matchers: matchers, To: r.To, GroupBy: r.GroupBy, Wait: said(r.GroupWait), Interval: said(r.GroupInterval), Repeat: said(r.RepeatInterval),
		Continue: r.Continue, Muted: slices.ContainsFunc(r.Mute, open) || len(r.Active) > 0 && !slices.ContainsFunc(r.Active, open)}
	for i, below := range r.Routes {
		b, err := routeOf(below, fmt.Sprintf("%s.routes[%d]", id, i), open)
		if err != nil {
			return nil, err
		}
		out.Routes = append(out.Routes, b)
	}
	return out, nil
}

// receivers names who is told of a group: what its route says, with those of the owner put in.
func (pl plan) receivers(g alert.Group, told map[string]alert.Told) []string {
	var names []string
	for _, to := range g.Route.To {
		if to == alert.OwnerOf {
			names = append(names, pl.owners(g)...)
		} else if _, there := pl.specs[to]; there {
			names = append(names, to)
		}
	}
	for name, t := range told { // who was told that it fires is told that it is over
		if _, there := pl.specs[name]; there && len(t.Firing) > 0 && len(g.Firing) == 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// owners are the notifiers of the owners of a group's alerts: the one that bears an owner's name, or else all that are for
// the service.
func (pl plan) owners(g alert.Group) []string {
	var names []string
	for _, r := range slices.Concat(g.Firing, g.Ended) {
		if _, there := pl.specs[r.Labels[alert.Owner]]; there {
			names = append(names, r.Labels[alert.Owner])
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(pl.specs)) {
			if pl.covers(pl.specs[name], r.Labels[alert.Service]) {
				names = append(names, name)
			}
		}
	}
	return names
}

func (pl plan) covers(n resource.Notifier, service string) bool {
	if len(n.Services) > 0 && !slices.Contains(n.Services, service) {
		return false
	}
	has := pl.services[service].Metadata.Labels
	for k, v := range n.Labels {
		if got, ok := has[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// silences reads those that are kept.
func (p *Pager) silences(ctx context.Context) ([]alert.Silence, map[string]int64, error) {
	var all []alert.Silence
	revs := map[string]int64{}
	err := list(ctx, p.Store, KindSilence, func(d store.Doc, s alert.Silence) {
		if ready, err := s.Checked(); err == nil {
			all = append(all, ready)
			revs[s.ID] = d.Rev
		}
	})
	return all, revs, err
}
