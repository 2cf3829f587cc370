package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/contract"
	"github.com/ringfence/ringfence/internal/contract/compat"
	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/tsdb"
	"github.com/ringfence/ringfence/internal/vetting"
)

// openContracts makes what keeps contracts, and lets releases carry their interfaces.
func (s *server) openContracts() {
	r := compat.Reader{Blobs: s.blobs}
	s.catalog.ReadInterface = r.Operations
	s.contracts = contract.New(contract.Options{Store: s.store, Catalog: s.catalog, Comparer: r, Metrics: calling{s.metrics}, Served: s.served})
}

// served are the versions of a service that users may get: those that are stable, and that of a rollout in flight.
func (s *server) served(ctx context.Context, service string) ([]string, error) {
	live, err := s.controller.Live(ctx, service)
	if errs.Is(err, errs.Missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	labels := append(slices.Sorted(maps.Values(live.Versions)), live.Stable)
	if live.Rollout != "" {
		st, err := s.controller.Find(ctx, live.Rollout)
		if err != nil {
			return nil, err
		}
		if !st.Phase.Ended() {
			labels = append(labels, st.To)
		}
	}
	var all []string
	for _, l := range labels {
		if v := resource.SlotOf(l).Version; l != "" && !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all, nil
}

// contracted begins no rollout of a release that breaks what callers rely on, or that may not ship. What takes back or brings back what was is not asked.
type contracted struct {
	*controller.Controller
	keeper  *contract.Keeper
	vetting *vetting.Keeper
}

func (c contracted) Release(ctx context.Context, actor string, o rollout.Order, now time.Time) (rollout.State, error) {
	if o.Version != "" && !flag.IsSubject(o.Service) {
		if err := c.keeper.Refuse(ctx, actor, o.Service, o.Version); err != nil {
			return rollout.State{}, err
		}
		if err := c.vetting.Refuse(ctx, actor, o.Service, o.Version); err != nil {
			return rollout.State{}, err
		}
	}
	return c.Controller.Release(ctx, actor, o, now)
}

// calling fits the metrics to it.
type calling struct{ *tsdb.DB }

func (c calling) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]contract.Line, error) {
	lines, err := c.DB.QueryRange(ctx, expr, from, to, step)
	out := make([]contract.Line, len(lines))
	for i, l := range lines {
		out[i] = contract.Line(l)
	}
	return out, err
}
