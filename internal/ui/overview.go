package ui

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	latestEvents = 12
	unseen       = 5 * time.Second // how old a unit's report may be
)

// card is a service on the overview.
type card struct {
	Name, Owner, Stable string
	Rollout             *rollout.State // its newest
	InFlight            bool
	Waiting             string
	Verdict             health.Verdict
	Tone, Mood          string
	Art                 art
	Ready, Wanted       int
	Traffic             traffic
}

type overviewPage struct {
	*visit
	Cards  []card
	Moving int
	Ramps  bool // a flag’s variant is on its way
	Events []entry
}

func (s *Server) overview(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	p := overviewPage{visit: v}
	v.Title, v.Live = "Overview", "all"
	lately := s.lately(ctx, v.Now)
	for after := ""; ; {
		services, err := s.Catalog.List(ctx, resource.KindService, after, 0)
		if err != nil {
			return err
		}
		for _, one := range services {
			c, err := s.card(ctx, one, v.Now)
			if err != nil {
				return err
			}
			c.Traffic = lately[c.Name]
			if c.InFlight {
				p.Moving++
			}
			p.Cards, after = append(p.Cards, c), one.Metadata.Name
		}
		if len(services) == 0 {
			break
		}
	}
	events, err := s.Store.Events(ctx, store.EventQuery{Backward: true, Limit: latestEvents})
	if err != nil {
		return err
	}
	p.Events, p.Ramps = among(entriesOf(events)), s.movingFlag(ctx)
	return s.show(w, r, http.StatusOK, "overview", p)
}

// newest returns a service's newest rollout, nil when there is none.
func (s *Server) newest(ctx context.Context, service string) (*rollout.State, error) {
	state, err := s.Rollouts.Find(ctx, service)
	if errs.Is(err, errs.Missing) || err == nil && !strings.EqualFold(state.Service, service) {
		return nil, nil
	}
	return &state, err
}

// stableOf is the version that everyone has or returns to.
func stableOf(newest *rollout.State) string {
	switch {
	case newest == nil:
		return ""
	case newest.Phase == rollout.Succeeded && newest.Spared == 0:
		return newest.To
	}
	return newest.From
}

func (s *Server) card(ctx context.Context, r resource.Resource, now time.Time) (card, error) {
	c := card{Name: r.Metadata.Name}
	spec, err := resource.As[resource.Service](r)
	if err != nil {
		return c, err
	}
	spec = spec.Defaults()
	c.Owner = spec.Owner
	if c.Rollout, err = s.newest(ctx, c.Name); err != nil {
		return c, err
	}
	c.Stable = stableOf(c.Rollout)
	status, seen := s.together(spec.Units, c.Name)
	for _, slot := range status.Slots {
		c.Ready, c.Wanted = c.Ready+slot.Ready, c.Wanted+slot.Wanted
	}
	c.InFlight = c.Rollout != nil && !c.Rollout.Phase.Ended()
	if c.InFlight {
		var ev rollout.Evidence
		if c.Waiting, ev, err = s.Rollouts.Waiting(ctx, c.Rollout.ID, now); err != nil {
			return c, err
		}
		c.Verdict = rollout.Judge(*c.Rollout, ev)
	}
	if c.Waiting = plainSpans(brief(c.Waiting)); c.InFlight && paused(*c.Rollout) && !c.Rollout.Halted {
		c.Waiting = pausedText(*c.Rollout)
	}
	c.Tone, c.Mood = c.mood(now.Sub(seen) > unseen)
	if c.Rollout != nil {
		rings := ringsOf(*c.Rollout, c.Verdict, now)
		c.Art = draw("card-"+c.Name, rings, toneOf(*c.Rollout, c.Verdict), glyphOf(*c.Rollout, c.Verdict), describe(*c.Rollout, rings), false)
	}
	return c, nil
}

// mood says in few words how a service is.
func (c card) mood(unseen bool) (tone, mood string) {
	switch {
	case c.Rollout == nil:
		return "calm", "nothing released yet"
	case unseen:
		return "hold", "its unit does not report"
	case c.InFlight && c.Rollout.Phase == rollout.RollingBack:
		return "fail", "being taken back"
	case c.InFlight && c.Rollout.Halted:
		return "hold", "halted"
	case c.InFlight && c.Rollout.Paused:
		return "hold", "paused"
	case c.InFlight && c.Rollout.Phase == rollout.Baking:
		return string(c.Verdict), string(c.Verdict)
	case c.InFlight:
		return "calm", string(c.Rollout.Phase)
	case c.Wanted > 0 && c.Ready == 0:
		return "fail", "no instance is ready"
	case c.Ready < c.Wanted:
		return "hold", "not all instances are ready"
	case c.Wanted == 0:
		return "calm", "nothing runs"
	}
	return "pass", "healthy"
}

// Ring names the outermost ring that has the new version.
func (c card) Ring() string {
	if c.Rollout == nil || c.Rollout.Ring < 0 {
		return ""
	}
	return c.Rollout.Rings[c.Rollout.Ring].Name
}
