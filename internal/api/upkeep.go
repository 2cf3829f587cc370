package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/upkeep"
)

type unitRestInput struct {
	ByUnit
	Body wire.Maintenance
}

type unitReturnInput struct {
	ByUnit
	Body wire.Reason
}

func (s *Server) upkeep() {
	register(s, operation{method: http.MethodGet, path: "/v1/units", id: "listUnits", tag: "units", summary: "Lists the units in which services run, with their maintenance",
		route: route{action: policy.Read}}, func(ctx context.Context, _ *none) (*answered[wire.Units], error) {
		all, err := s.Upkeep.Units(ctx, s.Now())
		return &answered[wire.Units]{wire.Units{Items: all}}, err
	})
	for _, v := range []struct {
		word, id, summary, about string
		drain                    bool
	}{
		{"cordon", "cordonUnit", "Lets nothing new be brought to a unit", "No rollout enters a ring that has members there; what runs goes on. Asking for what is so already changes nothing.", false},
		{"drain", "drainUnit", "Takes a unit out of service for maintenance", "Its gateway says that it is not ready and asks clients to leave; once they have had the time to and nothing is in flight, its instances are stopped. " +
			"409 when it alone serves a service, unless force is set. Asking for what is so already changes nothing.", true},
	} {
		register(s, operation{method: http.MethodPost, path: "/v1/units/{unit}/" + v.word, id: v.id, tag: "units", summary: v.summary, about: v.about,
			route: route{action: policy.Decide, keyed: true}}, func(ctx context.Context, in *unitRestInput) (*answered[upkeep.Unit], error) {
			order := upkeep.Order{Drain: v.drain, Reason: in.Body.Reason, Force: in.Body.Force}
			if in.Body.Wait != "" {
				wait, err := time.ParseDuration(in.Body.Wait)
				if err != nil {
					return nil, errs.E(errs.Invalid, "wait %q: expected a duration such as 15s", clip(in.Body.Wait, 40))
				}
				order.Wait = wait
			}
			u, err := s.Upkeep.Rest(ctx, actorOf(ctx), in.Unit, order, s.Now())
			return &answered[upkeep.Unit]{u}, err
		})
	}
	register(s, operation{method: http.MethodPost, path: "/v1/units/{unit}/return", id: "returnUnit", tag: "units", summary: "Ends the maintenance of a unit",
		about: "Its instances are started, and once they are ready its gateway says so. Asking for what is so already changes nothing.",
		route: route{action: policy.Decide, keyed: true}}, func(ctx context.Context, in *unitReturnInput) (*answered[upkeep.Unit], error) {
		u, err := s.Upkeep.Return(ctx, actorOf(ctx), in.Unit, in.Body.Reason, s.Now())
		return &answered[upkeep.Unit]{u}, err
	})
}
