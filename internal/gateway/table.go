package gateway

import (
	"path"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/fleet"
)

// table is the routing of one moment; nothing in it changes once it is in force.
type table struct {
	exact    map[string][]*route // by host
	wild     map[string][]*route // by what follows "*."
	anyHost  []*route
	services map[string]*route
}

// route is one service in a table.
type route struct {
	service       string
	generation    int64
	prefix        string // "" for every path, else "/a/b"
	strip         bool
	key           fleet.Source
	attrs         []attribute
	declared      map[string]fleet.Source // all attributes that could be found
	counted       atomic.Pointer[counted] // nil without ramps
	rings         *exposure.Rings
	targets       []*target // per ring; nil when no version is out for it
	h2c           bool
	timeout       time.Duration
	maxBody       int64 // -1: no limit
	streamTimeout time.Duration
	health        judging
	valve         *valve
	priority      priority
	pending       int64
	rum           *fleet.RUM // nil: its pages tell nothing
	rule          *fleet.Assets
	assets        *assets      // nil: no copies of static files are kept
	account       *accountRule // nil: requests are counted for no account
}

// target is where a ring's requests go, with the counters that they move.
type target struct {
	version *version
	series  *series
	calls   *callBook
}

type attribute struct {
	name string
	from fleet.Source
}

// match finds the route of a request: the exact host before a wildcard before any host, and within each the longest
// path prefix. A host whose prefixes do not match leaves the request to the next, less exact one.
func (t *table) match(host, urlPath string) *route {
	host = normalHost(host)
	if strings.Contains(urlPath, "/.") {
		urlPath = path.Clean(urlPath) // "/a/../b" is a request for /b, whatever it looks like
	}
	if r := longest(t.exact[host], urlPath); r != nil {
		return r
	}
	if len(t.wild) > 0 {
		if _, rest, ok := strings.Cut(host, "."); ok {
			if r := longest(t.wild[rest], urlPath); r != nil {
				return r
			}
		}
	}
	return longest(t.anyHost, urlPath)
}

func longest(rs []*route, p string) *route {
	for _, r := range rs {
		if hasPrefix(p, r.prefix) {
			return r
		}
	}
	return nil
}

// hasPrefix reports whether prefix, "" or "/a/b", covers p on segment boundaries.
func hasPrefix(p, prefix string) bool {
	return strings.HasPrefix(p, prefix) && (len(p) == len(prefix) || prefix == "" || p[len(prefix)] == '/')
}

// normalHost takes off the port and a last dot, and lowers the case.
func normalHost(h string) string {
	if i := strings.LastIndexByte(h, ':'); i >= 0 && strings.IndexByte(h[i:], ']') < 0 {
		h = h[:i]
	}
	return strings.ToLower(strings.TrimSuffix(h, "."))
}

func newTable() *table {
	return &table{exact: map[string][]*route{}, wild: map[string][]*route{}, services: map[string]*route{}}
}

// add puts a route in; two services may not claim the same host and path.
func (t *table) add(r *route, host string) error {
	host = normalHost(host)
	list := t.anyHost
	rest, wild := strings.CutPrefix(host, "*.")
	switch {
	case wild:
		list = t.wild[rest]
	case host != "":
		list = t.exact[host]
	}
	for _, o := range list {
		if o.prefix == r.prefix {
			return errs.E(errs.Conflict, "services %s and %s both claim host %q, path %q", o.service, r.service, host, r.prefix+"/")
		}
	}
	list = append(list, r)
	sort.Slice(list, func(i, j int) bool { return len(list[i].prefix) > len(list[j].prefix) })
	switch {
	case wild:
		t.wild[rest] = list
	case host != "":
		t.exact[host] = list
	default:
		t.anyHost = list
	}
	t.services[r.service] = r
	return nil
}

// newRoute reads a service; its targets are still to be set.
func newRoute(s fleet.Service) (*route, error) {
	if s.Name == "" {
		return nil, errs.E(errs.Invalid, "a service without a name")
	}
	if len(s.Exposure) > len(s.Rings) {
		return nil, errs.E(errs.Invalid, "service %s exposes %d rings, but has %d", s.Name, len(s.Exposure), len(s.Rings))
	}
	rt := s.Route
	if rt.Path != "" && rt.Path[0] != '/' {
		return nil, errs.E(errs.Invalid, "service %s: path %q, expected a prefix beginning with /", s.Name, rt.Path)
	}
	if rt.Protocol != "" && rt.Protocol != "http" && rt.Protocol != "h2c" {
		return nil, errs.E(errs.Invalid, "service %s: protocol %q, expected http or h2c", s.Name, rt.Protocol)
	}
	rings, err := exposure.Compile(s.Salt, s.Rings)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "service %s", s.Name)
	}
	r := &route{
		service: s.Name, generation: s.Generation, declared: rt.Attributes, strip: rt.StripPath, key: rt.TargetingKey, rings: rings,
		prefix: strings.TrimRight(rt.Path, "/"), rum: rt.RUM, rule: rt.Assets, account: newAccountRule(rt), h2c: rt.Protocol == "h2c",
		timeout: rt.Timeout.D(defaultTimeout), streamTimeout: rt.StreamTimeout.D(defaultStreamTimeout), maxBody: rt.MaxBodyBytes,
	}
	r.health, r.pending = newJudging(rt.Health), defaultPending
	r.priority = newPriority(fleet.Priority{})
	if l := rt.Limits; l != nil {
		r.priority = newPriority(l.Priority)
		if l.Pending > 0 {
			r.pending = int64(l.Pending)
		}
	}
	if r.maxBody == 0 {
		r.maxBody = defaultMaxBody
	}
	for _, name := range rings.Attributes() { // what no ring reads is not worth finding
		if from, ok := rt.Attributes[name]; ok {
			r.attrs = append(r.attrs, attribute{name, from})
		}
	}
	return r, nil
}
