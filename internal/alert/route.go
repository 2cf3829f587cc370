package alert

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Route says to whom alerts go that match it, and in what groups. Routes make a tree, as in Alertmanager: an alert goes
// to the deepest route that it matches, the first of those beside each other, and to the next ones too after one that says
// Continue.
type Route struct {
	ID       string // where it stands, such as main or main/routes[1]
	Matchers Matchers
	To       []string // notifiers; OwnerOf stands for those of the alert's owner
	GroupBy  []string // labels; EachLabel for all of them
	Wait     time.Duration
	Interval time.Duration
	Repeat   time.Duration
	Muted    bool // by a time of rest that is now
	Continue bool
	Routes   []*Route
	above    string
}

// OwnerOf stands for the notifiers of an alert's owner.
const OwnerOf = "{owner}"

// EachLabel groups by all labels: every alert for itself.
const EachLabel = "..."

// DefaultGroupBy are the labels by which one cause is told from another.
var DefaultGroupBy = []string{Service}

// Times that a route has when none above it says otherwise.
const (
	DefaultWait     = 10 * time.Second
	DefaultInterval = 5 * time.Minute
	DefaultRepeat   = 4 * time.Hour
)

// OwnersRoute takes what no route takes. Nobody is told of what is only information.
func OwnersRoute() *Route {
	r := &Route{ID: "owner", To: []string{OwnerOf}, GroupBy: DefaultGroupBy, Wait: DefaultWait, Interval: DefaultInterval, Repeat: DefaultRepeat, Routes: []*Route{
		{ID: "owner.info", Matchers: infoOnly, To: []string{}, Wait: -1, Interval: -1, Repeat: -1}}}
	r.Inherit()
	return r
}

var infoOnly, _ = ParseMatchers(Severity + `=~"` + infoWords + `"`)

// Inherit passes what routes do not say down to them.
func (r *Route) Inherit() {
	for _, c := range r.Routes {
		if c.To == nil {
			c.To = r.To
		}
		if c.GroupBy == nil {
			c.GroupBy = r.GroupBy
		}
		for _, d := range []struct{ to, from *time.Duration }{{&c.Wait, &r.Wait}, {&c.Interval, &r.Interval}, {&c.Repeat, &r.Repeat}} {
			if *d.to < 0 {
				*d.to = *d.from
			}
		}
		c.above = r.Key()
		c.Inherit()
	}
}

// Key names a route by what it matches, as Alertmanager does.
func (r *Route) Key() string {
	own := r.Matchers.String()
	if r.above != "" {
		return r.above + "/" + own
	}
	return own
}

// Match finds the routes of an alert.
func (r *Route) Match(labels map[string]string) []*Route {
	if !r.Matchers.Matches(labels) {
		return nil
	}
	var all []*Route
	for _, c := range r.Routes {
		found := c.Match(labels)
		all = append(all, found...)
		if len(found) > 0 && !c.Continue {
			break
		}
	}
	if len(all) == 0 {
		all = append(all, r)
	}
	return all
}

// RoutesOf finds the routes of an alert in several trees beside each other; the owner's takes what none takes.
func RoutesOf(trees []*Route, labels map[string]string) []*Route {
	var all []*Route
	for _, t := range trees {
		found := t.Match(labels)
		all = append(all, found...)
		if len(found) > 0 && !t.Continue {
			break
		}
	}
	if len(all) == 0 {
		all = OwnersRoute().Match(labels)
	}
	return all
}

// group is the labels by which the route puts an alert with others. An alert that has none of them is with those of its name.
func (r *Route) group(labels map[string]string) map[string]string {
	g := map[string]string{}
	for _, name := range r.GroupBy {
		if name == EachLabel {
			return maps.Clone(labels)
		}
		if v, ok := labels[name]; ok {
			g[name] = v
		}
	}
	if len(g) == 0 && len(r.GroupBy) > 0 && labels[Name] != "" {
		g[Name] = labels[Name]
	}
	return g
}

// GroupKey names a group, as Alertmanager does, behind the route's place.
func (r *Route) GroupKey(g map[string]string) string {
	return r.ID + ":" + r.Key() + ":" + labelText(g)
}

func labelText(g map[string]string) string {
	words := make([]string, 0, len(g))
	for _, k := range slices.Sorted(maps.Keys(g)) {
		words = append(words, k+"="+strconv.Quote(g[k]))
	}
	return "{" + strings.Join(words, ", ") + "}"
}
