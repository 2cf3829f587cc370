package resource

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

var variableRE = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`)

func (p *problems) monitor(b *Probe) {
	ways := b.ways()
	p.need(len(ways) == 1, "spec", "exactly one of http, steps, tcp, dns, tls, grpc", "has %s", map[bool]string{true: "none of them", false: strings.Join(ways, " and ")}[len(ways) == 0])
	if b.Service != "" {
		p.name(b.Service, "spec.service")
	}
	full := b.Defaults()
	p.probeTarget(b, full)
	p.names(b.From, "spec.from")
	p.need(full.Agree <= len(full.From), "spec.agree", "at most the number of probers", "is %d of %d", full.Agree, len(full.From))
	p.need(full.Every >= fleet.Dur(time.Second), "spec.every", "at least 1s", "%s is too often", b.Every)
	p.within(b.Every, 24*time.Hour, "spec.every")
	p.need(full.Timeout <= max(full.Every, fleet.Dur(time.Second)) && full.Timeout >= fleet.Dur(10*time.Millisecond), "spec.timeout", "from 10ms to every, "+full.Every.String(), "got %s", full.Timeout)
	vars := map[string]bool{"service": true, "version": true}
	for _, k := range sortedKeys(b.Secrets) {
		at := field("spec.secrets", k)
		p.variable(k, at, vars)
		p.secretFile(b.Secrets[k], at)
	}
	if b.HTTP != nil {
		p.request(b.HTTP, "spec.http", full.Target, vars)
		p.need(b.HTTP.Extract == nil, "spec.http.extract", "none with one request; use steps", "nothing follows that could use it")
	}
	for i := range b.Steps {
		p.request(&b.Steps[i], item("spec.steps", i), full.Target, vars)
	}
	if d := b.DNS; d != nil {
		p.need(d.Name != "" && printable(d.Name) && !strings.ContainsAny(d.Name, " /:"), "spec.dns.name", "a name such as shop.example.com", "got %q", clip(d.Name))
		if d.Server != "" {
			p.hostPort(d.Server, "spec.dns.server")
		}
	}
	if t := b.Trust; t != nil {
		if t.CAFile != "" {
			p.secretFile(t.CAFile, "spec.trust.caFile")
		}
		p.need(!t.Any || t.CAFile == "", "spec.trust.any", "either any or caFile", "stands next to caFile")
	}
	if q := b.Quiet; q != nil {
		for i := range q.When {
			p.window(&q.When[i], item("spec.quiet.when", i))
		}
		p.need(!q.Freezes || b.Service != "", "spec.quiet.freezes", "a service, which freezes are for", "there is no service")
	}
	p.within(full.Alert.Expiry, 365*24*time.Hour, "spec.alert.expiry")
	p.need(full.Alert.Urgent <= full.Alert.Expiry, "spec.alert.urgent", "at most expiry, "+full.Alert.Expiry.String(), "%s is longer", full.Alert.Urgent)
}

func (p *problems) probeTarget(b *Probe, full Probe) {
	web := b.HTTP != nil || len(b.Steps) > 0
	switch {
	case full.Target != AtAddress:
		p.need(b.Service != "", "spec.service", "the service", "is missing: target %s is a service's", full.Target)
		p.need(b.Address == "", "spec.address", "none with target "+full.Target, "is not used")
		p.need(b.DNS == nil, "spec.target", "address, or none", "a name server is asked, no service")
		p.need(full.Target != AtGateway || web || b.TCP != nil || b.TLS != nil || b.GRPC != nil, "spec.target", "address", "cannot be asked through the gateway")
	case b.DNS != nil:
		p.need(b.Address == "", "spec.address", "none; dns has a name and a server", "is not used")
	case web:
		u, err := url.Parse(b.Address)
		ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" && printable(b.Address)
		p.need(ok, "spec.address", "the beginning of an http or https URL, without a password", "got %q", clip(b.Address))
	default:
		p.hostPort(b.Address, "spec.address")
	}
}

func (p *problems) hostPort(s, at string) {
	u, err := url.Parse("//" + s)
	ok := err == nil && u.Host == s && u.Hostname() != "" && u.Port() != "" && printable(s) && !strings.ContainsAny(s, " /@")
	p.need(ok, at, "host:port such as shop.example.com:443", "got %q", clip(s))
}

func (p *problems) variable(name, at string, vars map[string]bool) {
	p.need(variableRE.MatchString(name), at, "a variable such as token: letters, digits and _, beginning with a small letter", "got %q", clip(name))
	p.need(name != "service" && name != "version", at, "another name", "%s is there already", name)
	vars[name] = true
}

func (p *problems) request(r *ProbeRequest, at, target string, vars map[string]bool) {
	full := strings.HasPrefix(r.Path, "http://") || strings.HasPrefix(r.Path, "https://")
	p.need(r.Path == "" || strings.HasPrefix(r.Path, "/") || full && target == AtAddress, at+".path", "a path such as /cart?full=1", "got %q", clip(r.Path))
	p.need(printable(r.Path) && !strings.Contains(r.Path, " "), at+".path", "a path without blanks", "got %q", clip(r.Path))
	p.uses(r.Path, at+".path", vars)
	p.uses(r.Body, at+".body", vars)
	for _, k := range sortedKeys(r.Headers) {
		f := field(at+".headers", k)
		p.need(tokenRE.MatchString(k), f, tokenWords, "%q is no header", clip(k))
		p.need(printable(r.Headers[k]), f, "one line", "has control characters")
		p.uses(r.Headers[k], f, vars)
	}
	p.expect(&r.Expect, at+".expect")
	for i, x := range r.Extract {
		e := item(at+".extract", i)
		sources := 0
		for _, s := range []string{x.JSON, x.Header, x.Cookie, x.Matches} {
			if s != "" {
				sources++
			}
		}
		p.need(sources == 1, e, "exactly one of json, header, cookie, matches", "has %d", sources)
		p.pattern(x.Matches, e+".matches")
		p.variable(x.Name, e+".name", vars)
	}
}

// uses refuses words in braces that resemble a variable; others are the request's own.
func (p *problems) uses(s, at string, vars map[string]bool) {
	names := sortedKeys(vars)
	for _, m := range braceRE.FindAllStringSubmatch(s, -1) {
		near := nearest(m[1], names)
		p.need(near == "" || slices.Contains(names, m[1]), at, "one of {"+strings.Join(names, "}, {")+"}", "unknown %s, did you mean {%s}?", clip(m[0]), near)
	}
}

func (p *problems) expect(e *ProbeExpect, at string) {
	for i, s := range e.Status {
		p.need(s >= 100 && s <= 599, item(at+".status", i), "100 to 599", "got %d", s)
	}
	for _, k := range sortedKeys(e.Headers) {
		p.need(tokenRE.MatchString(k), field(at+".headers", k), tokenWords, "%q is no header", clip(k))
		p.pattern(e.Headers[k], field(at+".headers", k))
	}
	p.pattern(e.Matches, at+".matches")
	for i, j := range e.JSON {
		f := item(at+".json", i)
		p.need(j.Path != "", f+".path", "a path such as items[0].price", "is empty")
		p.pattern(j.Matches, f+".matches")
	}
	p.within(e.Within, time.Hour, at+".within")
}

func (p *problems) pattern(s, at string) {
	_, err := regexp.Compile(s)
	p.need(err == nil, at, "a regular expression", "%v", err)
}
