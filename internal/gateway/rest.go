package gateway

import (
	"io"
	"net/http"
)

// readyPath is where a load balancer asks whether to send requests here, of the host and path that it asks with.
const readyPath = "/.ringfence/ready"

// Rest begins or ends a maintenance. While it lasts the gateway says that it is not ready and asks clients to leave their
// connections; it answers them all the same.
func (g *Gateway) Rest(on bool) {
	if was := g.resting.Swap(on); on && !was {
		g.goAway()
	}
}

// parting reports whether clients shall leave.
func (g *Gateway) parting() bool { return g.closing.Load() || g.resting.Load() }

// goAway asks the clients of all HTTP/2 connections to leave.
func (g *Gateway) goAway() {
	g.twos.Range(func(two, _ any) bool {
		go two.(*guardHTTP2).leave()
		return true
	})
}

// tellReady answers 200 while requests are welcome: the gateway goes on, and for the service that a host has, each version
// that is given to someone has a ready instance.
func (x *exchange) tellReady() {
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.w.Header().Set("Cache-Control", "no-store")
	why := x.g.unready(x.r.Host)
	if why != "" {
		x.w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(x.w, why+"\n")
		return
	}
	_, _ = io.WriteString(x.w, "ready\n")
}

func (g *Gateway) unready(host string) string {
	if g.closing.Load() {
		return "ending"
	}
	if g.resting.Load() {
		return "resting"
	}
	rt := g.table.Load().match(host, "/")
	if rt == nil {
		return ""
	}
	for _, tg := range rt.targets {
		if tg != nil && tg.version != nil && !tg.version.hasEndpoints() {
			return "no ready instance of " + rt.service + " " + tg.version.name
		}
	}
	return ""
}
