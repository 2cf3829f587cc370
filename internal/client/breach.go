package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/breach"
)

// Breaches lists breaches.
func (c *Client) Breaches(ctx context.Context) (wire.Breaches, error) {
	var out wire.Breaches
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/breaches"}, &out)
	return out, err
}

// Breach shows one.
func (c *Client) Breach(ctx context.Context, id string) (wire.Breach, error) {
	var out wire.Breach
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/breaches/" + url.PathEscape(id)}, &out)
	return out, err
}

// StartBreach starts one.
func (c *Client) StartBreach(ctx context.Context, d wire.BreachDraft) (wire.Breach, error) {
	var out wire.Breach
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/breaches", body: d}, &out)
	return out, err
}

// AskOfBreach does something with one.
func (c *Client) AskOfBreach(ctx context.Context, id string, a breach.Ask) (wire.Breach, error) {
	var out wire.Breach
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/breaches/" + url.PathEscape(id), body: a}, &out)
	return out, err
}

// Contain ends what identities can do.
func (c *Client) Contain(ctx context.Context, id string, w wire.Contain) (wire.Breach, error) {
	var out wire.Breach
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/breaches/" + url.PathEscape(id) + "/contain", body: w}, &out)
	return out, err
}

// Detections lists what looks like a breach.
func (c *Client) Detections(ctx context.Context) (wire.Detections, error) {
	var out wire.Detections
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/detections"}, &out)
	return out, err
}

// LayHoney lays out bait or takes it up.
func (c *Client) LayHoney(ctx context.Context, h wire.Honey) error {
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/honey", body: h}, nil)
}

// Reach answers what an identity gets to.
func (c *Client) Reach(ctx context.Context, principal string) (wire.Reach, error) {
	var out wire.Reach
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/reach/" + url.PathEscape(principal)}, &out)
	return out, err
}
