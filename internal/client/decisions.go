package client

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/upkeep"
)

// Approvals returns the approvals that rollouts wait for, or will wait for once their current ring has baked.
func (c *Client) Approvals(ctx context.Context) ([]wire.Approval, error) {
	var out wire.Approvals
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/approvals"}, &out)
	return out.Items, err
}

// Approve approves, or with refuse refuses, that a rollout enters its next ring.
func (c *Client) Approve(ctx context.Context, which string, d wire.Decision, refuse bool) (wire.Rollout, error) {
	word := "approve"
	if refuse {
		word = "refuse"
	}
	var out wire.Rollout
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/rollouts/" + escape(which) + "/" + word, body: d}, &out)
	return out, err
}

// Redeploy replaces what everyone has of a service by what was last known good.
func (c *Client) Redeploy(ctx context.Context, service, reason string) (wire.Rollout, error) {
	var out wire.Rollout
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/services/" + escape(service) + "/redeploy", body: wire.Reason{Reason: reason}}, &out)
	return out, err
}

// Line says whether the line is stopped.
func (c *Client) Line(ctx context.Context) (rollout.Line, error) {
	var out rollout.Line
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/line"}, &out)
	return out, err
}

// TurnLine stops the line, or lifts it.
func (c *Client) TurnLine(ctx context.Context, reason string, stop bool) (rollout.Line, error) {
	word := "lift"
	if stop {
		word = "stop"
	}
	var out rollout.Line
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/line/" + word, body: wire.Reason{Reason: reason}}, &out)
	return out, err
}

// Units lists the units in which services run.
func (c *Client) Units(ctx context.Context) ([]upkeep.Unit, error) {
	var out wire.Units
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/units"}, &out)
	return out.Items, err
}

// RestUnit takes a unit into maintenance: word is cordon or drain.
func (c *Client) RestUnit(ctx context.Context, unit, word string, m wire.Maintenance) (upkeep.Unit, error) {
	var out upkeep.Unit
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/units/" + escape(unit) + "/" + word, body: m}, &out)
	return out, err
}

// ReturnUnit ends a unit's maintenance.
func (c *Client) ReturnUnit(ctx context.Context, unit, reason string) (upkeep.Unit, error) {
	var out upkeep.Unit
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/units/" + escape(unit) + "/return", body: wire.Reason{Reason: reason}}, &out)
	return out, err
}

// CreateConfig makes a version of a service's configuration.
func (c *Client) CreateConfig(ctx context.Context, service string, cfg wire.Config) (resource.Config, error) {
	var out resource.Config
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/services/" + escape(service) + "/configs", body: cfg}, &out)
	return out, err
}

// Configs returns the versions of a service's configuration.
func (c *Client) Configs(ctx context.Context, service string) ([]resource.Config, error) {
	var out wire.Configs
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/services/" + escape(service) + "/configs"}, &out)
	return out.Items, err
}

// Config returns one version of a service's configuration.
func (c *Client) Config(ctx context.Context, service, version string) (resource.Config, error) {
	var out resource.Config
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/services/" + escape(service) + "/configs/" + escape(version)}, &out)
	return out, err
}
