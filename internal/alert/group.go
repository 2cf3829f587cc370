package alert

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"
)

// Situation is all that decides who is told of what.
type Situation struct {
	Records  []Record
	Routes   []*Route
	Silences []Silence
	Inhibit  []Inhibit
	Depends  Depends
	Damping  Damping
	Now      time.Time
}

// Standing is how one alert stands.
type Standing struct {
	Record
	SilencedBy  []string            `json:"silencedBy,omitempty" doc:"silences in force"`
	Cause       string              `json:"cause,omitempty" doc:"the alert that explains it"`
	Muted       bool                `json:"muted,omitempty" doc:"by a time of rest of its route"`
	Groups      []string            `json:"groups,omitempty" doc:"the pages that it is in"`
	GroupLabels []map[string]string `json:"groupLabels,omitempty" doc:"of each of these pages, by which it is made"`
	Routes      []string            `json:"routes,omitempty" doc:"the routes that it takes"`
	To          []string            `json:"to,omitempty" doc:"who is told: notifiers, or {owner}"`
}

// Suppressed says whether it fires and nobody is told.
func (s Standing) Suppressed() bool { return len(s.SilencedBy) > 0 || s.Cause != "" || s.Muted }

// Group is alerts that are told at once.
type Group struct {
	ID       string // of Key, fit for names
	Key      string
	Route    *Route
	Labels   map[string]string // by which it was made
	First    bool              // its route is the first of its alerts: it is the one page of its cause
	Firing   []Record          // that are told, the first to begin first
	Held     []Record          // that fire and are not told: silenced, muted, explained
	Ended    []Record
	Symptoms []Record // that those in Firing explain
}

// Judge puts alerts into groups and says how each stands.
func Judge(s Situation) ([]Group, map[string]Standing) {
	var lasting []Record
	for _, r := range s.Records {
		r.Flapping = s.Damping.Flaps(r, s.Now)
		if s.Damping.Lasts(r, s.Now) {
			lasting = append(lasting, r)
		}
	}
	causes := Causes(lasting, s.Inhibit, s.Depends)
	groups, standings := map[string]*Group{}, map[string]Standing{}
	of := map[string][]*Group{} // by alert
	all := slices.SortedFunc(slices.Values(s.Records), first)
	for _, r := range all {
		r.Flapping = s.Damping.Flaps(r, s.Now)
		lasts := s.Damping.Lasts(r, s.Now)
		st := Standing{Record: r, Cause: causes[r.ID]}
		if lasts {
			st.SilencedBy = SilencedBy(r.Labels, s.Silences, s.Now)
		}
		for i, route := range RoutesOf(s.Routes, r.Labels) {
			g := groupOf(groups, route, r.Labels)
			of[r.ID] = append(of[r.ID], g)
			g.First = g.First || i == 0
			st.Muted = st.Muted || route.Muted && lasts
			st.GroupLabels = append(st.GroupLabels, g.Labels)
			st.Groups, st.Routes, st.To = append(st.Groups, g.ID), append(st.Routes, route.ID), append(st.To, route.To...)
			switch {
			case !lasts:
				g.Ended = append(g.Ended, r)
			case len(st.SilencedBy) == 0 && st.Cause == "" && !route.Muted:
				g.Firing = append(g.Firing, r)
			default:
				g.Held = append(g.Held, r)
			}
		}
		standings[r.ID] = st
	}
	for _, r := range all {
		for _, g := range of[causes[r.ID]] {
			g.Symptoms = append(g.Symptoms, r)
		}
	}
	list := make([]Group, 0, len(groups))
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		list = append(list, *groups[id])
	}
	return list, standings
}

func groupOf(groups map[string]*Group, route *Route, labels map[string]string) *Group {
	by := route.group(labels)
	key := route.GroupKey(by)
	id := KeyID(key)
	if groups[id] == nil {
		groups[id] = &Group{ID: id, Key: key, Route: route, Labels: by}
	}
	return groups[id]
}

// KeyID is a key, fit for names.
func KeyID(key string) string {
	h := fnv.New64a()
	h.Write([]byte(key))
	return fmt.Sprintf("%016x", h.Sum64())
}

// Page is the group as people are told of it. Of one that is over, was is what was last told.
func (g Group) Page(was []Alert, now time.Time) Page {
	p := Page{Key: g.ID, Status: Firing, At: now}
	told := g.Firing
	if len(told) == 0 {
		p.Status = Resolved
		for _, r := range g.Ended {
			if slices.ContainsFunc(was, func(a Alert) bool { return maps.Equal(a.Labels, r.Labels) }) {
				told = append(told, r)
			}
		}
		if len(told) == 0 {
			for _, a := range was { // it is not kept any more
				told = append(told, Record{Alert: a})
			}
		}
	}
	told = slices.SortedStableFunc(slices.Values(told), gravest)
	p.Ack = ackOf(told, now)
	for _, r := range told {
		p.Alerts = append(p.Alerts, r.Alert)
		p.Labels = common(p.Labels, r.Labels, len(p.Alerts) == 1)
		if p.Started.IsZero() || r.StartsAt.Before(p.Started) {
			p.Started = r.StartsAt
		}
		if p.Severity == "" || Rank(r.Labels[Severity]) > Rank(p.Severity) {
			p.Severity = Grade(r.Labels[Severity])
		}
		p.Service, p.Owner = cmp.Or(p.Service, r.Labels[Service]), cmp.Or(p.Owner, r.Labels[Owner])
	}
	p.Severity = cmp.Or(p.Severity, Info)
	if len(told) > 0 {
		p.Annotations = told[0].Annotations
	}
	for _, r := range g.Symptoms {
		p.Symptoms = append(p.Symptoms, r.Alert)
	}
	return p
}

// gravest sorts the gravest first, and of those that are alike the first to begin.
func gravest(a, b Record) int {
	return cmp.Or(Rank(b.Labels[Severity])-Rank(a.Labels[Severity]), a.StartsAt.Compare(b.StartsAt), strings.Compare(a.ID, b.ID))
}

// ackOf is the acknowledgement of a page: all of its alerts are taken, the last by this one.
func ackOf(rs []Record, now time.Time) *Ack {
	var last *Ack
	for _, r := range rs {
		if !r.Ack.Holds(now) {
			return nil
		}
		if last == nil || r.Ack.At.After(last.At) {
			last = r.Ack
		}
	}
	return last
}

// Common keeps of a what b has as well.
func common(a, b map[string]string, begin bool) map[string]string {
	if begin {
		return maps.Clone(b)
	}
	maps.DeleteFunc(a, func(k, v string) bool {
		w, ok := b[k]
		return !ok || w != v
	})
	return a
}

// Common are the pairs that all sets have.
func Common(sets ...map[string]string) map[string]string {
	out := map[string]string{}
	for i, s := range sets {
		out = common(out, s, i == 0)
	}
	if out == nil {
		out = map[string]string{}
	}
	return out
}
