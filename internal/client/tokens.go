package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

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

// Sessions returns who is signed in by an identity provider.
func (c *Client) Sessions(ctx context.Context) ([]wire.Token, error) {
	var out wire.Tokens
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/sessions"}, &out)
	return out.Items, err
}

// EndSessions ends a session, or all of a name.
func (c *Client) EndSessions(ctx context.Context, which string) ([]wire.Token, error) {
	var out wire.Tokens
	err := c.call(ctx, request{method: http.MethodDelete, path: "/v1/sessions/" + escape(which)}, &out)
	return out.Items, err
}

// ForgetPerson frees a name for another account at an identity provider.
func (c *Client) ForgetPerson(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: "/v1/people/" + escape(name)}, nil)
}

// Exchange gets a token for one of an issuer; program may be empty.
func (c *Client) Exchange(ctx context.Context, token, program string) (wire.Exchanged, error) {
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}}
	if program != "" {
		form.Set("audience", program)
	}
	raw := form.Encode()
	var out wire.Exchanged
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/token-exchange", size: int64(len(raw)), header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(raw)), nil }}, &out)
	return out, err
}
