package resource

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/fleet"
)

// CustomerAlerts are those of one account, and of several, of a service whose route says which there are.
var CustomerAlerts = []string{"CustomerHurt", "CustomersHurt"}

// BuiltInAlerts are the alerts that watch every service without being declared, AllAlerts is all of them.
var BuiltInAlerts = []string{"ErrorsBurn", "LatencyBurn", "ErrorsBurnSlowly", "LatencyBurnSlowly", "TrafficDrop", "NoInstanceReady", "InstanceHangs", "CrashLooping", "MemoryLeak", "FilesRunOut", "ServiceNotMeasured", "BrowserErrors"}

// AllAlerts stands for all of them.
const AllAlerts = "*"

// AlertRules are groups of rules, exactly as a rule file of Prometheus holds them.
type AlertRules struct {
	Groups []RuleGroup `json:"groups" minItems:"1" maxItems:"200" doc:"rules that are evaluated one after the other; other groups beside them"`
}

// RuleGroup is a group of rules.
type RuleGroup struct {
	Name        string            `json:"name" maxLength:"200" doc:"unlike that of any other group of these rules"`
	Interval    string            `json:"interval,omitempty" maxLength:"30" doc:"time between two evaluations, such as 30s; default 15s"`
	QueryOffset string            `json:"query_offset,omitempty" maxLength:"30" doc:"how long ago is looked at, for samples that come late"`
	Limit       int               `json:"limit,omitempty" minimum:"0" doc:"most alerts or series that a rule may make; 0: any number"`
	Labels      map[string]string `json:"labels,omitempty" maxProperties:"64" doc:"added to what every rule makes"`
	Rules       []Rule            `json:"rules" minItems:"1" maxItems:"1000" doc:"in order"`
}

// Rule makes alerts or a series of its own.
type Rule struct {
	Record        string            `json:"record,omitempty" maxLength:"200" doc:"name of the series that the result becomes; or alert"`
	Alert         string            `json:"alert,omitempty" maxLength:"200" doc:"name of the alert that every element of the result is"`
	Expr          string            `json:"expr" maxLength:"20000" doc:"PromQL"`
	For           string            `json:"for,omitempty" maxLength:"30" doc:"how long it must hold before it fires; default at once"`
	KeepFiringFor string            `json:"keep_firing_for,omitempty" maxLength:"30" doc:"how long it goes on firing after it last held"`
	Labels        map[string]string `json:"labels,omitempty" maxProperties:"64" doc:"added; of an alert they may be templates"`
	Annotations   map[string]string `json:"annotations,omitempty" maxProperties:"64" doc:"templates, such as {{ $labels.service }} has {{ $value }}"`
}

// AlertRouting says to whom alerts go.
type AlertRouting struct {
	Route     *AlertRoute         `json:"route,omitempty" doc:"a tree: an alert goes to the deepest route that it matches; default the owner of its service"`
	Inhibit   []AlertInhibit      `json:"inhibit,omitempty" maxItems:"200" doc:"alerts that are not told while others fire; those of services that depend on one that fails are so anyway"`
	Times     map[string][]Window `json:"times,omitempty" maxProperties:"100" doc:"times by name, for mute and active of routes"`
	Damping   *AlertDamping       `json:"damping,omitempty" doc:"when an alert flaps; default 4 times within 1h, until it is quiet for 10m"`
	Heartbeat *AlertHeartbeat     `json:"heartbeat,omitempty" doc:"a dead man's switch: a message that comes as long as all of it works"`
}

// AlertRoute is one route of the tree. What it does not say is that of the route above it.
type AlertRoute struct {
	Matchers       []string     `json:"matchers,omitempty" maxItems:"64" doc:"conditions on labels that must all be met, such as severity=\"page\"; =, !=, =~ or !~; default any alert"`
	To             []string     `json:"to,omitempty" maxItems:"50" doc:"notifiers that are told; {owner} for that of the service's owner, which is the default: the notifier of the owner's name, or else all that are for the service"`
	GroupBy        []string     `json:"groupBy,omitempty" maxItems:"64" doc:"labels: alerts that have them alike are one page; [...] makes each alert its own; default [service]"`
	GroupWait      fleet.Dur    `json:"groupWait,omitempty" doc:"how long a new page waits for others of its cause; default 10s"`
	GroupInterval  fleet.Dur    `json:"groupInterval,omitempty" doc:"how long it takes at least until a change of a page is told; default 5m"`
	RepeatInterval fleet.Dur    `json:"repeatInterval,omitempty" doc:"when it is told again that it lasts; default 4h"`
	Mute           []string     `json:"mute,omitempty" maxItems:"50" doc:"times at which nothing is told"`
	Active         []string     `json:"active,omitempty" maxItems:"50" doc:"times outside of which nothing is told"`
	Continue       bool         `json:"continue,omitempty" doc:"the routes after this one are looked at as well"`
	Routes         []AlertRoute `json:"routes,omitempty" maxItems:"200" doc:"more special ones, the first that matches first"`
}

// AlertInhibit keeps some alerts quiet while others fire.
type AlertInhibit struct {
	Source []string `json:"source" minItems:"1" maxItems:"64" doc:"conditions on the labels of the alert that fires"`
	Target []string `json:"target" minItems:"1" maxItems:"64" doc:"conditions on the labels of those that are not told"`
	Equal  []string `json:"equal,omitempty" maxItems:"64" doc:"labels that both must have alike"`
}

// AlertDamping says when an alert flaps.
type AlertDamping struct {
	Times  int       `json:"times" minimum:"0" maximum:"20" doc:"it began to fire so often; 0: never"`
	Within fleet.Dur `json:"within,omitempty" doc:"in this time; default 1h"`
	Calm   fleet.Dur `json:"calm,omitempty" doc:"how long it must be quiet until its end is told; default 10m"`
}

// AlertHeartbeat is a message at an interval: a receiver that misses it knows that nobody watches.
type AlertHeartbeat struct {
	To    string    `json:"to" maxLength:"63" doc:"the notifier that gets it"`
	Every fleet.Dur `json:"every,omitempty" doc:"at which interval; default 1m"`
}

// Defaults returns h with every default filled in.
func (h AlertHeartbeat) Defaults() AlertHeartbeat {
	or(&h.Every, fleet.Dur(time.Minute))
	return h
}

// deepestRoute is how far routes go down.
const deepestRoute = 20

func (p *problems) alertRouting(a *AlertRouting) {
	if a.Route != nil {
		p.alertRoute(*a.Route, "spec.route", a.Times, 0)
		p.need(len(a.Route.Mute)+len(a.Route.Active) == 0 || len(a.Route.Matchers) > 0, "spec.route", "mute and active on a route below it", "would be quiet for all")
	}
	for i, in := range a.Inhibit {
		at := item("spec.inhibit", i)
		p.matchers(in.Source, at+".source")
		p.matchers(in.Target, at+".target")
	}
	for _, name := range sortedKeys(a.Times) {
		p.need(len(a.Times[name]) > 0, field("spec.times", name), "at least one time", "has none")
	}
	if d := a.Damping; d != nil {
		p.within(d.Within, 24*time.Hour, "spec.damping.within")
		p.within(d.Calm, 24*time.Hour, "spec.damping.calm")
	}
	if h := a.Heartbeat; h != nil {
		p.name(h.To, "spec.heartbeat.to")
		p.within(h.Every, 24*time.Hour, "spec.heartbeat.every")
		p.need(h.Every == 0 || h.Every >= fleet.Dur(time.Second), "spec.heartbeat.every", "at least 1s", "%s is too often", h.Every)
	}
}

func (p *problems) alertRoute(r AlertRoute, at string, times map[string][]Window, depth int) {
	if depth > deepestRoute {
		p.add(at, fmt.Sprintf("at most %d routes below each other", deepestRoute), "is too deep")
		return
	}
	p.matchers(r.Matchers, at+".matchers")
	for i, to := range r.To {
		if to != alert.OwnerOf {
			p.name(to, item(at+".to", i))
		}
	}
	for i, l := range r.GroupBy {
		p.need(alert.ValidName(l), item(at+".groupBy", i), "the name of a label, or ...", "got %q", clip(l))
	}
	p.within(r.GroupWait, time.Hour, at+".groupWait")
	p.within(r.GroupInterval, 24*time.Hour, at+".groupInterval")
	p.within(r.RepeatInterval, 30*24*time.Hour, at+".repeatInterval")
	for _, named := range []struct {
		field string
		names []string
	}{{"mute", r.Mute}, {"active", r.Active}} {
		for i, name := range named.names {
			_, there := times[name]
			p.need(there, item(at+"."+named.field, i), "one of spec.times: "+strings.Join(sortedKeys(times), ", "), "there are no times %q", clip(name))
		}
	}
	for i, below := range r.Routes {
		p.alertRoute(below, item(at+".routes", i), times, depth+1)
	}
}

func (p *problems) matchers(texts []string, at string) {
	for i, text := range texts {
		if _, err := alert.ParseMatchers(text); err != nil {
			p.add(item(at, i), `a condition such as severity="page"`, "%s", clip(err.Error()))
		}
	}
}

var (
	promDurRE  = regexp.MustCompile(`^(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?$`)
	metricRE   = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	promLabels = "the name of a label: letters, digits and _, no digit first"
)

// alertRules judges the form; what expressions and templates say is judged by who can evaluate them.
func (p *problems) alertRules(a *AlertRules) {
	seen := map[string]bool{}
	for i, g := range a.Groups {
		at := item("spec.groups", i)
		p.need(g.Name != "" && printable(g.Name), at+".name", "a name", "got %q", clip(g.Name))
		p.need(!seen[g.Name], at+".name", "a name of its own", "%q is another group's, too", clip(g.Name))
		seen[g.Name] = true
		p.promDur(g.Interval, at+".interval")
		p.promDur(g.QueryOffset, at+".query_offset")
		p.promLabels(g.Labels, at+".labels")
		for j, r := range g.Rules {
			p.promRule(r, item(at+".rules", j))
		}
	}
}

func (p *problems) promRule(r Rule, at string) {
	p.need((r.Record == "") != (r.Alert == ""), at, "either record or alert", "has %s", map[bool]string{true: "neither", false: "both"}[r.Record == ""])
	p.need(strings.TrimSpace(r.Expr) != "", at+".expr", "PromQL", "is empty")
	p.promDur(r.For, at+".for")
	p.promDur(r.KeepFiringFor, at+".keep_firing_for")
	p.promLabels(r.Labels, at+".labels")
	p.promLabels(r.Annotations, at+".annotations")
	if r.Record == "" {
		return
	}
	p.need(metricRE.MatchString(r.Record), at+".record", "the name of a metric", "got %q", clip(r.Record))
	p.need(r.For == "" && r.KeepFiringFor == "" && len(r.Annotations) == 0, at, "no for, keep_firing_for or annotations beside record", "they are for alerts")
}

func (p *problems) promDur(s, at string) {
	p.need(s == "" || s == "0" || promDurRE.MatchString(s), at, "a duration as Prometheus writes it, such as 5m, 1h30m or 1d", "got %q", clip(s))
}

func (p *problems) promLabels(set map[string]string, at string) {
	for _, k := range sortedKeys(set) {
		p.need(metricRE.MatchString(k) && !strings.Contains(k, ":") && k != "__name__", field(at, k), promLabels, "got %q", clip(k))
		p.need(len(set[k]) <= 4096, field(at, k), "at most 4096 bytes", "has %d", len(set[k]))
	}
}

// refs are the notifiers that a routing names.
func (a AlertRouting) refs() []Ref {
	var refs []Ref
	var walk func(r AlertRoute, at string)
	walk = func(r AlertRoute, at string) {
		for i, to := range r.To {
			if to != alert.OwnerOf {
				refs = append(refs, Ref{item(at+".to", i), KindNotifier, to})
			}
		}
		for i, below := range r.Routes {
			walk(below, item(at+".routes", i))
		}
	}
	if a.Route != nil {
		walk(*a.Route, "spec.route")
	}
	if a.Heartbeat != nil {
		refs = append(refs, Ref{"spec.heartbeat.to", KindNotifier, a.Heartbeat.To})
	}
	return slices.Clip(refs)
}
