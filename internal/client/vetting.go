package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/osv"
	"github.com/ringfence/ringfence/internal/vetting"
)

// Attest adds a file with a bundle to the evidence of an artifact.
func (c *Client) Attest(ctx context.Context, digest, file string) ([]vetting.Bundle, error) {
	stored, err := c.PutFile(ctx, file)
	if err != nil {
		return nil, err
	}
	var out wire.Attestations
	err = c.call(ctx, request{method: http.MethodPost, path: "/v1/artifacts/" + escape(digest) + "/attestations", body: wire.Attestation{Bundle: stored.Digest}}, &out)
	return out.Items, err
}

// Facts are what is known of an artifact.
func (c *Client) Facts(ctx context.Context, digest string) (vetting.Facts, error) {
	var out vetting.Facts
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/artifacts/" + escape(digest) + "/facts"}, &out)
	return out, err
}

// Components are what an artifact is made of, as far as a text stands in them.
func (c *Client) Components(ctx context.Context, digest, search string) (wire.Components, error) {
	var out wire.Components
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/artifacts/" + escape(digest) + "/components", query: url.Values{"search": {search}}}, &out)
	return out, err
}

// ImportVulnerabilities takes a zip file of OSV's entries in place of the database before.
func (c *Client) ImportVulnerabilities(ctx context.Context, file string) (osv.Database, error) {
	stored, err := c.PutFile(ctx, file)
	if err != nil {
		return osv.Database{}, err
	}
	var out osv.Database
	err = c.call(ctx, request{method: http.MethodPost, path: "/v1/vulnerabilities/database", body: wire.VulnerabilityImport{Digest: stored.Digest}, timeout: importTimeout}, &out)
	return out, err
}

const importTimeout = 6 * 60 * 1e9 // the server gives up before

// Vulnerabilities is the database in use.
func (c *Client) Vulnerabilities(ctx context.Context) (osv.Database, error) {
	var out osv.Database
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/vulnerabilities/database"}, &out)
	return out, err
}
