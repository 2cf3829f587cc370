package ui

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

const timelineEvents = 200

type rolloutPage struct {
	*visit
	State    rollout.State
	Phase    string // in words
	Headline string
	Waiting  string
	Tone     string
	Verdict  health.Verdict
	Art      art
	Rings    []ringView
	Ring     string
	Gates    []gateView
	GatesOf  string // the ring that the gates judge
	Settled  bool   // the numbers are of the past
	Actions  []action
	Facts    []fact
	Events   []entry
	Charts   bool
}

type fact struct{ Name, Value string }

// action is a button.
type action struct {
	Verb  rollout.Verb
	Label string
	Key   string
	Loud  bool // takes something away
}

func (s *Server) rollout(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	state, err := s.Rollouts.Find(ctx, r.PathValue("rollout"))
	if err != nil {
		return err
	}
	if state.ID != r.PathValue("rollout") { // it was asked for by its service's name
		http.Redirect(w, r, "/rollouts/"+state.ID, http.StatusSeeOther)
		return nil
	}
	p, err := s.rolloutPage(ctx, v, state)
	if err != nil {
		return err
	}
	return s.show(w, r, http.StatusOK, "rollout", p)
}

func (s *Server) rolloutPage(ctx context.Context, v *visit, state rollout.State) (*rolloutPage, error) {
	v.Title, v.Live = state.Service+" "+state.To, "rollout/"+state.ID
	p := &rolloutPage{visit: v, State: state, Charts: s.Metrics != nil}
	waiting, ev, err := s.Rollouts.Waiting(ctx, state.ID, v.Now)
	if err != nil && !errs.Is(err, errs.Missing) { // a service that is gone leaves its rollouts
		return nil, err
	}
	if waiting == "" {
		waiting = state.Reason
	}
	p.Waiting = sentenceCase(brief(waiting))
	if paused(state) {
		p.Waiting = pausedText(state)
	}
	p.Settled = state.Phase.Ended() || state.Phase == rollout.RollingBack
	p.gather(ev)
	p.Rings = ringsOf(state, p.Verdict, v.Now)
	s.measure(ctx, p)
	p.Tone = toneOf(state, p.Verdict)
	p.Art = draw("rings", p.Rings, p.Tone, glyphOf(state, p.Verdict), describe(state, p.Rings), true)
	p.Phase, p.Headline = headline(state, p.Ring)
	newest, err := s.newest(ctx, state.Service)
	if err != nil {
		return nil, err
	}
	p.Actions, p.Facts = actionsOf(state, v.May() && newest != nil && newest.ID == state.ID), factsOf(state, v.Now)
	events, err := s.Store.Events(ctx, store.EventQuery{Subject: "rollout/" + state.ID, Backward: true, Limit: timelineEvents})
	if err != nil {
		return nil, err
	}
	p.Events = entriesOf(events)
	return p, nil
}

// gather takes the gates of now, or those that decided.
func (p *rolloutPage) gather(ev rollout.Evidence) {
	s := p.State
	if s.Ring >= 0 {
		p.Ring = s.Rings[s.Ring].Name
	}
	judged := ev.Gates
	if p.Settled || len(judged) == 0 {
		judged = nil
		for _, st := range s.Stages {
			if len(st.Gates) > 0 {
				judged, p.GatesOf, p.Verdict = st.Gates, st.Ring, st.Verdict
			}
		}
	}
	if !p.Settled && len(s.Stages) > 0 {
		p.Verdict = rollout.Judge(s, ev)
		if len(ev.Gates) > 0 {
			p.GatesOf = s.Stages[len(s.Stages)-1].Ring
		}
	}
	p.Gates = gatesOf("now", judged, s.To, s.From)
	for _, j := range judged {
		if p.Settled && !s.HaltedAt.IsZero() && j.Verdict == health.Fail && len(j.Reasons) > 0 {
			p.Waiting = "Halted in ring " + p.GatesOf + ". " + sentenceCase(j.Reasons[0])
			break
		}
	}
}

// measure adds users and traffic to the rings, as the unit reports and the metrics count them now.
func (s *Server) measure(ctx context.Context, p *rolloutPage) {
	if p.Settled {
		return
	}
	unit := resource.Service{}.Defaults().Unit
	if r, err := s.Catalog.Get(ctx, resource.KindService, p.State.Service); err == nil {
		if spec, err := resource.As[resource.Service](r); err == nil {
			unit = spec.Defaults().Unit
		}
	}
	status, _ := s.Hub.Observe(unit, p.State.Service)
	users := map[string]int64{}
	for _, u := range status.Users {
		if u.Version == p.State.To {
			users[u.Ring] = u.Users
		}
	}
	rates := map[string]pair{}
	if s.Metrics != nil {
		step := time.Second
		if got, err := s.rates(ctx, "ring", p.State.Service, p.Now.Add(-step), p.Now, step, s.window(5*time.Second)); err == nil {
			rates = got
		}
	}
	total := 0.0
	for _, r := range rates {
		total += last(r.requests)
	}
	for i := range p.Rings {
		r := &p.Rings[i]
		r.Users = max(r.Users, users[r.Name])
		if total > 0 {
			now := last(rates[r.Name].requests)
			r.Rate, r.Share = rate(now), now/total
		}
	}
}

func last(values []float64) float64 {
	for i := len(values) - 1; i >= 0; i-- {
		if v := values[i]; v == v {
			return v
		}
	}
	return 0
}

func headline(s rollout.State, ring string) (phase, text string) {
	switch {
	case s.Phase == rollout.Starting:
		return "Starting", s.To + " is being started; nobody sees it yet"
	case paused(s):
		return "Paused", "Paused in ring " + ring
	case s.Phase == rollout.Exposing:
		return "Switching", "Ring " + ring + " is being switched to " + s.To
	case s.Phase == rollout.Baking:
		return "Baking", s.To + " bakes in ring " + ring
	case s.Phase == rollout.RollingBack:
		return "Rolling back", "Everyone is being returned to " + before(s)
	case s.Phase == rollout.Succeeded:
		return "Succeeded", s.To + " is out to everyone"
	case s.Phase == rollout.RolledBack:
		return "Rolled back", "Everyone has " + before(s) + " again"
	}
	return "Superseded", "A newer rollout took its place"
}

// paused says that a pause is what a rollout waits for.
func paused(s rollout.State) bool {
	return s.Paused && (s.Phase == rollout.Exposing || s.Phase == rollout.Baking)
}

func pausedText(s rollout.State) string {
	text := "Nothing moves outward until it is resumed. Harm is still taken back."
	if s.Reason != "" {
		text = "“" + s.Reason + "” " + text
	}
	return text
}

func before(s rollout.State) string {
	if s.From == "" {
		return "nothing"
	}
	return s.From
}

// actionsOf are the commands that make sense now; whoever sends another one is told why not.
func actionsOf(s rollout.State, may bool) []action {
	if !may {
		return nil
	}
	pause := action{rollout.Pause, "Pause", "p", false}
	if s.Paused {
		pause = action{rollout.Resume, "Resume", "p", false}
	}
	switch s.Phase {
	case rollout.Starting:
		return []action{pause, {rollout.Abort, "Abort", "a", true}}
	case rollout.Exposing, rollout.Baking:
		all := []action{pause}
		if !s.Paused && !s.Hurried {
			all = append(all, action{rollout.Promote, "Promote", "m", false})
		}
		return append(all, action{rollout.Abort, "Abort", "a", true})
	case rollout.Succeeded:
		if s.From != "" {
			return []action{{rollout.Rollback, "Roll back", "b", true}}
		}
	}
	return nil
}

func factsOf(s rollout.State, now time.Time) []fact {
	end := now
	if s.Phase.Ended() {
		end = s.Ended
	}
	facts := []fact{{"Started by", person(s.By)}, {"Plan", s.Plan}, {"Running for", span(end.Sub(s.Created).Truncate(time.Second))}}
	if s.Phase.Ended() {
		facts[2].Name = "Took"
	}
	if !s.HurtAt.IsZero() && !s.HaltedAt.IsZero() {
		facts = append(facts, fact{"Time to detect", span(s.HaltedAt.Sub(s.HurtAt).Round(100 * time.Millisecond))})
		if !s.SafeAt.IsZero() {
			facts = append(facts, fact{"Time to mitigate", span(s.SafeAt.Sub(s.HurtAt).Round(100 * time.Millisecond))})
		}
	}
	return facts
}

// Exposed counts the users who got the new version, over all rings.
func (p *rolloutPage) Exposed() int64 {
	var n int64
	for _, r := range p.Rings {
		n += r.Users
	}
	return n
}
