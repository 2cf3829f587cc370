package client

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
)

// Tokens returns who has a token.
func (c *Client) Tokens(ctx context.Context) ([]wire.Token, error) {
	var out wire.Tokens
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/tokens"}, &out)
	return out.Items, err
}

// CreateToken makes a token.
func (c *Client) CreateToken(ctx context.Context, t wire.NewToken) (wire.MadeToken, error) {
	var out wire.MadeToken
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/tokens", body: t}, &out)
	return out, err
}

// RevokeToken ends a token, named by its ID or by its owner's name.
func (c *Client) RevokeToken(ctx context.Context, which string) (wire.Token, error) {
	var out wire.Token
	err := c.call(ctx, request{method: http.MethodDelete, path: "/v1/tokens/" + escape(which)}, &out)
	return out, err
}
