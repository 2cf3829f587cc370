package ui

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// askFor is how long the number of approvals on every page may be old.
const askFor = time.Second

// asked remembers how many approvals are waited for, so that many pages do not look them all up.
type asked struct {
	sync.Mutex
	at      time.Time
	n       int
	changes int
	fires   int // pages of alerts that nobody has taken
}

// notice fills in what every page says. A page is better without it than not at all.
func (s *Server) notice(ctx context.Context, v *visit) {
	if s.Decisions == nil {
		return
	}
	var err error
	if v.Line, err = s.Decisions.Line(ctx); err != nil {
		s.Logger.Warn("the line cannot be read", "err", err)
	}
	s.asks.Lock()
	defer s.asks.Unlock()
	if now := time.Now(); now.Sub(s.asks.at) > askFor {
		if list, err := s.Decisions.Inbox(ctx); err == nil {
			s.asks.n, s.asks.at = len(list), now
		}
		s.asks.fires = s.fires(ctx)
		if s.Board != nil {
			if open, err := s.Board.Requests(ctx, "", true); err == nil {
				s.asks.changes = len(open)
			}
		}
	}
	v.Asks, v.Changes, v.Fires = s.asks.n, s.asks.changes, s.asks.fires
}

func (s *Server) lastGood(ctx context.Context, service string) (string, error) {
	if s.LastGood == nil {
		return "", nil
	}
	return s.LastGood(ctx, service)
}

// asking is an approval that is waited for, as a page tells of it.
type asking struct {
	State    rollout.State
	Ring     string
	Missing  string
	Now      bool      // it is waited for already; else it will be, once the ring before has baked
	Since    time.Time // when it was asked for
	Given    []rollout.Approved
	Evidence string // in one line
	Verdict  health.Verdict
	Denied   string // why the visitor may not decide
}

type approvalsPage struct {
	*visit
	Asking []asking
}

func (s *Server) approvals(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title, v.Live = "Approvals", "all"
	list, err := s.Decisions.Inbox(r.Context())
	if err != nil {
		return err
	}
	v.Asks = len(list)
	p := approvalsPage{visit: v}
	for _, one := range list {
		a, err := s.askingOf(r.Context(), v, one.Rollout)
		if err != nil {
			return err
		}
		if a.Missing != "" {
			p.Asking = append(p.Asking, a)
		}
	}
	slices.SortStableFunc(p.Asking, func(a, b asking) int { // those who wait first, the longest first
		if a.Now != b.Now {
			return map[bool]int{true: -1, false: 1}[a.Now]
		}
		return cmp.Or(a.Since.Compare(b.Since), a.State.Created.Compare(b.State.Created))
	})
	return s.show(w, r, http.StatusOK, "approvals", p)
}

// askingOf tells of the approval that a rollout's next ring needs, with an empty Missing when it needs none.
func (s *Server) askingOf(ctx context.Context, v *visit, state rollout.State) (asking, error) {
	a := asking{State: state}
	full, err := s.Catalog.Resolve(ctx, state.Service)
	if errs.Is(err, errs.Missing) {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	a.Ring, a.Missing = state.Pending(full.Groups)
	if a.Missing == "" {
		return a, nil
	}
	_, ev, err := s.Rollouts.Waiting(ctx, state.ID, v.Now)
	if err != nil {
		return a, err
	}
	a.Verdict = rollout.Judge(state, ev)
	a.Evidence = evidenceLine(state, ev, a.Verdict, v.Now)
	a.Given = slices.DeleteFunc(slices.Clone(state.Approved), func(g rollout.Approved) bool { return g.Ring != a.Ring })
	if a.Now = state.Asked == a.Ring; a.Now {
		events, err := s.Store.Events(ctx, store.EventQuery{Subject: "rollout/" + state.ID, Type: rollout.EvAsked, Limit: 1, Backward: true})
		if err != nil {
			return a, err
		}
		if len(events) > 0 {
			a.Since = events[0].Time
		}
	}
	switch _, err := rollout.Approve(state, a.Ring, v.Who.Actor(), "", false, full.Groups, v.Now); {
	case !v.May():
		a.Denied = "The role " + string(v.Who.Role) + " may not decide."
	case err != nil:
		a.Denied = sentenceCase(err.Error())
	case slices.ContainsFunc(a.Given, func(g rollout.Approved) bool { return g.By == v.Who.Actor() }):
		a.Denied = "You have approved it; others are still waited for."
	}
	return a, nil
}

// evidenceLine is what speaks for and against the next ring, in one line.
func evidenceLine(s rollout.State, ev rollout.Evidence, verdict health.Verdict, now time.Time) string {
	if s.Ring < 0 {
		return "Nobody has " + s.To + " yet."
	}
	parts := []string{"Ring " + s.Rings[s.Ring].Name}
	if n := len(s.Stages); n > 0 && !s.Stages[n-1].Baking.IsZero() {
		parts[0] += " for " + span(now.Sub(s.Stages[n-1].Baking).Truncate(time.Second))
	}
	parts[0] += ": " + string(verdict)
	for _, j := range ev.Gates {
		text := strings.ToLower(gateName(j.Gate)) + " " + string(j.Verdict)
		if e := j.Evidence; e.CanaryRequests > 0 && (j.Gate.Signal == health.SignalErrors || j.Gate.Signal == health.SignalLatency) {
			text = strings.ToLower(gateName(j.Gate)) + " " + percent(share(e.CanaryBad, e.CanaryRequests))
			if e.StableRequests > 0 {
				text += " against " + percent(share(e.StableBad, e.StableRequests))
			}
		}
		parts = append(parts, text)
	}
	if ev.Requests > 0 {
		parts = append(parts, plural(ev.Requests, "request", "requests"))
	}
	if ev.Users > 0 {
		parts = append(parts, plural(ev.Users, "user", "users"))
	}
	if len(s.Warned) > 0 {
		parts = append(parts, "warned by "+strings.Join(s.Warned, ", "))
	}
	return strings.Join(parts, "; ") + "."
}

func versionOf(label string) string { return resource.SlotOf(label).Version }

// newestFirst puts releases in the order of their making, the last first.
func newestFirst(all []resource.Release) []resource.Release {
	slices.SortFunc(all, func(a, b resource.Release) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.Version, a.Version))
	})
	return all
}
