package client

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
)

// FlagKeys returns the keys by which clients ask for flags.
func (c *Client) FlagKeys(ctx context.Context) ([]wire.ClientKey, error) {
	var out wire.ClientKeys
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/flag-keys"}, &out)
	return out.Items, err
}

// CreateFlagKey makes a key for flags.
func (c *Client) CreateFlagKey(ctx context.Context, k wire.NewClientKey) (wire.MadeClientKey, error) {
	var out wire.MadeClientKey
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/flag-keys", body: k}, &out)
	return out, err
}

// RevokeFlagKey ends a key for flags, named by its ID or its name.
func (c *Client) RevokeFlagKey(ctx context.Context, which string) (wire.ClientKey, error) {
	var out wire.ClientKey
	err := c.call(ctx, request{method: http.MethodDelete, path: "/v1/flag-keys/" + escape(which)}, &out)
	return out, err
}
