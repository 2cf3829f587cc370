package ui

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
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
	Asking   asking
	Changes  []rollout.Change
	Layer    bool   // what alone changes is no release: a config, or the version of the schema
	Through  string // the way it takes, and why
	Units    []unitView
	Facts    []fact
	Events   []entry
	Charts   bool
	Flag     bool   // it brings a flag's variant
	Compared string // which users are compared, of a flag
	Outcome  *outcomeView
}

type fact struct{ Name, Value string }

// action is a button.
type action struct {
	Verb  string
	Label string
	Key   string
	Loud  bool   // takes something away
	Why   string // why it cannot be done now
}

// unitView is what one of several units has.
type unitView struct {
	Name, Before string
	Exposed      string // what its outermost exposed ring has
	Slots        []fleet.SlotStatus
	Seen         time.Time
	Unseen       bool
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
	v.Title, v.Live = labelOf(state.Service)+" "+state.To, "rollout/"+state.ID
	p := &rolloutPage{visit: v, State: state, Charts: s.Metrics != nil, Flag: ofFlag(state.Service), Compared: comparedText(state)}
	waiting, ev, err := s.Rollouts.Waiting(ctx, state.ID, v.Now)
	if err != nil && !errs.Is(err, errs.Missing) { // a service that is gone leaves its rollouts
		return nil, err
	}
	if waiting == "" {
		waiting = state.Reason
	}
	p.Waiting = sentenceCase(plainSpans(brief(waiting)))
	if paused(state) && !state.Halted {
		p.Waiting = pausedText(state)
	}
	p.Settled = state.Phase.Ended() || state.Phase == rollout.RollingBack
	p.gather(ev)
	p.Rings = ringsOf(state, p.Verdict, v.Now)
	s.measure(ctx, p)
	p.Tone = toneOf(state, p.Verdict)
	p.Art = draw("rings", p.Rings, p.Tone, glyphOf(state, p.Verdict), describe(state, p.Rings), true)
	if p.Flag {
		p.Art.Paint = s.paintOf(ctx, state.Service, state.To)
	}
	p.Phase, p.Headline = headline(state, p.Ring)
	newest, err := s.newest(ctx, state.Service)
	if err != nil {
		return nil, err
	}
	p.Changes, p.Through, p.Facts = state.Changes, throughOf(state), factsOf(state, v.Now)
	p.Layer = len(p.Changes) == 1 && p.Changes[0].Kind != rollout.KindRelease
	if newest != nil && newest.ID == state.ID {
		if err := s.decidable(ctx, p); err != nil {
			return nil, err
		}
	}
	if s.Usage != nil {
		told, err := s.Usage.Outcome(ctx, state, v.Now)
		if err != nil {
			return nil, err
		}
		p.Outcome = outcomeViewOf(told)
	}
	events, err := s.Store.Events(ctx, store.EventQuery{Subject: "rollout/" + state.ID, Backward: true, Limit: timelineEvents})
	if err != nil {
		return nil, err
	}
	p.Events = entriesOf(events)
	return p, nil
}

// decidable says what can be decided of a service's newest rollout, by the visitor.
func (s *Server) decidable(ctx context.Context, p *rolloutPage) error {
	var err error
	if p.Asking, err = s.askingOf(ctx, p.visit, p.State); err != nil || !p.May() {
		return err
	}
	if p.Flag { // what is between variants has no release, and is switched off rather than replaced
		p.Actions = slices.DeleteFunc(p.actionsOf("", false), func(a action) bool { return a.Verb == "forward" || a.Verb == "redeploy" })
		return nil
	}
	good, err := s.lastGood(ctx, p.State.Service)
	if err != nil {
		return err
	}
	others, err := s.forwards(ctx, p.State)
	p.Actions = p.actionsOf(good, len(others) > 0)
	return err
}

// throughOf says which way a rollout takes that is not the plan's own, and why.
func throughOf(s rollout.State) string {
	var parts []string
	switch s.Lane {
	case "":
	case rollout.Sev0:
		parts = append(parts, "Lane sev0: straight to the units that are hit")
	case rollout.Sev1:
		parts = append(parts, "Lane sev1: the first ring, then the units that are hit, on approval")
	case rollout.Hotfix:
		parts = append(parts, "Lane hotfix: all rings, with shorter bakes")
	case rollout.Forward:
		parts = append(parts, "Rolled forward: straight to the rings that had what it replaces")
	case rollout.Redeploy:
		parts = append(parts, "Redeployed: what was last known good, straight to everyone")
	default:
		parts = append(parts, "Lane "+string(s.Lane))
	}
	if s.Through {
		parts = append(parts, "freezes do not hold it")
	}
	if len(parts) == 0 && s.Why != "" {
		if ofFlag(s.Service) { // there a reason is given without any force
			return "“" + s.Why + "”"
		}
		parts = append(parts, "Forced")
	}
	if len(parts) == 0 {
		return ""
	}
	text := sentenceCase(strings.Join(parts, "; "))
	if s.Why != "" {
		text += " “" + s.Why + "”"
	}
	return text
}

// gather takes the gates of now, or those that decided.
func (p *rolloutPage) gather(ev rollout.Evidence) {
	s := p.State
	if s.Ring >= 0 {
		p.Ring = s.Rings[s.Ring].Name
	}
	judged := slices.Concat(ev.Gates, ev.Before)
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
	p.weigh(ev)
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
	units := p.State.Units
	if len(units) == 0 {
		units = s.unitsOf(ctx, p.State.Service)
	}
	users := map[string]int64{}
	for _, unit := range units {
		status, seen := s.Hub.Observe(unit, p.State.Service)
		for _, u := range status.Users {
			if u.Version == p.State.To {
				users[u.Ring] += u.Users
			}
		}
		p.Units = append(p.Units, unitView{Name: unit, Before: p.State.BeforeIn(unit), Exposed: p.exposedIn(unit), Slots: status.Slots, Seen: seen, Unseen: p.Now.Sub(seen) > unseen})
	}
	if p.Flag {
		users = s.flagUsers(ctx, p.State)
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
	reached := 0.0
	for i := range p.Rings {
		if i <= p.State.Ring {
			reached += last(rates[p.Rings[i].Name].requests)
		}
	}
	if s := p.State; s.Phase == rollout.Baking && !s.Paused && !s.Halted && p.Verdict == health.Hold {
		var more int64
		for _, g := range p.Gates {
			more = max(more, g.More)
		}
		p.Waiting += soonAt(more, reached)
	}
	for i := range p.Rings {
		r := &p.Rings[i]
		r.Users = max(r.Users, users[r.Name])
		if total > 0 {
			now := last(rates[r.Name].requests)
			if r.Rate = rate(now); !p.Flag { // of a flag only the ring in trial is counted
				r.Share = now / total
			}
		}
	}
}

// soonAt says how long so many requests take at some rate, when that is known.
func soonAt(more int64, rate float64) string {
	if more <= 0 || rate < 0.01 {
		return ""
	}
	seconds := float64(more) / rate
	if seconds > (30 * 24 * time.Hour).Seconds() {
		return " At this traffic that takes more than a month."
	}
	d := time.Duration(seconds * float64(time.Second))
	if d > 10*time.Minute {
		d = d.Round(time.Minute)
	}
	return " At this traffic that takes about " + span(max(time.Second, d.Round(time.Second))) + "."
}

// unitsOf is where a service runs.
func (s *Server) unitsOf(ctx context.Context, service string) []string {
	r, err := s.Catalog.Get(ctx, resource.KindService, service)
	if err == nil {
		if spec, err := resource.As[resource.Service](r); err == nil {
			return spec.Defaults().Units
		}
	}
	return resource.Service{}.Defaults().Units
}

// exposedIn names the outermost ring of a unit that has the new version, "" for none.
func (p *rolloutPage) exposedIn(unit string) string {
	name := ""
	for i, v := range p.State.Wanted(unit).Exposure {
		units := p.State.Rings[i].Units
		if v == p.State.To && (len(units) == 0 || slices.Contains(units, unit)) {
			name = p.State.Rings[i].Name
		}
	}
	return name
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
		return "Starting", toFirst(s) + " is being started; nobody sees it yet"
	case s.Halted && !s.Phase.Ended() && s.Phase != rollout.RollingBack:
		return "Halted", "Halted in ring " + ring
	case paused(s):
		return "Paused", "Paused in ring " + ring
	case s.Phase == rollout.Exposing:
		return "Switching", "Ring " + ring + " is being switched to " + toOf(s)
	case s.Phase == rollout.Baking:
		return "Baking", toFirst(s) + " bakes in ring " + ring
	case s.Phase == rollout.RollingBack:
		return "Rolling back", "Everyone is being returned to " + fromOf(s)
	case s.Phase == rollout.Succeeded:
		return "Succeeded", toFirst(s) + " is out to everyone"
	case s.Phase == rollout.RolledBack:
		return "Rolled back", "Everyone has " + fromOf(s) + " again"
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
