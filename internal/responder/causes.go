package responder

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Causes are what may be the cause of an incident, with the counts they were judged on.
type Causes struct {
	Onset      time.Time            `json:"onset" doc:"the first bad event, as far as is known"`
	Over       string               `json:"over,omitempty" doc:"seconds over which requests are bad; empty when errors are"`
	Candidates []incident.Candidate `json:"candidates" doc:"the likeliest first"`
	Parts      []Part               `json:"parts,omitempty" doc:"requests since the first bad event, by version and ring"`
	Kept       time.Time            `json:"kept,omitzero" doc:"when this was kept: it is not looked for anew"`
}

// Part is what a version had in a ring.
type Part struct {
	incident.Cell
	Before incident.Tally `json:"before" doc:"in the half hour before the first bad event"`
	Since  incident.Tally `json:"since"`
}

const (
	recent    = 24 * time.Hour   // changes older than that are no candidates
	mostNear  = 12               // services whose requests are looked at
	mostPages = 20               // of the record
	keepEvery = 15 * time.Minute // between two rankings that are kept of an incident that goes on
)

// Causes ranks what may be the cause. Once an incident is resolved, it is what it was then; of one that is not for a day, what was kept last,
// as the counts that it rests on go with the metrics.
func (r *Responder) Causes(ctx context.Context, s incident.State) (Causes, error) {
	if !s.Phase.Before(incident.Resolved) || r.now().Sub(s.Detected) > recent {
		doc, err := r.Store.Get(ctx, KindRanking, s.ID)
		if err == nil {
			var c Causes
			return c, json.Unmarshal(doc.Body, &c)
		}
		if !errs.Is(err, errs.Missing) {
			return Causes{}, err
		}
	}
	return r.rank(ctx, s)
}

// keepRanking keeps what may be the cause as of now with an incident. What was kept of one that is older than a day stays.
func (r *Responder) keepRanking(ctx context.Context, s incident.State) error {
	if s.Phase == incident.Closed {
		return nil
	}
	var rev int64
	if doc, err := r.Store.Get(ctx, KindRanking, s.ID); err == nil {
		if rev = doc.Rev; r.now().Sub(s.Detected) > recent {
			return nil
		}
	}
	c, err := r.rank(ctx, s)
	if err != nil {
		return err
	}
	c.Kept = r.now()
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = r.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindRanking, Name: s.ID, Rev: rev, Body: body}}})
	if errs.Is(err, errs.Conflict) {
		return nil
	}
	return err
}

func (r *Responder) rank(ctx context.Context, s incident.State) (Causes, error) {
	now := r.now()
	until := now
	for _, end := range []time.Time{s.Impact.End, s.Mitigated} {
		if !end.IsZero() && end.Add(lookOn).Before(until) {
			until = end.Add(lookOn)
		}
	}
	c := Causes{Onset: s.Impact.Start}
	if c.Onset.IsZero() {
		c.Onset = s.Detected
	}
	from := c.Onset.Add(-time.Hour)
	over, own, spell, found, err := r.signal(ctx, s, from, asOf(s, until), until)
	if err != nil { // what the record says is better than nothing
		r.Logger.Warn("requests cannot be counted for a cause", "incident", s.ID, "err", err)
	}
	if found && s.Impact.Source != "data" && s.Impact.Source != "person" {
		c.Onset = spell.Start
	}
	c.Over = over
	end := s.Impact.End
	if end.IsZero() && found && spell.Over {
		end = spell.End
	}
	during := own
	if !end.IsZero() { // what came after it says nothing of it
		during = slices.DeleteFunc(slices.Clone(own), func(x incident.Count) bool { return x.At.After(end) })
	}
	q := incident.Question{Service: s.Service, Onset: c.Onset, End: end, Counts: map[string][]incident.Count{s.Service: during}}
	if q.DependsOn, err = r.dependencies(ctx); err != nil {
		return c, err
	}
	q.Noticed = !found && (s.Impact.Start.IsZero() || s.Impact.Source == "alert")
	for _, near := range nearby(s.Service, q.DependsOn) {
		if q.Counts[near], err = r.counts(ctx, near, from, until, ""); err != nil {
			r.Logger.Warn("requests cannot be counted for a cause", "service", near, "err", err)
		}
	}
	if q.Changes, err = r.changes(ctx, s, c.Onset); err != nil {
		return c, err
	}
	if q.Trials, err = r.trials(ctx, s.Service, from, until, over); err != nil {
		r.Logger.Warn("requests cannot be counted by variant for a cause", "incident", s.ID, "err", err)
	}
	for _, id := range s.Rollouts {
		q.Own = append(q.Own, "rollout/"+id)
	}
	r.signals(ctx, s, &q)
	if r.Customers != nil && s.Service != "" {
		to := until
		if !end.IsZero() {
			to = end
		}
		q.Signals = append(q.Signals, r.Customers(ctx, s.Service, c.Onset, to)...)
	}
	c.Candidates = incident.Rank(q)
	c.Parts = partsOf(during, c.Onset)
	return c, nil
}

// nearby are the services that one calls, and those that call it.
func nearby(service string, calls map[string][]string) []string {
	var all []string
	add := func(name string) {
		if name != service && name != "" && !slices.Contains(all, name) && len(all) < mostNear {
			all = append(all, name)
		}
	}
	for _, d := range calls[service] {
		add(d)
	}
	for _, d := range slices.Clone(all) {
		for _, further := range calls[d] {
			add(further)
		}
	}
	for name, deps := range calls {
		if slices.Contains(deps, service) {
			add(name)
		}
	}
	return all
}

func partsOf(counts []incident.Count, onset time.Time) []Part {
	at := map[incident.Cell]int{}
	var all []Part
	for _, c := range counts {
		i, ok := at[c.Cell]
		if !ok {
			i = len(all)
			at[c.Cell] = i
			all = append(all, Part{Cell: c.Cell})
		}
		t := &all[i].Since
		if !c.At.After(onset) {
			if onset.Sub(c.At) > 30*time.Minute {
				continue
			}
			t = &all[i].Before
		}
		t.Requests += c.Requests
		t.Bad += c.Bad
	}
	all = slices.DeleteFunc(all, func(p Part) bool { return p.Before.Requests+p.Since.Requests == 0 })
	slices.SortFunc(all, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Since.Rate(), a.Since.Rate()), cmp.Compare(a.Version+a.Ring, b.Version+b.Ring))
	})
	return all[:min(len(all), 40)]
}

// signals are what alerts and instances say.
func (r *Responder) signals(ctx context.Context, s incident.State, q *incident.Question) {
	for _, p := range s.Pages {
		q.Signals = append(q.Signals, p.Signals...)
		for _, service := range p.Services {
			if service != s.Service && slices.Contains(q.DependsOn[s.Service], service) && !slices.Contains(q.Down, service) {
				q.Down = append(q.Down, service)
			}
		}
	}
	if r.Signals != nil && s.Live() {
		q.Signals = append(q.Signals, r.Signals(ctx, s.Service)...)
	}
}

// changes are those of the day before an onset.
func (r *Responder) changes(ctx context.Context, s incident.State, onset time.Time) ([]incident.Change, error) {
	all, err := r.Rollouts.List(ctx, "")
	if err != nil {
		return nil, err
	}
	plan := r.service(ctx, s.Service).Plan
	var list []incident.Change
	for _, st := range all {
		if st.Created.After(onset.Add(time.Minute)) || !st.Ended.IsZero() && st.Ended.Before(onset.Add(-recent)) {
			continue
		}
		c := changeOf(st, plan)
		if len(c.Steps) == 0 || st.From == "" && onset.Sub(c.Steps[0].At) > settled {
			continue // a first release that has worked for a while made nothing worse: there was nothing before it
		}
		if sub, ok := subjectOf(st); ok {
			if c.Service = r.served(ctx, sub.Set); st.Service == s.Service {
				c.Service = s.Service
			}
		}
		list = append(list, c)
	}
	declared, err := r.declared(ctx, onset)
	return append(list, declared...), err
}

// trials are a service's requests by the variant of their user, for each flag of it that was in trial: the gateways count those under the
// flag's name.
func (r *Responder) trials(ctx context.Context, service string, from, to time.Time, over string) (map[string][]incident.Count, error) {
	all, err := r.Rollouts.List(ctx, "")
	if err != nil || service == "" {
		return nil, err
	}
	trials := map[string][]incident.Count{}
	for _, st := range all {
		sub, ok := subjectOf(st)
		if !ok || st.Created.After(to) || !st.Ended.IsZero() && st.Ended.Before(from) || len(trials) == mostNear || r.served(ctx, sub.Set) != service {
			continue
		}
		counts, err := r.counts(ctx, st.Service, from, to, over)
		if err != nil {
			return nil, err
		}
		for i, c := range counts {
			counts[i].Cell = incident.Cell{Variant: variantOf(st.Service, c.Version)}
		}
		if len(counts) > 0 {
			trials["rollout/"+st.ID] = counts
		}
	}
	return trials, nil
}

// variantOf is a flag's variant as set/flag=variant.
func variantOf(subject, variant string) string {
	return strings.TrimPrefix(serviceName(subject), "flag ") + "=" + variant
}

// changeOf is a rollout as a change.
func changeOf(s rollout.State, plan string) incident.Change {
	c := incident.Change{Kind: incident.ChangeRelease, Ref: "rollout/" + s.ID, Service: s.Service, By: s.By, Title: fmt.Sprintf("%s %s", serviceName(s.Service), s.To), Ended: s.SafeAt}
	if s.From != "" {
		c.Title += " in place of " + s.From
	}
	if len(s.Changes) == 1 && s.Changes[0].Kind == rollout.KindConfig {
		c.Kind = incident.ChangeConfig
	}
	for _, st := range s.Stages {
		c.Steps = append(c.Steps, incident.Step{At: st.Exposed, Ring: st.Ring})
		c.Rings = append(c.Rings, st.Ring)
		if st.Verdict == health.Fail {
			c.Judged = judged(st)
		}
	}
	c.Versions = []string{s.To}
	if s.Kind == rollout.KindFlag {
		c.Kind, c.Service, c.Versions = incident.ChangeFlag, "", nil
		c.Trial = variantOf(s.Service, s.To)
		c.Variants = []string{c.Trial}
		if s.Plan != plan || s.Everyone() { // its rings are not those of the service's requests, or all of them
			c.Rings, c.Variants = nil, nil
		}
	}
	c.Pushed = pushed(s)
	return c
}

func judged(st rollout.Stage) string {
	for _, j := range st.Gates {
		if j.Verdict == health.Fail && len(j.Reasons) > 0 {
			return fmt.Sprintf("gate %s of ring %s failed: %s", rollout.Key(j.Gate), st.Ring, j.Reasons[0])
		}
	}
	return "the verdict in ring " + st.Ring + " was harm"
}

// pushed says which of the safeguards a rollout was let past.
func pushed(s rollout.State) string {
	var parts []string
	if s.Hurried {
		parts = append(parts, "its bake was cut short")
	}
	waived := slices.Clone(s.Waived)
	for _, st := range s.Stages {
		waived = append(waived, st.Waived...)
	}
	if len(waived) > 0 {
		parts = append(parts, "it went past gate "+strings.Join(waived, ", "))
	}
	if s.Through {
		parts = append(parts, "it went through freezes")
	}
	if s.Lane != "" {
		parts = append(parts, "it took the "+string(s.Lane)+" lane")
	}
	return strings.Join(parts, "; ")
}

// kindsOf says which declared things are changes of what, and of which kind.
var kindsOf = map[string]string{"service": incident.ChangeService, "ringplan": incident.ChangePlan, "segment": incident.ChangePlan, "flagset": incident.ChangeFlag, "experiment": incident.ChangeFlag}

// declared are the changes that are no rollouts: what was applied or deleted, freezes that were lifted, the line.
func (r *Responder) declared(ctx context.Context, onset time.Time) ([]incident.Change, error) {
	var list []incident.Change
	for _, typ := range []string{"resource.", "line.lifted", "experiment."} {
		before := int64(0)
		for range mostPages {
			events, err := r.Store.Events(ctx, store.EventQuery{Type: typ, Backward: true, Before: before, Limit: batch})
			if err != nil {
				return list, err
			}
			for _, ev := range events {
				before = ev.Seq
				if ev.Time.After(onset.Add(time.Minute)) || ev.Time.Before(onset.Add(-recent)) {
					continue
				}
				kind, name, _ := strings.Cut(ev.Subject, "/")
				c := incident.Change{Kind: kindsOf[kind], Ref: ev.Subject, By: ev.Actor, Title: words(ev), Steps: []incident.Step{{At: ev.Time}}}
				switch {
				case ev.Type == "line.lifted":
					c.Kind, c.Ref = incident.ChangeLine, "line"
				case kind == "freeze":
					c.Kind = incident.ChangeFreeze
				case kind != "flagset" && created(ev): // there was nothing before it that it could have changed
					continue
				case kind == "service":
					c.Service = name
				case kind == "flagset":
					c.Service = r.served(ctx, name)
				case kind == "experiment" && ev.Type != "experiment.started" && ev.Type != "experiment.ended":
					continue
				}
				if c.Kind != "" && !slices.ContainsFunc(list, func(o incident.Change) bool { return o.Ref == c.Ref }) {
					list = append(list, c) // the newest of it
				}
			}
			if len(events) < batch || events[len(events)-1].Time.Before(onset.Add(-recent)) {
				break
			}
		}
	}
	return list, nil
}

// settled is how long a first release has to work until it is none of the causes.
const settled = 2 * time.Minute

// created says whether a resource was declared for the first time.
func created(ev audit.Event) bool {
	var d struct{ Action string }
	return json.Unmarshal(ev.Data, &d) == nil && ev.Type == "resource.applied" && d.Action == "created"
}

// served is the service whose users a set's flags are for; empty: any.
func (r *Responder) served(ctx context.Context, set string) string {
	doc, err := r.Catalog.Get(ctx, resource.KindFlagSet, set)
	if err != nil {
		return ""
	}
	var spec struct{ Service string }
	_ = json.Unmarshal(doc.Spec, &spec)
	return spec.Service
}

// subjectOf is the flag that a rollout exposes.
func subjectOf(s rollout.State) (flag.Subject, bool) {
	sub, err := flag.ParseSubject(s.Service)
	return sub, err == nil && s.Kind == rollout.KindFlag
}
