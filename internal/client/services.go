package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/fleet"
)

// Services returns all services and where they stand.
func (c *Client) Services(ctx context.Context) ([]wire.ServiceSummary, error) {
	var out wire.Services
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/services"}, &out)
	return out.Items, err
}

// Service returns a service with all that is seen of it.
func (c *Client) Service(ctx context.Context, name string) (wire.Service, error) {
	var out wire.Service
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/services/" + escape(name)}, &out)
	return out, err
}

// Logs reads what a service's instances wrote.
func (c *Client) Logs(ctx context.Context, q wire.LogQuery) (io.ReadCloser, error) {
	v := url.Values{"tail": {number(q.Tail)}}
	if q.Unit != "" {
		v.Set("unit", q.Unit)
	}
	if q.Version != "" {
		v.Set("version", q.Version)
	}
	if q.Instance != 0 {
		v.Set("instance", number(q.Instance))
	}
	if q.Follow {
		v.Set("follow", "true")
	}
	return c.stream(ctx, request{method: http.MethodGet, path: "/v1/services/" + escape(q.Service) + "/logs", query: v, accept: "*/*"})
}

// RingOf says which version a user gets, and why. The unit may be left out of a service that runs in one.
func (c *Client) RingOf(ctx context.Context, service, unit, user string, attributes map[string]string) (wire.RingOf, error) {
	q := url.Values{}
	if unit != "" {
		q.Set("unit", unit)
	}
	if user != "" {
		q.Set("user", user)
	}
	for k, v := range attributes {
		q.Add("attr", k+"="+v)
	}
	slices.Sort(q["attr"])
	var out wire.RingOf
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/services/" + escape(service) + "/ring", query: q}, &out)
	return out, err
}

// Desired returns what a unit shall run and its tag, once that differs from have or wait is over.
func (c *Client) Desired(ctx context.Context, unit, have string, wait time.Duration) (fleet.Desired, string, error) {
	q := url.Values{"wait": {wait.String()}}
	if have != "" {
		q.Set("have", have)
	}
	var out wire.Desired
	err := c.call(ctx, request{
		method: http.MethodGet, path: "/v1/units/" + escape(unit) + "/desired", query: q, timeout: wait + 20*time.Second, header: c.self(),
	}, &out)
	return out.Desired, out.Tag, err
}

// Report tells what a data plane sees of its unit.
func (c *Client) Report(ctx context.Context, o fleet.Observed) error {
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/units/" + escape(o.Unit) + "/observed", body: o, header: c.self()}, nil)
}

// Upgraded records that a process of a unit was replaced by another version, or was not.
func (c *Client) Upgraded(ctx context.Context, unit string, u fleet.Upgrade) error {
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/units/" + escape(unit) + "/upgrades", body: u}, nil)
}

// self says which data plane asks.
func (c *Client) self() http.Header {
	if c.plane == "" {
		return nil
	}
	return http.Header{"Ringfence-Plane": {c.plane}}
}
