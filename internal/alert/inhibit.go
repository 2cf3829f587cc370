package alert

import (
	"cmp"
	"slices"
	"strings"
)

// Inhibit keeps alerts from being told while another one fires, as Alertmanager's rules do.
type Inhibit struct {
	Source Matchers // of the one that fires
	Target Matchers // of those that are then not told
	Equal  []string // labels that both must have alike
}

// causes says whether a source keeps a target quiet. One that is both does so only to those that are not.
func (i Inhibit) causes(source, target map[string]string) bool {
	if !i.Target.Matches(target) || !i.Source.Matches(source) {
		return false
	}
	if i.Target.Matches(source) && i.Source.Matches(target) {
		return false
	}
	for _, name := range i.Equal {
		if source[name] != target[name] {
			return false
		}
	}
	return true
}

// Depends says which services each one calls.
type Depends map[string][]string

// On says whether a service calls another, itself or through others.
func (d Depends) On(service, other string) bool {
	seen := map[string]bool{service: true}
	todo := slices.Clone(d[service])
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		if next == other {
			return service != other
		}
		if !seen[next] {
			seen[next] = true
			todo = append(todo, d[next]...)
		}
	}
	return false
}

// Rank orders severities: the higher, the graver.
func Rank(severity string) int {
	switch Grade(severity) {
	case Paging:
		return 3
	case Ticket:
		return 2
	}
	return 1
}

// Causes names, for every alert that another one explains, the alert at the root of it. Alerts of a service are explained
// by those of the services that it depends on which are at least as grave; of services that depend on each other the one that
// began first explains the others.
func Causes(firing []Record, rules []Inhibit, deps Depends) map[string]string {
	sorted := slices.Clone(firing)
	slices.SortFunc(sorted, first)
	direct := map[string]string{}
	for i, target := range sorted {
		best := -1
		for j, source := range sorted {
			if i != j && explains(source, target, i, j, rules, deps) && (best < 0 || deps.On(sorted[best].Labels[Service], source.Labels[Service])) {
				best = j
			}
		}
		if best >= 0 {
			direct[target.ID] = sorted[best].ID
		}
	}
	return roots(direct)
}

// first sorts by when alerts began, and else in some order that is always the same.
func first(a, b Record) int {
	return cmp.Or(a.StartsAt.Compare(b.StartsAt), strings.Compare(a.ID, b.ID))
}

func explains(source, target Record, at, from int, rules []Inhibit, deps Depends) bool {
	for _, r := range rules {
		if r.causes(source.Labels, target.Labels) {
			return true
		}
	}
	a, b := target.Labels[Service], source.Labels[Service]
	if a == "" || b == "" || a == b || Rank(source.Labels[Severity]) < max(2, Rank(target.Labels[Severity])) || !deps.On(a, b) {
		return false
	}
	return !deps.On(b, a) || from < at
}

// roots follows causes of causes to their ends. Rules that go in a circle explain nothing: one of them must be told.
func roots(direct map[string]string) map[string]string {
	all := map[string]string{}
	for id := range direct {
		seen := map[string]bool{id: true}
		at, circle := direct[id], false
		for direct[at] != "" && !circle {
			circle = seen[at]
			seen[at] = true
			at = direct[at]
		}
		if !circle && at != id {
			all[id] = at
		}
	}
	return all
}
