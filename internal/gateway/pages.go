package gateway

import (
	"net/http"
	"strings"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Pages tells pages what they are, and takes what they tell of how they are for their users.
type Pages interface {
	// Tell adds to the header of a page.
	Tell(h http.Header, v Visit)
	// Serve answers requests for the script, and the script's own. It must not wait for anything outside.
	Serve(w http.ResponseWriter, r *http.Request, v Visit)
}

// Visit is whose page it is, or who tells of one.
type Visit struct {
	Service, Version, Ring string // that the user is given now
	Key                    string // the targeting key; empty when it is none that lasts
	Attributes             map[string]any
	Settings               fleet.RUM
	Known                  func(version, ring string) bool // whether there is such a version, or was lately, and such a ring
}

// The paths below a service's own that its pages know.
const (
	reportPath = "/.ringfence/rum"
	scriptPath = "/.ringfence/rum.js"
)

// page answers what a page's script asks, and reports whether it was that.
func (x *exchange) page() bool {
	p := x.r.URL.Path
	if !strings.HasSuffix(p, reportPath) && !strings.HasSuffix(p, scriptPath) {
		return false
	}
	rt := x.g.table.Load().match(x.r.Host, p)
	if rt == nil || rt.rum == nil || p != rt.prefix+reportPath && p != rt.prefix+scriptPath {
		return false
	}
	x.identify(rt)
	x.g.opts.Pages.Serve(x.w, x.r, x.visit(rt))
	return true
}

func (x *exchange) visit(rt *route) Visit {
	v := Visit{Service: rt.service, Settings: *rt.rum, Attributes: x.user.Attributes, Known: func(version, ring string) bool { return x.g.knows(rt, version, ring) }}
	if !x.fresh {
		v.Key = x.user.TargetingKey
	}
	if tg := rt.targets[rt.rings.Lookup(&x.user)]; tg != nil {
		v.Version, v.Ring = tg.series.key.version, tg.series.key.ring
	}
	return v
}

// knows reports whether a version is served, or runs still, and a ring is one of the route.
func (g *Gateway) knows(rt *route, version, ring string) bool {
	known := ring == ""
	for _, tg := range rt.targets {
		known = known || tg != nil && tg.series.key.ring == ring
	}
	if !known {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.versions[versionKey{rt.service, version}] != nil
}

// tellPage tells a page what it is. What is asked for as a page says so: an answer's own type comes too late.
func (x *exchange) tellPage() {
	if x.rt == nil || x.rt.rum == nil || x.g.opts.Pages == nil || x.r.Method != http.MethodGet || !strings.Contains(x.r.Header.Get("Accept"), "text/html") {
		return
	}
	k := x.last.series.key
	v := Visit{Service: k.service, Version: k.version, Ring: k.ring, Key: x.user.TargetingKey, Attributes: x.user.Attributes, Settings: *x.rt.rum}
	x.g.opts.Pages.Tell(x.w.Header(), v)
}
