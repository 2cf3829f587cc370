package resource

import (
	"fmt"
	"slices"
	"strings"
)

// Check judges resources that are each right on their own as a whole: what they refer to must be there, two services
// must not want the same requests, and segments must not go in circles. set holds everything that will exist; a
// problem's Index is the position in it, and of two that contradict each other the later one is blamed.
func Check(set []Resource) []Problem {
	c := checker{at: map[string]int{}, routes: map[string]string{}}
	for i, r := range set {
		if j, twice := c.at[r.Key()]; twice {
			c.add(i, r, "metadata.name", "each once", fmt.Sprintf("is declared twice, also as number %d", j+1))
		}
		c.at[r.Key()] = i
		c.refs = append(c.refs, Refs(r)) // once: specs are large
	}
	c.set = set
	for i, r := range set {
		for _, ref := range c.refs[i] {
			c.ref(i, r, ref)
		}
		if r.Kind == KindService {
			c.route(i, r)
		}
	}
	c.circles()
	c.counts()
	return c.list
}

// Ref is a field of a resource that names another.
type Ref struct{ Path, Kind, Name string }

// Refs are the references of r that must not dangle. A release's service is none: releases stay as the record.
func Refs(r Resource) []Ref {
	var refs []Ref
	switch r.Kind {
	case KindService:
		if s, err := As[Service](r); err == nil {
			refs = append(refs, Ref{"spec.plan", KindRingPlan, s.Plan})
			if s.Database != "" {
				refs = append(refs, Ref{"spec.database", KindDatabase, s.Database})
			}
		}
	case KindSegment:
		if s, err := As[Segment](r); err == nil {
			refs = s.Audience.refs("spec.audience", refs)
		}
	case KindFlagSet:
		if s, err := As[FlagSet](r); err == nil {
			refs = s.refs()
		}
	case KindRotation:
		if r, err := As[Rotation](r); err == nil {
			refs = r.refs()
		}
	case KindDataSource, KindAlertTarget, KindAlertCondition, KindAlertPolicy, KindSLI, KindSLOService, KindSLO:
		refs = sloRefs(r)
	case KindBudgetPolicy:
		if b, err := As[BudgetPolicy](r); err == nil {
			refs = b.refs()
		}
	case KindAccessRules:
		if a, err := As[AccessRules](r); err == nil {
			refs = a.refs()
		}
	case KindExperiment:
		if e, err := As[Experiment](r); err == nil {
			refs = e.Audience.refs("spec.audience", append(refs, Ref{"spec.flag", KindFlagSet, e.Set()}))
		}
	case KindProbe:
		if b, err := As[Probe](r); err == nil && b.Service != "" {
			refs = append(refs, Ref{"spec.service", KindService, b.Service})
		}
	case KindAlertRouting:
		if a, err := As[AlertRouting](r); err == nil {
			refs = a.refs()
		}
	case KindRingPlan:
		if plan, err := As[RingPlan](r); err == nil {
			for i, ring := range plan.Rings {
				at := item("spec.rings", i)
				refs = ring.Audience.refs(at+".audience", refs)
				refs = append(refs, ring.Approval.refs(at+".approval")...)
			}
			for i, g := range plan.Gates {
				if g.Probe != nil && g.Probe.Name != "" {
					refs = append(refs, Ref{item("spec.gates", i) + ".probe.name", KindProbe, g.Probe.Name})
				}
			}
		}
	}
	return refs
}

func (a Audience) refs(path string, refs []Ref) []Ref {
	if a.Segment != "" {
		refs = append(refs, Ref{path + ".segment", KindSegment, a.Segment})
	}
	for i, one := range a.Any {
		refs = one.refs(item(path+".any", i), refs)
	}
	return refs
}

// UsedBy lists the references in set to a resource, as "service/shop (spec.plan)".
func UsedBy(set []Resource, kind, name string) []string {
	var users []string
	for _, r := range set {
		for _, ref := range Refs(r) {
			if ref.Kind == kind && ref.Name == name {
				users = append(users, fmt.Sprintf("%s (%s)", r.Key(), ref.Path))
			}
		}
	}
	return users
}

type checker struct {
	set    []Resource
	refs   [][]Ref           // as set
	at     map[string]int    // by Key
	routes map[string]string // host and path, to the Key of the service
	list   []Problem
}

func (c *checker) add(i int, r Resource, path, expected, msg string) {
	if len(c.list) < maxProblems {
		c.list = append(c.list, Problem{Index: i, Kind: r.Kind, Name: r.Metadata.Name, Path: path, Msg: msg, Expected: expected})
	}
}

func (c *checker) ref(i int, r Resource, ref Ref) {
	if _, ok := c.at[Key(ref.Kind, ref.Name)]; ok || len(c.list) >= maxProblems {
		return
	}
	var names []string
	for _, other := range c.set {
		if other.Kind == ref.Kind {
			names = append(names, other.Metadata.Name)
		}
	}
	expected := fmt.Sprintf("the name of a %s in the same set or applied before", ref.Kind)
	msg := fmt.Sprintf("there is no %s %q", ref.Kind, ref.Name)
	if near := nearest(ref.Name, names); near != "" {
		msg += fmt.Sprintf(", did you mean %s?", near)
	}
	c.add(i, r, ref.Path, expected, msg)
}

func (c *checker) route(i int, r Resource) {
	s, err := As[Service](r)
	if err != nil {
		return
	}
	s = s.Defaults()
	key := s.Route.Host + s.Route.Path
	if other, taken := c.routes[key]; taken {
		c.add(i, r, "spec.route", "another host or path", fmt.Sprintf("%s has the same host and path already", other))
		return
	}
	c.routes[key] = r.Key()
}

// circles finds segments that lead back to themselves: a walk along the references to segments, each of which is taken once. Every
// circle is reported once, at its latest member.
func (c *checker) circles() {
	const (
		open = 1 + iota
		done
	)
	state := make([]int, len(c.set))
	var way []int
	var walk func(i int)
	walk = func(i int) {
		state[i] = open
		way = append(way, i)
		for _, ref := range c.refs[i] {
			j, ok := c.at[Key(ref.Kind, ref.Name)]
			switch {
			case ref.Kind != KindSegment: // a plan may rest on a probe of a service that goes by it
			case !ok || state[j] == done:
			case state[j] == open:
				c.circle(way[slices.Index(way, j):])
			default:
				walk(j)
			}
		}
		way = way[:len(way)-1]
		state[i] = done
	}
	for i := range c.set {
		if state[i] == 0 {
			walk(i)
		}
	}
}

func (c *checker) circle(members []int) {
	latest := slices.Max(members)
	at := slices.Index(members, latest)
	turned := slices.Concat(members[at:], members[:at], []int{latest})
	names := make([]string, len(turned))
	for i, m := range turned {
		names[i] = c.set[m].Metadata.Name
	}
	for _, ref := range c.refs[latest] {
		if ref.Name == names[1] {
			c.add(latest, c.set[latest], ref.Path, "a segment that does not lead back here", "goes in a circle: "+clip2(strings.Join(names, " → ")))
			return
		}
	}
}
