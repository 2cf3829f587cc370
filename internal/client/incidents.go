package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/responder"
)

func incidentPath(id string) string { return "/v1/incidents/" + escape(id) }

// Incidents lists incidents, newest first: all, open (not closed) or live (not mitigated) ones.
func (c *Client) Incidents(ctx context.Context, state, service string) ([]incident.State, error) {
	var out wire.Incidents
	q := url.Values{"state": {state}}
	if service != "" {
		q.Set("service", service)
	}
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/incidents", query: q}, &out)
	return out.Items, err
}

// Incident shows an incident with all that follows from it.
func (c *Client) Incident(ctx context.Context, id string) (out responder.View, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: incidentPath(id), timeout: time.Minute}, &out)
	return out, err
}

// OpenIncident opens an incident.
func (c *Client) OpenIncident(ctx context.Context, d responder.Draft) (out incident.State, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: "/v1/incidents", body: d}, &out)
	return out, err
}

// CommandIncident does something with an incident.
func (c *Client) CommandIncident(ctx context.Context, id string, verb incident.Verb, a wire.IncidentAsk) (out incident.State, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: incidentPath(id) + "/commands/" + escape(string(verb)), body: a}, &out)
	return out, err
}

// RemedyIncident takes back what is suspected.
func (c *Client) RemedyIncident(ctx context.Context, id string, r wire.IncidentRemedy) (out responder.Remedied, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: incidentPath(id) + "/remedy", body: r, timeout: time.Minute}, &out)
	return out, err
}

// Postmortem is the document of an incident, in Markdown.
func (c *Client) Postmortem(ctx context.Context, id string) (string, error) {
	body, err := c.stream(ctx, request{method: http.MethodGet, path: incidentPath(id) + "/postmortem", accept: "text/markdown", timeout: time.Minute})
	if err != nil {
		return "", err
	}
	defer body.Close()
	doc, err := io.ReadAll(io.LimitReader(body, 16<<20))
	return string(doc), err
}

// IncidentTrends says what incidents were like over time.
func (c *Client) IncidentTrends(ctx context.Context, service string, span time.Duration, parts int) ([]incident.Trend, error) {
	var out wire.Trends
	q := url.Values{"span": {span.String()}, "parts": {strconv.Itoa(parts)}}
	if service != "" {
		q.Set("service", service)
	}
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/incident-trends", query: q}, &out)
	return out.Items, err
}

// IncidentActions lists open action items.
func (c *Client) IncidentActions(ctx context.Context) ([]responder.OpenAction, error) {
	var out wire.Actions
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/incident-actions"}, &out)
	return out.Items, err
}

// Dora are DORA's four measures.
func (c *Client) Dora(ctx context.Context, days int) ([]incident.Measures, error) {
	var out wire.Dora
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/dora", query: url.Values{"days": {strconv.Itoa(days)}}}, &out)
	return out.Items, err
}

// OnCall says who is on call.
func (c *Client) OnCall(ctx context.Context, rotation string, ahead time.Duration) ([]responder.OnCall, error) {
	var out wire.OnCall
	q := url.Values{"ahead": {ahead.String()}}
	if rotation != "" {
		q.Set("rotation", rotation)
	}
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/oncall", query: q}, &out)
	return out.Items, err
}

// OverrideOnCall gives a time of a rotation to somebody.
func (c *Client) OverrideOnCall(ctx context.Context, rotation string, o wire.Override) (out incident.Override, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: "/v1/oncall/" + escape(rotation) + "/overrides", body: o}, &out)
	return out, err
}
