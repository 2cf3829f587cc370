package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/fleet"
)

// Customers says how the accounts of a service, or of all, fared; name is one of them, or empty.
func (c *Client) Customers(ctx context.Context, service, name string, since time.Duration, limit int) ([]account.Report, error) {
	q := url.Values{"since": {since.String()}, "limit": {strconv.Itoa(limit)}}
	if service != "" {
		q.Set("service", service)
	}
	if name != "" {
		q.Set("account", name)
	}
	var out wire.Customers
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/customers", query: q}, &out)
	return out.Items, err
}

// TellAccounts tells how accounts fared at a unit's gateway in minutes that are over.
func (c *Client) TellAccounts(ctx context.Context, unit string, minutes []fleet.AccountMinute) error {
	body := struct {
		Minutes []fleet.AccountMinute `json:"minutes"`
	}{minutes}
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/units/" + escape(unit) + "/accounts", body: body, header: c.self()}, nil)
}
