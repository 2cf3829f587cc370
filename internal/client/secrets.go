package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/secrecy"
	"github.com/ringfence/ringfence/internal/secret"
)

// Secrets are all secrets, without values.
func (c *Client) Secrets(ctx context.Context) ([]secret.Secret, error) {
	var out wire.Secrets
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/secrets"}, &out)
	return out.Items, err
}

// Secret is one secret, without values.
func (c *Client) Secret(ctx context.Context, name string) (secret.Secret, error) {
	var out secret.Secret
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/secrets/" + escape(name)}, &out)
	return out, err
}

// SetSecret makes a value the current one.
func (c *Client) SetSecret(ctx context.Context, name, value string) (secret.Secret, error) {
	var out secret.Secret
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/secrets/" + escape(name) + "/versions", body: wire.SecretValue{Value: value}}, &out)
	return out, err
}

// ReadSecret gives the value of a version, 0 for the current one.
func (c *Client) ReadSecret(ctx context.Context, name string, version int) (secrecy.Value, error) {
	var out secrecy.Value
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/secrets/" + escape(name) + "/versions/" + strconv.Itoa(version) + "/reads"}, &out)
	return out, err
}

// RevokeSecret revokes a version.
func (c *Client) RevokeSecret(ctx context.Context, name string, version int, reason string) (secret.Secret, error) {
	var out secret.Secret
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/secrets/" + escape(name) + "/versions/" + strconv.Itoa(version) + "/revocation", body: wire.Reason{Reason: reason}}, &out)
	return out, err
}

// InstanceSecrets are the secrets that an instance's service declares.
func (c *Client) InstanceSecrets(ctx context.Context, unit string, in secrecy.Instance) (map[string][]secrecy.Value, error) {
	var out wire.InstanceSecrets
	body := wire.InstanceSecretsRequest{Service: in.Service, Version: in.Version, Instance: in.ID}
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/units/" + escape(unit) + "/secrets", body: body, header: c.self()}, &out)
	return out.Values, err
}
