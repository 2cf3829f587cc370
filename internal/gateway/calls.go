package gateway

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/internal/fleet"
)

// callerHeader names the service and version that a request comes from: what an instance finds in RINGFENCE_CALLER. It is not
// passed on, so that a service that copies what it was sent does not speak for its callers.
const callerHeader = "Ringfence-Caller"

// Callers that have no name: one that sends none, one that is not believed, and all that are too many to tell apart.
const (
	unknownCaller   = "unknown"
	untrustedCaller = "untrusted"
	otherCaller     = "other"
)

const (
	mostCallers = 200  // of a version
	mostCalls   = 2000 // pairs of operation and caller of a version
)

// callBook counts who asks a version for what. Looking up what was counted before takes no lock.
type callBook struct {
	key        versionKey
	m          *metrics
	operations atomic.Pointer[operations]

	known atomic.Pointer[map[callKey]*called]
	mu    sync.Mutex
	names map[string]bool
}

// called is what is counted of a pair: how often, and when last, which a restart of the gateway does not blur.
type called struct {
	requests prometheus.Counter
	last     prometheus.Gauge
}

type callKey struct {
	operation string
	caller    string // service/version, or one of those without a name
}

// callBook returns the counts of a version, for the operations that it has now. g.mu is held.
func (g *Gateway) callBook(service, version string, slots []fleet.Slot) *callBook {
	k := versionKey{service, version}
	b := g.calls[k]
	if b == nil {
		b = &callBook{key: k, m: g.metrics, names: map[string]bool{}}
		b.known.Store(&map[callKey]*called{})
		g.calls[k] = b
	}
	var all []fleet.Operation
	if i := slices.IndexFunc(slots, func(s fleet.Slot) bool { return s.Version == version }); i >= 0 {
		all = slots[i].Operations
	}
	if o := b.operations.Load(); o == nil || !slices.Equal(o.all, all) {
		b.operations.Store(newOperations(all))
	}
	return b
}

// forgetCalls drops the counts of versions that nobody can ask any more. g.mu is held.
func (g *Gateway) forgetCalls(wanted map[versionKey]bool) {
	maps.DeleteFunc(g.calls, func(k versionKey, _ *callBook) bool {
		gone := !wanted[k]
		if gone {
			gone := prometheus.Labels{"service": k.service, "version": k.version}
			g.metrics.calls.DeletePartialMatch(gone)
			g.metrics.lastCalls.DeletePartialMatch(gone)
		}
		return gone
	})
}

// countCall counts who asked for what.
func (x *exchange) countCall() {
	b := x.last.calls
	k := callKey{x.operation().name, x.caller()}
	c := (*b.known.Load())[k]
	if c == nil {
		c = b.learn(k)
	}
	c.requests.Inc()
	c.last.Set(float64(x.start.Unix()))
}

// learn begins to count for a pair, or for what stands for too many.
func (b *callBook) learn(k callKey) *called {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := *b.known.Load()
	if !b.names[k.caller] && len(b.names) >= mostCallers || len(known) >= mostCalls {
		k.caller = otherCaller
	}
	if c := known[k]; c != nil {
		return c
	}
	k.caller = strings.Clone(k.caller) // it is part of the request, which goes
	service, version, _ := strings.Cut(k.caller, "/")
	labels := []string{b.key.service, b.key.version, k.operation, service, version, b.m.unit}
	c := &called{b.m.calls.WithLabelValues(labels...), b.m.lastCalls.WithLabelValues(labels...)}
	more := maps.Clone(known)
	more[k] = c
	b.names[k.caller] = true
	b.known.Store(&more)
	return c
}

// caller is who says to ask, as far as that is believed: on this machine or in a network of instances, and with no proxy in between, since
// anybody can send the header.
func (x *exchange) caller() string {
	said := x.r.Header[callerHeader]
	if len(said) == 0 {
		return unknownCaller
	}
	if len(said) > 1 || !validCaller(said[0]) || x.r.Header["X-Forwarded-For"] != nil || x.r.Header["Forwarded"] != nil || !x.fromInstances() {
		return untrustedCaller
	}
	return said[0]
}

// fromInstances reports whether the peer is where instances run.
func (x *exchange) fromInstances() bool {
	peer, err := netip.ParseAddrPort(x.r.RemoteAddr)
	if err != nil {
		return false
	}
	addr := peer.Addr().Unmap()
	if addr.IsLoopback() {
		return true
	}
	if own, ok := x.r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && own.AddrPort().Addr().Unmap() == addr {
		return true // this machine, by its other name
	}
	return slices.ContainsFunc(x.g.opts.CallerNetworks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// validCaller reports whether a name is service/version.
func validCaller(s string) bool {
	if len(s) > 128 {
		return false
	}
	slashes := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/':
			if slashes++; i == 0 || i == len(s)-1 {
				return false
			}
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-', c == '+':
		default:
			return false
		}
	}
	return slashes == 1
}
