package resource

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

var (
	nameRE    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	versionRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$`)
	digestRE  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	envRE     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
	tokenRE   = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$")
	labelRE   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$`)
	wordRE    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,99}$`)
	braceRE   = regexp.MustCompile(`\{([a-z]+)\}`)
)

// What the patterns ask for, in words.
const (
	nameWords    = "lower-case letters, digits and hyphens, at most 63, beginning and ending with a letter or digit"
	versionWords = "letters, digits and . _ + -, at most 63, beginning with a letter or digit"
	digestWords  = "sha256: and 64 hexadecimal digits"
	envWords     = "letters, digits and _, not beginning with a digit"
	tokenWords   = "a name without blanks or separators"
	labelWords   = "letters, digits and . _ / -, at most 253, beginning and ending with a letter or digit"
)

// Placeholders are the words in braces that are put into a command, and Assigned the variables that every instance gets,
// next to those that begin with RINGFENCE_.
var (
	Placeholders = []string{"artifact", "address", "host", "port", "version", "service", "config"}
	Assigned     = []string{"PORT", "ADDRESS", "LISTEN_ADDR"}
)

// ValidVersion and ValidDigest say whether a text can be a version, or the digest of an artifact.
func ValidVersion(s string) bool { return versionRE.MatchString(s) }

// ValidDigest says whether s is sha256: and 64 lower-case hexadecimal digits.
func ValidDigest(s string) bool { return digestRE.MatchString(s) }

func (p *problems) name(s, path string) {
	p.need(nameRE.MatchString(s), path, nameWords, "%q is no name", clip(s))
}

func (p *problems) metadata(r Resource) {
	if r.Kind != KindRelease && r.Kind != KindConfig && !IsOpenSLO(r.Kind) { // whose names are checked against their specs, or as OpenSLO has them
		p.name(r.Metadata.Name, "metadata.name")
	}
	for _, k := range sortedKeys(r.Metadata.Labels) {
		at := field("metadata.labels", k)
		p.need(labelRE.MatchString(k), at, labelWords, "%q is no label", clip(k))
		p.need(len(r.Metadata.Labels[k]) <= 253, at, "at most 253 characters", "has %d", len(r.Metadata.Labels[k]))
	}
}

func (p *problems) within(d fleet.Dur, most time.Duration, path string) {
	p.need(time.Duration(d) <= most, path, "at most "+fleet.Dur(most).String(), "%s is too long", d)
}

func (p *problems) service(s *Service) {
	p.run(&s.Run)
	p.ready(s.Defaults().Ready, s.Ready)
	p.metrics(s.Metrics)
	p.route(&s.Route)
	p.name(s.Plan, "spec.plan")
	p.units(s)
	for i, name := range s.AlertsOff {
		known := append(BuiltInAlerts[:len(BuiltInAlerts):len(BuiltInAlerts)], CustomerAlerts...)
		p.need(name == AllAlerts || slices.Contains(known, name), item("spec.alertsOff", i), "* or one of "+strings.Join(known, ", "), "there is no built-in alert %q", clip(name))
	}
	p.names(s.DependsOn, "spec.dependsOn") // services outside Ringfence too, so that it need not be declared
	p.need(s.Runbook == "" || strings.HasPrefix(s.Runbook, "https://") || strings.HasPrefix(s.Runbook, "http://"), "spec.runbook", "an address such as https://wiki.example/shop", "%q is none", clip(s.Runbook))
	if s.Peak != nil {
		p.window(s.Peak, "spec.peak")
	}
	p.customers(s)
	p.availability(s)
	p.names(s.Secrets, "spec.secrets")
	if s.Database != "" {
		p.name(s.Database, "spec.database")
	}
	p.within(s.Drain, 24*time.Hour, "spec.drain")
	p.within(s.StopGrace, time.Hour, "spec.stopGrace")
}

func (p *problems) units(s *Service) {
	if s.Unit != "" {
		p.name(s.Unit, "spec.unit")
		p.need(s.Units == nil, "spec.units", "either unit or units", "stands next to unit")
	}
	p.need(s.Units == nil || len(s.Units) > 0, "spec.units", "at least one unit", "is empty")
	p.names(s.Units, "spec.units")
}

// names wants each to be a name, and to stand once.
func (p *problems) names(list []string, path string) {
	for i, name := range list {
		p.name(name, item(path, i))
		p.need(slices.Index(list, name) == i, item(path, i), "each once", "%q stands twice", clip(name))
	}
}

// run wants {artifact} in the command, as it is what a release pins. Where to listen an instance can learn from its
// command or from the environment that the runtime gives it.
func (p *problems) run(r *Run) {
	if r.Scale != nil {
		p.scale(*r.Scale, max(1, r.Instances))
	}
	at := "spec.run.command"
	artifact := false
	for i, arg := range r.Command {
		p.need(i > 0 || strings.TrimSpace(arg) != "", item(at, 0), "a program such as {artifact}", "is empty")
		p.placeholders(arg, item(at, i))
		artifact = artifact || strings.Contains(arg, "{artifact}")
	}
	p.need(artifact, at, "{artifact} where the program of a release is put in", "runs nothing of a release")
	p.env(r.Env, "spec.run.env")
	if r.Dir != "" {
		p.need(path.IsAbs(r.Dir) && path.Clean(r.Dir) == r.Dir, "spec.run.dir", "an absolute path without . or ..", "got %q", clip(r.Dir))
	}
}

func (p *problems) scale(s fleet.Scale, least int) {
	at := "spec.run.scale"
	p.need(s.InFlight >= 0 && s.Requests >= 0 && s.InFlight+s.Requests > 0, at, "inFlight or requests, above 0", "does not say what one instance shall have")
	p.need(s.Max >= least && s.Max <= 100, at+".max", fmt.Sprintf("instances, %d, to 100", least), "is %d", s.Max)
}

// placeholders refuses misspelt words in braces; those that resemble none of ours are the program's own.
func (p *problems) placeholders(s, path string) {
	for _, m := range braceRE.FindAllStringSubmatch(s, -1) {
		near := nearest(m[1], Placeholders)
		p.need(near == "" || near == m[1], path, "one of {"+strings.Join(Placeholders, "}, {")+"}", "unknown %s, did you mean {%s}?", clip(m[0]), near)
	}
}

// env refuses what would be lost in silence: names that the runtime sets itself, and words in braces, which are put
// into commands alone.
func (p *problems) env(env map[string]string, path string) {
	for _, k := range sortedKeys(env) {
		at := field(path, k)
		p.need(envRE.MatchString(k), at, envWords, "%q is no name of an environment variable", clip(k))
		own := slices.Contains(Assigned, k) || strings.HasPrefix(k, "RINGFENCE_")
		p.need(!own, at, "another name", "every instance gets a %s of its own", k)
		for _, m := range braceRE.FindAllStringSubmatch(env[k], -1) {
			p.need(!slices.Contains(Placeholders, m[1]), at, "it in the command; "+strings.Join(Assigned, ", ")+" are set in any case", "%s is not put in here", m[0])
		}
	}
}

func (p *problems) ready(full, r fleet.Ready) {
	if r.HTTP != "" {
		p.need(!r.TCP, "spec.ready.tcp", "either http or tcp", "stands next to http")
		p.urlPath(r.HTTP, "spec.ready.http", true)
	}
	p.within(r.Interval, time.Hour, "spec.ready.interval")
	p.within(r.Within, 24*time.Hour, "spec.ready.within")
	p.need(full.Timeout <= full.Within, "spec.ready.timeout", "at most within, "+full.Within.String(), "%s is too long", full.Timeout)
}

func (p *problems) metrics(m *Metrics) {
	if m == nil {
		return
	}
	p.urlPath(m.Path, "spec.metrics.path", true)
	p.within(m.Interval, time.Hour, "spec.metrics.interval")
}

func (p *problems) urlPath(s, path string, query bool) {
	bare, q, _ := strings.Cut(s, "?")
	ok := strings.HasPrefix(s, "/") && !strings.ContainsAny(s, " \\#\"<>") && (query || q == "" && bare == s) && printable(s) &&
		len(s) <= 1024 && !strings.Contains(bare, "//")
	for seg := range strings.SplitSeq(bare, "/") {
		ok = ok && seg != "." && seg != ".."
	}
	p.need(ok, path, "a path such as /shop", "got %q", clip(s))
}

func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || r == 0x7f {
			return false
		}
	}
	return true
}

func (p *problems) route(r *fleet.Route) {
	if r.Host != "" {
		p.need(validHost(r.Host), "spec.route.host", "a lower-case host name without scheme or port, such as shop.example.com or *.example.com",
			"got %q", clip(r.Host))
	}
	if r.Path != "" {
		p.urlPath(r.Path, "spec.route.path", false)
		p.need(r.Path == "/" || !strings.HasSuffix(r.Path, "/"), "spec.route.path", strings.TrimRight(clip(r.Path), "/"), "ends with /")
	}
	p.need(!r.StripPath || r.Path != "" && r.Path != "/", "spec.route.stripPath", "a path to take off", "there is no path")
	p.source(r.TargetingKey, "spec.route.targetingKey")
	for _, k := range sortedKeys(r.Attributes) {
		at := field("spec.route.attributes", k)
		p.need(!strings.Contains(k, "."), at, "a name without dots; in a rule user.plan means plan within the attribute user", "no rule could read it")
		p.need(k != "targetingKey" && k != "$flagd", at, "another name", "%s is reserved", k)
		p.need(r.Attributes[k] != fleet.Source{}, at, "a header, cookie, query or jwt to read it from", "names no source")
		p.source(r.Attributes[k], at)
	}
	if r.RUM != nil {
		for i, t := range r.RUM.Pages {
			ok := strings.HasPrefix(t, "/") && printable(t) && !strings.ContainsAny(t, " ?#\"") && len(t) <= 100
			p.need(ok, item("spec.route.rum.pages", i), "a template such as /product/{id}", "got %q", clip(t))
		}
		for i, f := range r.RUM.Flags {
			p.need(f != "" && len(f) <= 200 && printable(f) && !strings.ContainsAny(f, ",;\"="), item("spec.route.rum.flags", i), "the key of a flag", "got %q", clip(f))
		}
	}
	p.assets(r)
	p.account(r)
	p.within(r.Timeout, 24*time.Hour, "spec.route.timeout")
	p.protection(r)
	p.need(r.MaxBodyBytes >= -1, "spec.route.maxBodyBytes", "a number of bytes, or -1 for no limit", "got %d", r.MaxBodyBytes)
}

// protection looks at what keeps a service from failing altogether.
func (p *problems) protection(r *fleet.Route) {
	if h := r.Health; h != nil {
		p.need(h.Failures >= -1 && h.Failures <= 1000, "spec.route.health.failures", "a number of failures from 1 to 1000, or -1 for never", "got %d", h.Failures)
		p.need(h.Share >= 0 && h.Share <= 100, "spec.route.health.share", "percent, from 1 to 100", "got %d", h.Share)
		p.within(h.Out, time.Hour, "spec.route.health.out")
		p.within(h.SlowStart, time.Hour, "spec.route.health.slowStart")
	}
	l := r.Limits
	if l == nil {
		return
	}
	p.need(l.InFlight >= 0 && l.InFlight <= 1e6, "spec.route.limits.inFlight", "a number of requests, at most 1000000", "got %d", l.InFlight)
	p.need(l.Pending >= 0 && l.Pending <= 1e6, "spec.route.limits.pending", "a number of requests, at most 1000000", "got %d", l.Pending)
	const classes = "critical, normal or low"
	known := func(c string) bool { return c == "critical" || c == "normal" || c == "low" }
	pr := l.Priority
	p.need(pr.Default == "" || known(pr.Default), "spec.route.limits.priority.default", classes, "got %q", clip(pr.Default))
	p.source(fleet.Source{Header: pr.Header}, "spec.route.limits.priority")
	for _, path := range sortedKeys(pr.Paths) {
		at := field("spec.route.limits.priority.paths", path)
		p.urlPath(path, at, false)
		p.need(known(pr.Paths[path]), at, classes, "got %q", clip(pr.Paths[path]))
	}
	p.need(l.Adaptive || l.InFlight > 0 || pr.Header == "" && pr.Default == "" && len(pr.Paths) == 0, "spec.route.limits.priority",
		"inFlight or adaptive beside it", "there is no limit that a priority could count for")
}

func (p *problems) source(s fleet.Source, path string) {
	for _, f := range []struct{ name, v string }{{"header", s.Header}, {"cookie", s.Cookie}, {"query", s.Query}, {"jwt", s.JWT}} {
		free := f.name == "query" || f.name == "jwt" // may be URLs and the like
		ok := f.v == "" || tokenRE.MatchString(f.v) || free && len(f.v) <= 256 && printable(f.v)
		p.need(ok, field(path, f.name), tokenWords, "got %q", clip(f.v))
	}
}

// account wants a source: a route that names none would count nobody in silence.
func (p *problems) account(r *fleet.Route) {
	a := r.Account
	if a == nil {
		return
	}
	at := "spec.route.account"
	source := fleet.Source{Header: a.Header, Cookie: a.Cookie, Query: a.Query, JWT: a.JWT}
	p.need(source != fleet.Source{} || a.Attribute != "", at, "a header, cookie, query, jwt or attribute to read it from", "names no source")
	p.source(source, at)
	if a.Attribute != "" {
		_, declared := r.Attributes[a.Attribute]
		p.need(declared || a.Attribute == "targetingKey", at+".attribute", "targetingKey, or a name under spec.route.attributes", "the route declares no attribute %q", clip(a.Attribute))
		p.need(source == fleet.Source{}, at+".attribute", "either an attribute or other sources", "stands next to others")
	}
	p.within(a.SlowOver, time.Hour, at+".slowOver")
}

func (p *problems) availability(s *Service) {
	if s.Interface != nil {
		p.within(s.Interface.Window, 90*24*time.Hour, "spec.interface.window")
	}
	if s.Availability != nil {
		p.within(s.Availability.SlowOver, time.Hour, "spec.availability.slowOver")
	}
}

func (p *problems) customers(s *Service) {
	if s.Customers == nil {
		return
	}
	p.need(s.Route.Account != nil, "spec.customers", "spec.route.account, such as {header: X-Tenant}", "nothing says to which account a request belongs")
	c := s.Customers.Defaults()
	p.need(c.Minutes <= c.Of, "spec.customers.minutes", fmt.Sprintf("at most of, which is %d", c.Of), "%d is more", c.Minutes)
	p.need(c.MinBad <= c.MinRequests, "spec.customers.minBad", fmt.Sprintf("at most minRequests, which is %d", c.MinRequests), "%d is more", c.MinBad)
}

func validHost(h string) bool {
	h = strings.TrimPrefix(h, "*.")
	if len(h) > 253 {
		return false
	}
	for label := range strings.SplitSeq(h, ".") {
		if !nameRE.MatchString(label) {
			return false
		}
	}
	return true
}

func (p *problems) release(r *Release, name string) {
	p.name(r.Service, "spec.service")
	p.need(versionRE.MatchString(r.Version), "spec.version", versionWords, "%q is no version", clip(r.Version))
	p.need(digestRE.MatchString(r.Digest), "spec.digest", digestWords, "got %q", clip(r.Digest))
	want := ReleaseName(r.Service, r.Version)
	p.need(name == want, "metadata.name", fmt.Sprintf("%q, its service and version", clip(want)), "got %q", clip(name))
	p.env(r.Env, "spec.env")
	if r.Interface != nil {
		p.need(digestRE.MatchString(r.Interface.Digest), "spec.interface.digest", digestWords, "got %q", clip(r.Interface.Digest))
	}
	if r.Metric != nil {
		p.measure(*r.Metric, "spec.metric")
	}
	if r.Schema != nil {
		p.schemaUse(r.Schema, "spec.schema")
	}
}

// ReleaseName is the name of a service's release.
func ReleaseName(service, version string) string { return service + "/" + version }
