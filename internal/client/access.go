package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/grant"
)

// Grants returns access that is asked for or holds; with past, also what is over.
func (c *Client) Grants(ctx context.Context, past bool) ([]wire.Grant, error) {
	var out wire.Grants
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/access/grants", query: url.Values{"past": {strconv.FormatBool(past)}}}, &out)
	return out.Items, err
}

// RequestAccess asks for access for a time.
func (c *Client) RequestAccess(ctx context.Context, w grant.Wish) (wire.Grant, error) {
	var out wire.Grant
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/access/grants", body: w}, &out)
	return out, err
}

// BreakGlass takes emergency access.
func (c *Client) BreakGlass(ctx context.Context, reason string) (wire.Grant, error) {
	var out wire.Grant
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/access/break-glass", body: wire.Reason{Reason: reason}}, &out)
	return out, err
}

// SayAccess does something to a grant: approve, refuse, revoke or review.
func (c *Client) SayAccess(ctx context.Context, id, verb string, w wire.Word) (wire.Grant, error) {
	var out wire.Grant
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/access/grants/" + escape(id) + "/" + verb, body: w}, &out)
	return out, err
}

// Offboard revokes everything of somebody.
func (c *Client) Offboard(ctx context.Context, who string) (wire.Offboarded, error) {
	var out wire.Offboarded
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/access/people/" + escape(who) + "/offboard"}, &out)
	return out, err
}
