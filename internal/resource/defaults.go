package resource

import (
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// DefaultBake is how long a ring must stay healthy when neither it nor a ring before asks for more.
const DefaultBake = 24 * time.Hour

func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Defaults returns s with every default filled in.
func (s Service) Defaults() Service {
	or(&s.Run.Instances, 1)
	or(&s.Drain, fleet.Dur(30*time.Second))
	or(&s.StopGrace, fleet.Dur(10*time.Second))
	if len(s.Units) == 0 {
		or(&s.Unit, "local")
		s.Units = []string{s.Unit}
	}
	s.Ready.TCP = s.Ready.HTTP == ""
	or(&s.Ready.Interval, fleet.Dur(time.Second))
	or(&s.Ready.Timeout, fleet.Dur(time.Second))
	or(&s.Ready.Within, fleet.Dur(time.Minute))
	or(&s.Route.Path, "/")
	or(&s.Route.Protocol, "http")
	or(&s.Route.Timeout, fleet.Dur(time.Minute))
	or(&s.Route.MaxBodyBytes, 64<<20)
	or(&s.Route.StreamTimeout, fleet.Dur(5*time.Minute))
	rule := InterfaceRule{}
	if s.Interface != nil {
		rule = *s.Interface
	}
	or(&rule.Rule, "refuse")
	or(&rule.Window, fleet.Dur(7*24*time.Hour))
	s.Interface = &rule
	available := Availability{}
	if s.Availability != nil {
		available = *s.Availability
	}
	or(&available.BadShare, 1)
	or(&available.MinBad, 1)
	or(&available.SlowOver, fleet.Dur(time.Second))
	s.Availability = &available
	if s.Route.Account != nil {
		account := *s.Route.Account
		or(&account.SlowOver, fleet.Dur(time.Second))
		s.Route.Account = &account
		customers := Customers{}
		if s.Customers != nil {
			customers = *s.Customers
		}
		customers = customers.Defaults()
		s.Customers = &customers
	}
	return s
}

// Defaults returns c with every default filled in.
func (c Customers) Defaults() Customers {
	or(&c.Objective, 99.9)
	or(&c.BadShare, 5)
	or(&c.MinBad, 2)
	or(&c.MinRequests, 5)
	or(&c.Minutes, 3)
	or(&c.Of, max(10, c.Minutes))
	or(&c.Accounts, 3)
	return c
}

// HotfixShorter is by how much a hotfix bakes shorter where a ring does not say.
const HotfixShorter = 12

// Defaults returns p with every default filled in, without changing p's own rings or gates. A ring without bake
// bakes for DefaultBake, or as long as the ring before it when that is longer.
func (p RingPlan) Defaults() RingPlan {
	rings := make([]Ring, len(p.Rings))
	var before fleet.Dur
	for i, r := range p.Rings {
		or(&r.Bake, max(fleet.Dur(DefaultBake), before))
		before = r.Bake
		or(&r.HotfixBake, r.Bake/HotfixShorter)
		or(&r.Hours, p.Hours)
		or(&r.Button, "red")
		if r.Approval != nil {
			r.Button = "green"
		}
		if r.Button == "green" {
			approval := Approval{}
			if r.Approval != nil {
				approval = *r.Approval
			}
			or(&approval.Need, "any")
			r.Approval = &approval
		}
		rings[i] = r
	}
	p.Rings = rings
	gates := p.Gates
	if len(gates) == 0 {
		gates = []Gate{{Signal: "errors"}}
	}
	p.Gates = make([]Gate, len(gates))
	for i, g := range gates {
		p.Gates[i] = g.Defaults()
	}
	return p
}

// Defaults returns g with every default filled in. A maxShare of 1 means none.
func (g Gate) Defaults() Gate {
	or(&g.Name, g.name())
	or(&g.When, "during")
	or(&g.NoData, "hold")
	or(&g.OnFail, "rollback")
	switch g.Signal {
	case "errors", "latency":
		share := 0.05
		if g.Signal == "latency" {
			share = 1
		}
		or(&g.MaxShare, share)
	case "quantile":
		or(&g.Quantile, 0.99)
	}
	switch g.Signal {
	case "errors", "latency", "quantile":
		or(&g.Compare, "stable")
		or(&g.MaxRatio, 1)
		or(&g.MinRequests, 500)
	case "query", "probe":
		if g.Probe != nil && g.Probe.Name != "" { // whose verdict rests on many rounds
			or(&g.Failures, 1)
			or(&g.Every, fleet.Dur(5*time.Second))
			break
		}
		or(&g.Failures, 3)
	case "webhook", "command":
		or(&g.Failures, 1)
	case "alerts":
		or(&g.Failures, 1)
		or(&g.Every, fleet.Dur(5*time.Second))
	}
	switch g.Signal {
	case "errors", "latency":
	case "query", "series", "quantile":
		or(&g.Every, fleet.Dur(15*time.Second))
	default:
		or(&g.Every, fleet.Dur(time.Minute))
	}
	or(&g.Alpha, 0.01)
	return g
}

// name is what a gate without a name of its own is called.
func (g Gate) name() string {
	switch g.Signal {
	case "latency":
		return "latency over " + g.Over.String()
	case "quantile":
		or(&g.Quantile, 0.99)
		return "p" + plain(g.Quantile*100)
	}
	return g.Signal
}

// Outside reports whether the gate's readings come from beyond the counts of the gateway.
func (g Gate) Outside() bool {
	return g.Signal == "query" || g.Signal == "webhook" || g.Signal == "command" || g.Signal == "probe" || g.Signal == "alerts"
}
