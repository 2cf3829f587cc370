package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/authority"
)

// Policy returns the rules that decide who may do what.
func (c *Client) Policy(ctx context.Context) (authority.Standing, error) {
	var out authority.Standing
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/policy"}, &out)
	return out, err
}

// ExplainPolicy says whether somebody may do something, and why.
func (c *Client) ExplainPolicy(ctx context.Context, q wire.AskPolicy) (authority.Explanation, error) {
	var out authority.Explanation
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/policy/explain", body: q}, &out)
	return out, err
}

// WhoMay says what everyone may do to a resource.
func (c *Client) WhoMay(ctx context.Context, kind, name string) (wire.WhoMay, error) {
	var out wire.WhoMay
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/policy/who", query: url.Values{"kind": {kind}, "name": {name}}}, &out)
	return out, err
}

// ProposePolicy asks for a change of policy.
func (c *Client) ProposePolicy(ctx context.Context, p wire.ProposePolicy) (authority.Proposal, error) {
	var out authority.Proposal
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/policy/changes", body: p}, &out)
	return out, err
}

// PolicyChanges returns the changes of policy that were asked for, newest first.
func (c *Client) PolicyChanges(ctx context.Context) ([]authority.Proposal, error) {
	var out wire.Proposals
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/policy/changes"}, &out)
	return out.Items, err
}

// ReviewPolicy approves a change of policy, or refuses it.
func (c *Client) ReviewPolicy(ctx context.Context, id string, r wire.ReviewPolicy, refuse bool) (authority.Proposal, error) {
	word := "approve"
	if refuse {
		word = "refuse"
	}
	var out authority.Proposal
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/policy/changes/" + escape(id) + "/" + word, body: r}, &out)
	return out, err
}

// ResetPolicy restores the default rules.
func (c *Client) ResetPolicy(ctx context.Context, reason string) (wire.PolicyReset, error) {
	var out wire.PolicyReset
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/policy/reset", body: wire.Reason{Reason: reason}}, &out)
	return out, err
}
