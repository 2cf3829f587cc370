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
	or(&s.Unit, "local")
	s.Ready.TCP = s.Ready.HTTP == ""
	or(&s.Ready.Interval, fleet.Dur(time.Second))
	or(&s.Ready.Timeout, fleet.Dur(time.Second))
	or(&s.Ready.Within, fleet.Dur(time.Minute))
	or(&s.Route.Path, "/")
	or(&s.Route.Protocol, "http")
	or(&s.Route.Timeout, fleet.Dur(time.Minute))
	or(&s.Route.MaxBodyBytes, 64<<20)
	or(&s.Route.StreamTimeout, fleet.Dur(5*time.Minute))
	return s
}

// Defaults returns p with every default filled in, without changing p's own rings or gates. A ring without bake
// bakes for DefaultBake, or as long as the ring before it when that is longer.
func (p RingPlan) Defaults() RingPlan {
	rings := make([]Ring, len(p.Rings))
	var before fleet.Dur
	for i, r := range p.Rings {
		or(&r.Bake, max(fleet.Dur(DefaultBake), before))
		before = r.Bake
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
	or(&g.Compare, "stable")
	or(&g.MaxRatio, 1)
	share := 0.05
	if g.Signal == "latency" {
		share = 1
	}
	or(&g.MaxShare, share)
	or(&g.Alpha, 0.01)
	or(&g.MinRequests, 500)
	return g
}
