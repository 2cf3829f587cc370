package ui

import "strings"

// navGroup is one row of pages that belong together.
type navGroup struct {
	Name    string
	Links   []navLink
	Current bool // the page is one of its
}

// navLink leads to a page; g and its letter lead there, too.
type navLink struct {
	Path, Text, Letter string
	Below              string // paths that belong to it as well, with spaces between
	Current            bool
}

// Nav is what there is to go to: the groups, and in the one where the visitor is its pages. A new page is a line here.
func (v *visit) Nav() []navGroup {
	all := []navGroup{{Name: "Changes", Links: []navLink{
		{Path: "/", Text: "Overview", Letter: "o", Below: "/services/ /rollouts/ /line/"},
		{Path: "/approvals", Text: "Approvals", Letter: "a"},
		{Path: "/calendar", Text: "Calendar", Letter: "c"},
		{Path: "/plans", Text: "Plans", Letter: "p"},
		{Path: "/simulate", Text: "Simulate"},
	}}}
	if v.Rests {
		all[0].Links = append(all[0].Links, navLink{Path: "/units", Text: "Units", Letter: "n"})
	}
	flags := navGroup{Name: "Flags"}
	if v.Flags {
		flags.Links = append(flags.Links, navLink{Path: "/flags", Text: "Flags", Letter: "f", Below: "/flag-sets/"}, navLink{Path: "/change-requests", Text: "Change requests", Letter: "r"})
	}
	if v.Labs {
		flags.Links = append(flags.Links, navLink{Path: "/experiments", Text: "Experiments", Letter: "x"})
	}
	if flags.Links != nil {
		all = append(all, flags)
	}
	if v.Hurts || v.SLOs || v.Watches || v.Probing || v.Logging {
		all = append(all, watching(v))
	}
	all = append(all, navGroup{Name: "Record", Links: []navLink{{Path: "/events", Text: "Events", Letter: "e"}}})
	for i := range all {
		for k := range all[i].Links {
			if l := &all[i].Links[k]; l.holds(v.Path) {
				all[i].Current, l.Current = true, true
				return all
			}
		}
	}
	return all
}

// holds says whether a page is below the link.
func (l navLink) holds(path string) bool {
	if path == l.Path || l.Path != "/" && strings.HasPrefix(path, l.Path+"/") {
		return true
	}
	for prefix := range strings.FieldsSeq(l.Below) {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// watching are the pages that watch production.
func watching(v *visit) navGroup {
	g := navGroup{Name: "Watching"}
	if v.Hurts {
		g.Links = append(g.Links, navLink{Path: "/incidents", Text: "Incidents", Letter: "i"})
	}
	if v.Watches {
		g.Links = append(g.Links, navLink{Path: "/alerts", Text: "Alerts", Letter: "l"}, navLink{Path: "/noise", Text: "Noise"})
	}
	if v.SLOs {
		g.Links = append(g.Links, navLink{Path: "/slos", Text: "SLOs", Letter: "s"})
	}
	if v.Logging {
		g.Links = append(g.Links, navLink{Path: "/explore", Text: "Explore", Letter: "u"})
	}
	if v.Probing {
		g.Links = append(g.Links, navLink{Path: "/probes", Text: "Probes", Letter: "b"})
	}
	return g
}
