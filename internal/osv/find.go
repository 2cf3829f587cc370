package osv

import (
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/sbom"
)

// Advisory is what one entry says of one package.
type Advisory struct {
	ID       string    `json:"i"`
	Aliases  []string  `json:"a,omitempty"`
	Summary  string    `json:"d,omitempty"`
	Severity Severity  `json:"w"`
	Modified time.Time `json:"m,omitzero"`
	Affected
}

// Advisories are what an entry says, package by package.
func (e *Entry) Advisories() []Advisory {
	all := make([]Advisory, 0, len(e.Affected))
	for _, a := range e.Affected {
		one := Advisory{ID: e.ID, Aliases: e.Aliases, Summary: e.Summary, Severity: e.Severity, Modified: e.Modified, Affected: a}
		if a.Severity != Unknown && a.Severity != None {
			one.Severity = a.Severity
		}
		all = append(all, one)
	}
	return all
}

// Database says which database is in use.
type Database struct {
	Digest     string    `json:"digest" doc:"sha256:… of what was imported"`
	Entries    int       `json:"entries" doc:"vulnerabilities that concern packages"`
	Ecosystems []string  `json:"ecosystems" doc:"whose packages it knows"`
	Newest     time.Time `json:"newest" doc:"when the entry that was changed last was"`
	Imported   time.Time `json:"imported"`
	By         string    `json:"by"`
}

// Finding is a vulnerability of a component.
type Finding struct {
	ID        string   `json:"id"`
	Aliases   []string `json:"aliases,omitempty" doc:"other names for it"`
	Severity  Severity `json:"severity" enum:"none,low,medium,high,critical,unknown"`
	Summary   string   `json:"summary,omitempty"`
	Component string   `json:"component"`
	Version   string   `json:"version"`
	Fixed     []string `json:"fixed,omitempty" doc:"versions in which it is gone"`
	Unsure    bool     `json:"unsure,omitempty" doc:"the version cannot be compared: it counts as affected"`
}

// Is says whether a finding goes by this name.
func (f Finding) Is(name string) bool {
	return strings.EqualFold(f.ID, name) || slices.ContainsFunc(f.Aliases, func(a string) bool { return strings.EqualFold(a, name) })
}

// Match finds which components are affected. What several entries say under one name is one finding, with the worst severity that any of them knows.
func Match(components []sbom.Component, advisories []Advisory) []Finding {
	by := map[[2]string][]Advisory{}
	for _, a := range advisories {
		key := [2]string{Family(a.Ecosystem), a.Name}
		by[key] = append(by[key], a)
	}
	var all []Finding
	for _, c := range components {
		n, ok := NameOf(c)
		if !ok {
			continue
		}
		var own []Finding
		for _, a := range by[[2]string{n.Ecosystem, n.Name}] {
			affected, sure := a.Has(n.Version)
			if !affected {
				continue
			}
			own = merge(own, Finding{ID: a.ID, Aliases: slices.Clone(a.Aliases), Severity: a.Severity, Summary: a.Summary, Component: c.Name, Version: n.Version,
				Fixed: a.FixedIn(n.Version), Unsure: !sure})
		}
		all = append(all, own...)
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		if a.Severity != b.Severity {
			return int(b.Severity - a.Severity)
		}
		return strings.Compare(a.Component+a.ID, b.Component+b.ID)
	})
	return all
}

// merge adds a finding, to those that go by one of its names.
func merge(all []Finding, f Finding) []Finding {
	rest := all[:0:0]
	for _, old := range all {
		if !old.Is(f.ID) && !slices.ContainsFunc(f.Aliases, old.Is) {
			rest = append(rest, old)
			continue
		}
		for _, name := range append([]string{old.ID}, old.Aliases...) {
			if !f.Is(name) {
				f.Aliases = append(f.Aliases, name)
			}
		}
		if f.Severity == Unknown || old.Severity != Unknown && old.Severity > f.Severity {
			f.Severity = old.Severity
		}
		for _, v := range old.Fixed {
			if !slices.Contains(f.Fixed, v) {
				f.Fixed = append(f.Fixed, v)
			}
		}
		f.Unsure = f.Unsure && old.Unsure
		if f.Summary == "" {
			f.Summary = old.Summary
		}
	}
	return append(rest, f)
}
