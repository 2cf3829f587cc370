package authority

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/grant"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

// Actor is who ends what has expired, and gives what an incident needs.
const Actor = "system:authority"

// Hurt is an incident that is not resolved, and who responds to it.
type Hurt struct {
	ID, Service string
	Responders  []string
}

// sweepEvery is how long the end of a grant may stay untold. It counts from the moment that it is over.
const sweepEvery = 2 * time.Second

// Run tells of grants that are over, gives responders what their incidents need, and calls for overdue reviews, until ctx ends.
func (a *Authority) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := a.Sweep(ctx, a.Now()); err != nil && ctx.Err() == nil {
			a.Logger.Error("grants could not be looked through", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep does once what Run does.
func (a *Authority) Sweep(ctx context.Context, now time.Time) error {
	all, _, err := a.mine(ctx, KindGrant, "")
	if err != nil {
		return err
	}
	var open []Hurt
	if a.Hurting != nil {
		if open, err = a.Hurting(ctx); err != nil {
			return err
		}
	}
	for _, g := range all {
		if err := a.settleGrant(ctx, g, open, now); err != nil {
			return err
		}
	}
	return a.respond(ctx, all, open, now)
}

func (a *Authority) settleGrant(ctx context.Context, g grant.Grant, open []Hurt, now time.Time) error {
	hurts := slices.ContainsFunc(open, func(h Hurt) bool { return h.ID == g.Incident })
	end := ""
	switch {
	case g.State == grant.Active && !now.Before(g.Until):
		end = "it expired"
	case g.State == grant.Active && g.Incident != "" && !hurts:
		end = g.Incident + " is resolved"
	case g.State == grant.Asked && now.Sub(g.Asked) > 24*time.Hour:
		end = "nobody decided on it within a day"
	}
	if end != "" {
		_, err := a.edit(ctx, g.ID, "grant.ended", Actor, end, now, func(is grant.Grant, _ *loaded) (grant.Grant, error) { return is.End(Actor, end, now), nil })
		return err
	}
	if g.Emergency && g.Reviewed == "" && !g.Overdue && now.After(g.Review) {
		_, err := a.edit(ctx, g.ID, "grant.overdue", Actor, "", now, func(is grant.Grant, _ *loaded) (grant.Grant, error) { is.Overdue = true; return is, nil })
		if err == nil {
			a.alarm(ctx, g, "GlassReviewOverdue", fmt.Sprintf("nobody has reviewed within a day why %s broke glass", g.Who))
		}
		return err
	}
	return nil
}

// respond grants responders the role operator for their incident's service, where that takes a grant.
func (a *Authority) respond(ctx context.Context, all []grant.Grant, open []Hurt, now time.Time) error {
	l, err := a.load(ctx)
	if err != nil || !l.access.NoStanding {
		return err
	}
	for _, h := range open {
		for _, who := range h.Responders {
			if h.Service == "" || slices.ContainsFunc(all, func(g grant.Grant) bool { return g.Incident == h.ID && g.Who == who && g.State == grant.Active }) {
				continue
			}
			if slices.ContainsFunc(all, func(g grant.Grant) bool { return g.Incident == h.ID && g.Who == who }) {
				continue // it is over
			}
			g := grant.ForIncident(who, h.Service, h.ID, now)
			if err := a.changing(ctx, who, now, func(next int) (store.Write, bool, error) {
				past, _, err := a.mine(ctx, KindPast, who)
				if err != nil || slices.ContainsFunc(past, func(p grant.Grant) bool { return p.Incident == h.ID && p.EndedBy != Actor }) {
					return store.Write{}, false, err // somebody took it away
				}
				g.ID = fmt.Sprintf("%s-%d", who, next)
				w, err := written(g, 0, "grant.given", Actor, "responds to "+h.ID, now)
				return w, true, err
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Offboard ends every grant of somebody and takes back what they asked for.
func (a *Authority) Offboard(ctx context.Context, actor, who string, now time.Time) ([]grant.Grant, error) {
	all, _, err := a.mine(ctx, KindGrant, who)
	if err != nil {
		return nil, err
	}
	var ended []grant.Grant
	for _, g := range all {
		if g.State == grant.Over {
			continue
		}
		g, err := a.Revoke(ctx, actor, g.ID, who+" left", now)
		if err != nil {
			return ended, err
		}
		ended = append(ended, g)
	}
	return ended, nil
}

// Groups are the declared groups that name somebody.
func (a *Authority) Groups(ctx context.Context, who string) ([]string, error) {
	l, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	return l.of[who], nil
}

// used notes that something was done by a grant.
func (a *Authority) used(ctx context.Context, id string, q policy.Request) {
	if q.Action == policy.Read || q.Action == policy.Self {
		return
	}
	_, err := a.edit(ctx, id, "grant.used", q.Principal.Actor(), string(q.Action)+" "+q.Verb+" "+q.Resource.String(), q.Now, func(g grant.Grant, _ *loaded) (grant.Grant, error) {
		g.Used = q.Now.UTC()
		return g, nil
	})
	if err != nil {
		a.Logger.Error("the use of a grant could not be noted", "grant", id, "err", err)
	}
}

// Used notes on the record that a request was done by a grant.
func (a *Authority) Used(ctx context.Context, d policy.Decision, q policy.Request) {
	if d.Grant != "" {
		a.used(ctx, d.Grant, q)
	}
}
