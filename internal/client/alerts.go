package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/pager"
)

// Alerts answers alerts, pages and silences as they stand.
func (c *Client) Alerts(ctx context.Context) (out pager.Overview, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/alerts"}, &out)
	return out, err
}

// AlertDetail is an alert and its past.
type AlertDetail struct {
	alert.Standing
	Told   []string      `json:"told,omitempty"`
	Events []audit.Event `json:"events"`
}

// Alert answers one alert.
func (c *Client) Alert(ctx context.Context, which string) (out AlertDetail, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/alerts/" + escape(which)}, &out)
	return out, err
}

// AckAlert takes an alert or a page.
func (c *Client) AckAlert(ctx context.Context, which string, a wire.TakeAlert) ([]alert.Record, error) {
	var out wire.AlertRecords
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/alerts/" + escape(which) + "/ack", body: a}, &out)
	return out.Items, err
}

// Silence keeps alerts from being told for a while.
func (c *Client) Silence(ctx context.Context, s wire.NewSilence) (out wire.MadeSilence, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: "/v1/silences", body: s}, &out)
	return out, err
}

// EndSilence ends a silence now.
func (c *Client) EndSilence(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: "/v1/silences/" + escape(id)}, nil)
}

// AlertNoise says by rule how much of what fired was worth it.
func (c *Client) AlertNoise(ctx context.Context, since string) (out pager.Report, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/noise", query: url.Values{"since": {since}}}, &out)
	return out, err
}

// RuleGroup is a group of rules as it stands.
type RuleGroup struct {
	Name           string  `json:"name"`
	File           string  `json:"file"`
	Interval       float64 `json:"interval"`
	EvaluationTime float64 `json:"evaluationTime"`
	LastEvaluation string  `json:"lastEvaluation"`
	Rules          []struct {
		State     string `json:"state"`
		Name      string `json:"name"`
		Query     string `json:"query"`
		Health    string `json:"health"`
		LastError string `json:"lastError,omitempty"`
		Type      string `json:"type"`
		Alerts    []struct {
			State string `json:"state"`
		} `json:"alerts,omitempty"`
	} `json:"rules"`
}

// AlertRules answers the rules that are evaluated.
func (c *Client) AlertRules(ctx context.Context) ([]RuleGroup, error) {
	var out struct {
		Data struct {
			Groups []RuleGroup `json:"groups"`
		} `json:"data"`
	}
	err := c.call(ctx, request{method: http.MethodGet, path: "/api/v1/rules"}, &out)
	return out.Data.Groups, err
}
