package responder

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Dora are DORA's four measures by service over the last days.
func (r *Responder) Dora(ctx context.Context, days int) ([]incident.Measures, error) {
	now := r.now()
	from := now.AddDate(0, 0, -days)
	rollouts, err := r.Rollouts.List(ctx, "")
	if err != nil {
		return nil, err
	}
	incidents, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	var all []incident.Deployment
	for _, s := range rollouts {
		if s.Kind == rollout.KindFlag || s.Created.Before(from.AddDate(0, 0, -30)) {
			continue
		}
		all = append(all, r.deployment(ctx, s))
	}
	return incident.Dora(all, incidents, from, now.Add(time.Microsecond)), nil
}

func (r *Responder) deployment(ctx context.Context, s rollout.State) incident.Deployment {
	d := incident.Deployment{Service: s.Service, Rollout: s.ID, Started: s.Created, Back: s.Phase == rollout.RolledBack, Hurt: s.HurtAt, Safe: s.SafeAt}
	if len(s.Stages) > 0 {
		d.Reached = s.Stages[0].Exposed
	}
	if s.Phase == rollout.Succeeded {
		d.Out = s.Ended
	} else if d.Back && s.Everyone() && !s.BackAt.IsZero() {
		d.Out = s.BackAt // everyone had it, until then
	}
	if res, err := r.Catalog.Get(ctx, resource.KindRelease, resource.ReleaseName(s.Service, resource.SlotOf(s.To).Version)); err == nil {
		if rel, err := resource.As[resource.Release](res); err == nil && rel.Committed.Before(s.Created) {
			d.Committed = rel.Committed
		}
	}
	return d
}
