package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/responder"
)

// Incidents are kept, and people called for them.
type Incidents interface {
	IncidentDeeds
	IncidentReports
	OnCall
}

// IncidentDeeds are what people do with incidents.
type IncidentDeeds interface {
	List(ctx context.Context) ([]incident.State, error)
	View(ctx context.Context, id string) (responder.View, error)
	Open(ctx context.Context, actor string, d responder.Draft) (incident.State, error)
	Do(ctx context.Context, id string, a incident.Ask) (incident.State, error)
	Remedy(ctx context.Context, actor, id, kind, ref, reason string) (responder.Remedied, error)
}

// IncidentReports are what is learned from incidents.
type IncidentReports interface {
	Postmortem(ctx context.Context, id string) (string, error)
	Trends(ctx context.Context, service string, span time.Duration, n int) ([]incident.Trend, error)
	Actions(ctx context.Context) ([]responder.OpenAction, error)
	Dora(ctx context.Context, days int) ([]incident.Measures, error)
}

// OnCall is who is called.
type OnCall interface {
	OnCall(ctx context.Context, rotation string, ahead time.Duration) ([]responder.OnCall, error)
	Override(ctx context.Context, actor string, o incident.Override) (incident.Override, error)
}

// ByIncident is the part of a path that names an incident.
type ByIncident struct {
	Incident string `path:"incident" maxLength:"40" doc:"the incident, such as inc-7"`
}

func (s *Server) incidents() {
	const path = "/v1/incidents"
	register(s, operation{method: http.MethodGet, path: path, id: "listIncidents", tag: "incidents", summary: "Lists incidents, newest first",
		route: route{action: policy.Read}}, s.listIncidents)
	register(s, operation{method: http.MethodPost, path: path, id: "openIncident", tag: "incidents", summary: "Opens an incident that somebody has seen",
		route: route{action: policy.Decide, keyed: true}, status: http.StatusCreated}, func(ctx context.Context, in *struct{ Body responder.Draft }) (*answered[incident.State], error) {
		st, err := s.Incidents.Open(ctx, actorOf(ctx), in.Body)
		return &answered[incident.State]{st}, err
	})
	register(s, operation{method: http.MethodGet, path: path + "/{incident}", id: "showIncident", tag: "incidents",
		summary: "Shows an incident: what may be the cause, what may end it, what happened, what is left to do", route: route{action: policy.Read, timeout: time.Minute}},
		func(ctx context.Context, in *ByIncident) (*answered[responder.View], error) {
			v, err := s.Incidents.View(ctx, in.Incident)
			return &answered[responder.View]{v}, err
		})
	register(s, operation{method: http.MethodPost, path: path + "/{incident}/commands/{verb}", id: "commandIncident", tag: "incidents",
		summary: "Does something with an incident", about: "Asking for what is already so changes nothing. An incident is closed only when nothing of its checklist is left.",
		route: route{action: policy.Decide, keyed: true}}, s.commandIncident)
	register(s, operation{method: http.MethodPost, path: path + "/{incident}/remedy", id: "remedyIncident", tag: "incidents",
		summary: "Takes back what is suspected", about: "Without a kind, what is offered first is done: while a change is a suspect, that is taking it back.",
		route: route{action: policy.Decide, keyed: true, timeout: time.Minute}}, s.remedyIncident)
	register(s, operation{method: http.MethodGet, path: path + "/{incident}/postmortem", id: "getPostmortem", tag: "incidents", media: "text/markdown",
		summary: "The postmortem document of an incident, in Markdown", route: route{action: policy.Read, timeout: time.Minute}}, s.postmortem)
	s.incidentReports()
}

func (s *Server) incidentReports() {
	register(s, operation{method: http.MethodGet, path: "/v1/incident-trends", id: "incidentTrends", tag: "incidents",
		summary: "Says how fast incidents were noticed, mitigated and put right, over time", route: route{action: policy.Read}}, s.incidentTrends)
	register(s, operation{method: http.MethodGet, path: "/v1/incident-actions", id: "incidentActions", tag: "incidents",
		summary: "Lists the open action items of all incidents", route: route{action: policy.Read}}, func(ctx context.Context, _ *none) (*answered[wire.Actions], error) {
		items, err := s.Incidents.Actions(ctx)
		return &answered[wire.Actions]{wire.Actions{Items: items}}, err
	})
	register(s, operation{method: http.MethodGet, path: "/v1/dora", id: "dora", tag: "incidents", summary: "DORA's four measures by service, from the record",
		route: route{action: policy.Read, timeout: time.Minute}}, func(ctx context.Context, in *struct {
		Days int `query:"days" minimum:"1" maximum:"3660" default:"30" doc:"over how many days until now"`
	}) (*answered[wire.Dora], error) {
		items, err := s.Incidents.Dora(ctx, in.Days)
		return &answered[wire.Dora]{wire.Dora{Items: items}}, err
	})
	register(s, operation{method: http.MethodGet, path: "/v1/oncall", id: "showOnCall", tag: "incidents", summary: "Says who is on call, and when nobody is",
		route: route{action: policy.Read}}, s.onCall)
	register(s, operation{method: http.MethodPost, path: "/v1/oncall/{rotation}/overrides", id: "overrideOnCall", tag: "incidents", summary: "Gives a time of a rotation to somebody",
		route: route{action: policy.Decide, keyed: true}, status: http.StatusCreated}, s.override)
}

type incidentFilter struct {
	State   string `query:"state" enum:"all,open,live" default:"all" doc:"open: not closed; live: not mitigated"`
	Service string `query:"service" maxLength:"253" doc:"only of this service"`
}

func (s *Server) listIncidents(ctx context.Context, in *incidentFilter) (*answered[wire.Incidents], error) {
	all, err := s.Incidents.List(ctx)
	out := wire.Incidents{Items: []incident.State{}}
	for _, st := range all {
		if in.Service != "" && st.Service != in.Service || in.State == "open" && st.Phase == incident.Closed || in.State == "live" && !st.Live() {
			continue
		}
		out.Items = append(out.Items, st)
	}
	return &answered[wire.Incidents]{out}, err
}

func (s *Server) commandIncident(ctx context.Context, in *struct {
	ByIncident
	Verb string `path:"verb" enum:"ack,note,rate,impact,cause,update,mitigate,resolve,reopen,learn,action,close" doc:"what to do"`
	Body *wire.IncidentAsk
}) (*answered[incident.State], error) {
	b := wire.IncidentAsk{}
	if in.Body != nil {
		b = *in.Body
	}
	a := incident.Ask{Verb: incident.Verb(in.Verb), Actor: actorOf(ctx), Text: b.Text, At: b.At.UTC(), Severity: b.Severity, Commander: b.Commander, Title: b.Title}
	if b.At.IsZero() {
		a.At = time.Time{}
	}
	if i := (incident.Impact{Start: b.ImpactStart, End: b.ImpactEnd, Text: b.ImpactText}); i != (incident.Impact{}) {
		i.Source = "person"
		a.Impact = &i
	}
	if b.Cause != "" || b.Unknown || in.Verb == string(incident.Blame) && b.Text != "" {
		a.Cause = &incident.Cause{Ref: b.Cause, Unknown: b.Unknown, Text: b.Text}
	}
	if b.Well+b.Badly+b.Lucky != "" {
		a.Learned = &incident.Learned{Well: b.Well, Badly: b.Badly, Lucky: b.Lucky}
	}
	if in.Verb == string(incident.Act) {
		a.Action = &incident.Action{Number: b.Action, Text: b.Text, Owner: b.Owner, Due: b.Due}
		if b.Done {
			a.Action.Done = s.Now()
		}
	}
	st, err := s.Incidents.Do(ctx, in.Incident, a)
	return &answered[incident.State]{st}, err
}

func (s *Server) remedyIncident(ctx context.Context, in *struct {
	ByIncident
	Body *wire.IncidentRemedy
}) (*answered[responder.Remedied], error) {
	b := wire.IncidentRemedy{}
	if in.Body != nil {
		b = *in.Body
	}
	done, err := s.Incidents.Remedy(ctx, actorOf(ctx), in.Incident, b.Kind, b.Ref, b.Reason)
	return &answered[responder.Remedied]{done}, err
}

func (s *Server) postmortem(ctx context.Context, in *ByIncident) (*textAnswer, error) {
	doc, err := s.Incidents.Postmortem(ctx, in.Incident)
	return &textAnswer{ContentType: "text/markdown; charset=utf-8", Body: []byte(doc)}, err
}

func (s *Server) incidentTrends(ctx context.Context, in *struct {
	Service string `query:"service" maxLength:"253" doc:"only of this service"`
	Span    string `query:"span" default:"168h" maxLength:"20" doc:"a duration: how long each part is"`
	Parts   int    `query:"parts" minimum:"1" maximum:"100" default:"12" doc:"how many parts"`
}) (*answered[wire.Trends], error) {
	span, err := time.ParseDuration(in.Span)
	if err != nil || span < time.Minute {
		return nil, errs.E(errs.Invalid, "span %q: expected a duration of a minute or more", in.Span)
	}
	items, err := s.Incidents.Trends(ctx, in.Service, span, in.Parts)
	return &answered[wire.Trends]{wire.Trends{Items: items}}, err
}

func (s *Server) onCall(ctx context.Context, in *struct {
	Rotation string `query:"rotation" maxLength:"63" doc:"only this one"`
	Ahead    string `query:"ahead" default:"336h" maxLength:"20" doc:"a duration: how far to look"`
}) (*answered[wire.OnCall], error) {
	ahead, err := time.ParseDuration(in.Ahead)
	if err != nil {
		return nil, errs.E(errs.Invalid, "ahead %q: expected a duration such as 336h", in.Ahead)
	}
	items, err := s.Incidents.OnCall(ctx, in.Rotation, ahead)
	return &answered[wire.OnCall]{wire.OnCall{Items: items}}, err
}

func (s *Server) override(ctx context.Context, in *struct {
	Rotation string `path:"rotation" maxLength:"63" doc:"the Rotation"`
	Body     wire.Override
}) (*answered[incident.Override], error) {
	b := in.Body
	o, err := s.Incidents.Override(ctx, actorOf(ctx), incident.Override{Rotation: in.Rotation, Layer: b.Layer, Person: b.Person, From: b.From, To: b.To, Reason: b.Reason})
	return &answered[incident.Override]{o}, err
}
