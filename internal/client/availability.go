package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ringfence/ringfence/internal/availability"
)

// Availability says how a service was there in the time until a moment, which is now when it is zero.
func (c *Client) Availability(ctx context.Context, service string, since time.Duration, until time.Time) (availability.Report, error) {
	q := url.Values{"since": {since.String()}}
	if !until.IsZero() {
		q.Set("until", until.UTC().Format(time.RFC3339))
	}
	var out availability.Report
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/services/" + escape(service) + "/availability", query: q}, &out)
	return out, err
}
