package ui

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

const shownRollouts = 50

type servicePage struct {
	*visit
	Name     string
	Spec     resource.Service
	Stable   string
	Newest   *rollout.State
	InFlight bool
	Seen     time.Time
	Unseen   bool
	Slots    []slotView
	Rings    []ringView
	Gates    []string
	Art      art
	Rollouts []past
	More     int
	Releases []resource.Release
	Gets     who
	Health   healthView
	Charts   bool
	Watched  watched
	Minutes  bool // there is a page of them
	Offers   bool // there is a page of its interface
}

// slotView is one version that runs.
type slotView struct {
	fleet.SlotStatus
	Role string
}

// past is a rollout in a list.
type past struct {
	rollout.State
	Tone, Outcome string
	Took          time.Duration
	Art           art
}

// who is the form that asks what a user gets.
type who struct {
	Asked         bool
	User          string
	Attributes    string
	Ring, Version string
	Why           string
	Problem       string
}

func (s *Server) service(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx, name := r.Context(), r.PathValue("service")
	full, err := s.Catalog.Resolve(ctx, name)
	if err != nil {
		return err
	}
	v.Title, v.Live = name, "service/"+name
	p := &servicePage{visit: v, Name: name, Spec: full.Service, Charts: s.Metrics != nil, Minutes: s.Availability != nil, Offers: s.Contracts != nil}
	if p.Health, _, err = healthViewOf(r.URL.Query()); err != nil {
		return err
	}
	if p.Newest, err = s.newest(ctx, name); err != nil {
		return err
	}
	p.Stable = stableOf(p.Newest)
	p.InFlight = p.Newest != nil && !p.Newest.Phase.Ended()
	p.fleet(s.together(full.Service.Units, name))
	p.plan(full)
	if err := s.history(ctx, p); err != nil {
		return err
	}
	if r.URL.Query().Get("span") == "" && young(p) {
		p.Health.Span = healthSpans[0].Name
	}
	if p.Watched, err = s.watch(ctx, name, v.Now); err != nil {
		return err
	}
	p.Gets = s.whoGets(r, full, p.Newest)
	return s.show(w, r, http.StatusOK, "service", p)
}

func (p *servicePage) fleet(status fleet.ServiceStatus, seen time.Time) {
	p.Seen, p.Unseen = seen, p.Now.Sub(seen) > unseen
	for _, slot := range status.Slots {
		v := slotView{slot, "warm"}
		switch {
		case p.InFlight && slot.Version == p.Newest.To:
			v.Role = "new"
		case slot.Version == p.Stable:
			v.Role = "stable"
		}
		p.Slots = append(p.Slots, v)
	}
}

func (p *servicePage) plan(full resource.Resolved) {
	for i, r := range full.Rings {
		p.Rings = append(p.Rings, ringView{Number: i + 1, Name: r.Name, Purpose: r.Purpose, Risk: r.Risk, Audience: audience(r.Audience),
			Bake: span(time.Duration(r.Bake)), Look: ringPlan})
	}
	names := make([]string, len(p.Rings))
	for i, r := range p.Rings {
		names[i] = r.Name
	}
	p.Art = draw("plan", p.Rings, "calm", "", "The rings of plan "+full.Plan+", from the innermost: "+strings.Join(names, ", "), true)
	for _, g := range full.Gates {
		p.Gates = append(p.Gates, gateText(g))
	}
}

// gateText says in words what a gate asks for.
func gateText(g resource.Gate) string {
	if g.Signal != "errors" && g.Signal != "latency" {
		return sentenceCase(g.Name + " (" + g.Signal + "): " + strings.Join(gateWants(g), "; "))
	}
	what := "Errors"
	if g.Signal == "latency" {
		what = "Requests slower than " + span(time.Duration(g.Over))
	}
	var parts []string
	if g.Compare != "none" {
		bar := "not more often than on stable"
		if g.MaxRatio > 1 {
			bar = "at most " + evidence(g.MaxRatio) + " times as often as on stable"
		}
		parts = append(parts, bar)
	}
	if g.MaxShare > 0 && g.MaxShare < 1 {
		parts = append(parts, "at most "+percent(g.MaxShare)+" of requests")
	}
	if g.MinRequests > 0 {
		parts = append(parts, "after "+count(g.MinRequests)+" requests")
	}
	return what + ": " + strings.Join(parts, "; ") + "."
}

func (s *Server) history(ctx context.Context, p *servicePage) error {
	all, err := s.Rollouts.List(ctx, p.Name)
	if err != nil {
		return err
	}
	p.More = max(0, len(all)-shownRollouts)
	for i, st := range all[:min(len(all), shownRollouts)] {
		one := past{State: st, Tone: toneOf(st, "hold"), Took: p.Now.Sub(st.Created)}
		one.Outcome, _ = headline(st, "")
		if st.Phase.Ended() {
			one.Took = st.Ended.Sub(st.Created)
		}
		if i < 10 {
			rings := ringsOf(st, "hold", p.Now)
			one.Art = draw("past-"+st.ID, rings, one.Tone, glyphOf(st, "hold"), describe(st, rings), false)
		}
		p.Rollouts = append(p.Rollouts, one)
	}
	p.Releases, err = s.Catalog.Releases(ctx, p.Name)
	p.Releases = newestFirst(p.Releases)[:min(len(p.Releases), shownRollouts)]
	return err
}

// whoGets answers the form: in which ring a user is, which version they get, and why.
func (s *Server) whoGets(r *http.Request, full resource.Resolved, newest *rollout.State) who {
	q := r.URL.Query()
	out := who{Asked: q.Has("user"), User: strings.TrimSpace(q.Get("user")), Attributes: strings.TrimSpace(q.Get("attributes"))}
	if !out.Asked {
		return out
	}
	attributes, err := attributesOf(out.Attributes)
	if err != nil || len(out.User) > 256 {
		out.Problem = "Attributes are written as name=value, several with commas between; a user has at most 256 characters."
		return out
	}
	members, salt := full.Exposure, full.Salt
	moving := newest != nil && !newest.Phase.Ended()
	if moving { // a rollout keeps to the plan that it began with
		members, salt = newest.Members, newest.Salt
	}
	var ring, version, why perUnit
	for _, unit := range full.Service.Units {
		rings, err := exposure.Compile(salt, fleet.RingsIn(members, unit))
		if err != nil {
			out.Problem = sentenceCase(err.Error())
			return out
		}
		m := rings.Explain(&exposure.Context{TargetingKey: out.User, Attributes: attributes, Timestamp: s.Now().Unix()})
		gets := ""
		switch {
		case moving:
			gets = newest.Wanted(unit).Exposure[m.Index]
		case newest != nil:
			gets = newest.AfterIn(unit)
		}
		ring, version, why = ring.add(unit, m.Ring), version.add(unit, gets), why.add(unit, m.Why)
	}
	out.Ring, out.Version, out.Why = ring.text(), version.text(), sentenceCase(why.text())
	return out
}

// attributesOf reads name=value, with commas between. Values are text, as the gateway finds them in requests.
func attributesOf(s string) (map[string]any, error) {
	out := map[string]any{}
	if len(s) > 2000 {
		return nil, errs.E(errs.Invalid, "too long")
	}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" {
			return nil, errs.E(errs.Invalid, "expected name=value")
		}
		out[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return out, nil
}
