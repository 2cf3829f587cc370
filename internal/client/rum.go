package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
)

// RUM shows how a service's pages are for their users, and how they use it.
func (c *Client) RUM(ctx context.Context, service string, window time.Duration) (out wire.RUM, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/services/" + escape(service) + "/rum", query: url.Values{"window": {window.String()}}}, &out)
	return out, err
}

// Outcome says what became of the hypothesis of a rollout's release.
func (c *Client) Outcome(ctx context.Context, which string) (out wire.Outcome, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/rollouts/" + escape(which) + "/outcome", timeout: time.Minute}, &out)
	return out, err
}

// TellEvents tells what the users of a unit were given, and did.
func (c *Client) TellEvents(ctx context.Context, unit string, events []wire.UserEvent) error {
	body := struct {
		Events []wire.UserEvent `json:"events"`
	}{events}
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/units/" + escape(unit) + "/track", body: body,
		header: http.Header{"Ringfence-Plane": {c.plane}}}, nil)
}
