package responder

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
)

// fresh is for how long what comes after an incident was mitigated still belongs to it.
const fresh = 15 * time.Minute

// Page takes a page: it opens an incident, or joins one of the same cause. It may be told of the same page again.
func (r *Responder) Page(ctx context.Context, p alert.Page) error {
	now := r.now()
	calls, err := r.dependencies(ctx)
	if err != nil {
		return err
	}
	_, err = r.begin(ctx, 0, func(live []incident.State) (*incident.State, []incident.Event, error) {
		e := incident.Event{Time: now, Actor: Actor, Page: pageRef(p, now), Service: p.Service}
		i := slices.IndexFunc(live, func(s incident.State) bool {
			return slices.ContainsFunc(s.Pages, func(o incident.PageRef) bool { return o.Key == p.Key })
		})
		if i >= 0 {
			return again(&live[i], e, p)
		}
		if p.Status == alert.Resolved || p.Severity == alert.Info {
			return nil, nil, nil
		}
		if i = slices.IndexFunc(live, func(s incident.State) bool { return same(s, p.Service, calls, now) }); i >= 0 {
			e.Type, e.Impact = incident.EvJoined, impactOf(p)
			e.Phase = live[i].Phase
			return &live[i], acked(live[i], e, p), nil
		}
		if p.Severity != alert.Paging {
			return nil, nil, nil
		}
		if i = slices.IndexFunc(live, func(s incident.State) bool { return related(s, p.Service, calls) && r.aftermath(ctx, s, p, now) }); i >= 0 {
			e.Type, e.Phase = incident.EvJoined, live[i].Phase
			return &live[i], []incident.Event{e}, nil
		}
		severity := severityOf(p)
		e.Type, e.Origin, e.Severity, e.Owner, e.Impact, e.Phase, e.At = incident.EvOpened, incident.ByPage, &severity, p.Owner, impactOf(p), incident.Open, p.At
		if e.At.IsZero() || e.At.After(now) {
			e.At = now
		}
		e.Title = titleOf(p)
		return nil, acked(incident.State{}, e, p), nil
	})
	return err
}

// again is what a page says that an incident has already.
func again(s *incident.State, e incident.Event, p alert.Page) (*incident.State, []incident.Event, error) {
	i := slices.IndexFunc(s.Pages, func(o incident.PageRef) bool { return o.Key == p.Key })
	over := !s.Pages[i].Resolved.IsZero()
	e.Phase = s.Phase
	switch {
	case p.Status == alert.Resolved && over, p.Status != alert.Resolved && !over && (p.Ack == nil || s.Phase != incident.Open):
		return nil, nil, nil
	case p.Status == alert.Resolved:
		e.Type = incident.EvCleared
		return s, []incident.Event{e}, nil
	case !over: // somebody has taken it
		return s, acked(*s, e, p)[1:], nil
	case s.Live():
		e.Type = incident.EvJoined
	default:
		e.Type, e.Phase, e.Title = incident.EvReopened, incident.Open, s.Title
		severity := s.Severity
		e.Severity = &severity
	}
	return s, []incident.Event{e}, nil
}

// acked adds, when somebody has taken the alert, that they have taken the incident.
func acked(s incident.State, e incident.Event, p alert.Page) []incident.Event {
	events := []incident.Event{e}
	if p.Ack != nil && (s.Phase == "" || s.Phase == incident.Open) {
		events = append(events, incident.Event{Type: incident.EvAcked, Time: e.Time, Actor: p.Ack.By, Service: e.Service, Text: p.Ack.Note, Phase: incident.Acknowledged})
	}
	return events
}

// same says whether what hurts a service now is of the cause of an incident: the incident is of it, or of one that it
// calls or that calls it, and is not long over.
func same(s incident.State, service string, calls map[string][]string, now time.Time) bool {
	return s.Phase != incident.Resolved && (s.Phase != incident.Mitigated || now.Sub(s.Mitigated) <= fresh) && related(s, service, calls)
}

// related says whether an incident is of a service, or of one that it calls or that calls it.
func related(s incident.State, service string, calls map[string][]string) bool {
	if service == "" || s.Service == "" {
		return false
	}
	return s.Service == service || slices.Contains(calls[s.Service], service) || slices.Contains(calls[service], s.Service)
}

// aftermath says whether a page comes late, of what was over before an incident was resolved: alerts look back, and some fire only then.
func (r *Responder) aftermath(ctx context.Context, s incident.State, p alert.Page, now time.Time) bool {
	if s.Phase != incident.Resolved || now.Sub(s.Resolved) > fresh {
		return false
	}
	hurt := incident.State{Service: p.Service, Pages: []incident.PageRef{*pageRef(p, now)}}
	_, _, spell, found, err := r.signal(ctx, hurt, s.Resolved.Add(-lookBack), now, now)
	return err == nil && found && spell.Over && spell.End.Before(s.Resolved)
}

func titleOf(p alert.Page) string {
	text := cmp.Or(p.Annotations[alert.Summary], p.Labels[alert.Name])
	if text == "" && len(p.Alerts) > 0 {
		text = cmp.Or(p.Alerts[0].Annotations[alert.Summary], p.Alerts[0].Labels[alert.Name])
	}
	return clip(cmp.Or(text, p.Key), 200)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// severityOf is what the label incident_severity says, else 2: some users are hurt.
func severityOf(p alert.Page) int {
	for _, labels := range append([]map[string]string{p.Labels}, labelsOf(p)...) {
		if n, err := strconv.Atoi(labels["incident_severity"]); err == nil && n >= 0 && n <= incident.MaxSeverity {
			return n
		}
	}
	return 2
}

func labelsOf(p alert.Page) []map[string]string {
	var all []map[string]string
	for _, a := range p.Alerts {
		all = append(all, a.Labels)
	}
	return all
}

// maxSignals bounds what is kept of one page.
const maxSignals = 20

func pageRef(p alert.Page, now time.Time) *incident.PageRef {
	ref := incident.PageRef{Key: p.Key, Service: p.Service, Severity: p.Severity, Summary: titleOf(p), At: now, Since: p.Started}
	for _, a := range slices.Concat(p.Alerts, p.Symptoms) {
		if s := a.Labels[alert.Service]; s != "" && !slices.Contains(ref.Services, s) && len(ref.Services) < maxSignals {
			ref.Services = append(ref.Services, s)
		}
		if s, ok := incident.SignalOf(a.Labels, a.Annotations); ok && len(ref.Signals) < maxSignals {
			ref.Signals = append(ref.Signals, s)
		}
		name := strings.ReplaceAll(strings.ToLower(a.Labels[alert.Name]), "slowly", "") // errors may come slowly, too
		ref.Slow = ref.Slow || strings.Contains(name, "latency") || strings.Contains(name, "slow")
	}
	return &ref
}

func impactOf(p alert.Page) *incident.Impact {
	start := p.Started
	for _, a := range p.Alerts {
		if start.IsZero() || !a.StartsAt.IsZero() && a.StartsAt.Before(start) {
			start = a.StartsAt
		}
	}
	return &incident.Impact{Start: start, Source: "alert", Text: p.Annotations[alert.Impact]}
}

// dependencies say which services call which.
func (r *Responder) dependencies(ctx context.Context) (map[string][]string, error) {
	calls := map[string][]string{}
	for after := ""; ; {
		rs, err := r.Catalog.List(ctx, resource.KindService, after, 0)
		if err != nil || len(rs) == 0 {
			return calls, err
		}
		for _, s := range rs {
			spec, err := resource.As[resource.Service](s)
			if err != nil {
				return nil, err
			}
			calls[s.Metadata.Name] = spec.DependsOn
		}
		after = rs[len(rs)-1].Metadata.Name
	}
}

// service is a declared service; the zero one for what is none.
func (r *Responder) service(ctx context.Context, name string) resource.Service {
	res, err := r.Catalog.Get(ctx, resource.KindService, name)
	if err != nil {
		return resource.Service{}
	}
	spec, err := resource.As[resource.Service](res)
	if err != nil {
		return resource.Service{}
	}
	return spec
}

// Draft is an incident as a person reports it.
type Draft struct {
	Title     string    `json:"title" minLength:"1" maxLength:"200" doc:"what is wrong, in a line"`
	Service   string    `json:"service,omitempty" maxLength:"253" doc:"the service that hurts"`
	Severity  *int      `json:"severity,omitempty" minimum:"0" maximum:"4" doc:"0 is the worst; default 2"`
	Commander string    `json:"commander,omitempty" maxLength:"200" doc:"who leads; default who acknowledges it"`
	Text      string    `json:"text,omitempty" maxLength:"4000" doc:"what users notice"`
	Since     time.Time `json:"since,omitzero" doc:"since when, if that is known"`
}

// Open opens an incident that a person has seen.
func (r *Responder) Open(ctx context.Context, actor string, d Draft) (incident.State, error) {
	now := r.now()
	severity := 2
	if d.Severity != nil {
		severity = *d.Severity
	}
	switch {
	case strings.TrimSpace(d.Title) == "" || len(d.Title) > 200:
		return incident.State{}, errs.E(errs.Invalid, "title: expected what is wrong, in 1 to 200 characters")
	case severity < 0 || severity > incident.MaxSeverity:
		return incident.State{}, errs.E(errs.Invalid, "severity %d: expected 0 to %d", severity, incident.MaxSeverity)
	case d.Since.After(now):
		return incident.State{}, errs.E(errs.Invalid, "since: %s is yet to come", d.Since.Format(time.RFC3339))
	}
	if d.Service != "" {
		if _, err := r.Catalog.Get(ctx, resource.KindService, d.Service); err != nil {
			return incident.State{}, err
		}
	}
	return r.begin(ctx, 0, func([]incident.State) (*incident.State, []incident.Event, error) {
		e := incident.Event{Type: incident.EvOpened, Time: now, Actor: actor, Title: strings.TrimSpace(d.Title), Service: d.Service, Owner: r.service(ctx, d.Service).Owner,
			Severity: &severity, Commander: d.Commander, Origin: incident.ByPerson, Phase: incident.Open, Impact: &incident.Impact{Text: d.Text}}
		if !d.Since.IsZero() {
			e.Impact.Start, e.Impact.Source = d.Since.UTC(), "person"
		}
		return nil, []incident.Event{e}, nil
	})
}

// Do does what a person asks of an incident.
func (r *Responder) Do(ctx context.Context, id string, a incident.Ask) (incident.State, error) {
	if a.Verb == incident.Blame && a.Cause != nil && a.Cause.Ref != "" {
		c, err := r.named(ctx, id, *a.Cause)
		if err != nil {
			return incident.State{}, err
		}
		a.Cause = &c
	}
	s, err := r.change(ctx, id, func(s incident.State) ([]incident.Event, error) { return incident.Decide(s, a, r.now()) })
	if err == nil && (a.Verb == incident.Resolve || a.Verb == incident.Blame) {
		if kept := r.keepRanking(ctx, s); kept != nil {
			r.Logger.Warn("the ranking of causes cannot be kept", "incident", s.ID, "err", kept)
		}
	}
	return s, err
}

// named completes a cause that is one of the candidates, given by its rank or its reference.
func (r *Responder) named(ctx context.Context, id string, c incident.Cause) (incident.Cause, error) {
	s, err := r.Get(ctx, id)
	if err != nil {
		return c, err
	}
	causes, err := r.Causes(ctx, s)
	if err != nil {
		return c, err
	}
	for _, cand := range causes.Candidates {
		if c.Ref == cand.Ref || c.Ref == strconv.Itoa(cand.Rank) {
			c.Ref, c.Rank = cand.Ref, cand.Rank
			if c.Text == "" {
				c.Text = cand.Title
			}
			return c, nil
		}
	}
	if _, err := strconv.Atoi(c.Ref); err == nil {
		return c, errs.E(errs.Missing, "%s has no candidate %s", s.ID, c.Ref).Next("list them: ringfence incident causes %s", s.ID)
	}
	return c, nil
}
