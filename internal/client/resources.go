package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/resource"
)

// Apply makes what is declared be as in the files; in a dry run it only says what would be done.
func (c *Client) Apply(ctx context.Context, files []wire.File, dryRun bool) (wire.Applied, error) {
	var out wire.Applied
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/apply", body: wire.Apply{Files: files, DryRun: dryRun}}, &out)
	return out, err
}

// Resource returns one resource.
func (c *Client) Resource(ctx context.Context, kind, name string) (resource.Resource, error) {
	var out resource.Resource
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/resources/" + escape(kind) + "/" + escape(name)}, &out)
	return out, err
}

// Resources returns all resources of a kind.
func (c *Client) Resources(ctx context.Context, kind string) ([]resource.Resource, error) {
	all := []resource.Resource{}
	for after := ""; ; {
		var page wire.Resources
		q := url.Values{"limit": {"1000"}, "after": {after}}
		if err := c.call(ctx, request{method: http.MethodGet, path: "/v1/resources/" + escape(kind), query: q}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// Delete deletes a resource.
func (c *Client) Delete(ctx context.Context, kind, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: "/v1/resources/" + escape(kind) + "/" + escape(name)}, nil)
}

// Export writes everything declared, as YAML.
func (c *Client) Export(ctx context.Context, w io.Writer) error {
	return c.copy(ctx, request{method: http.MethodGet, path: "/v1/export", accept: "*/*"}, w)
}

// Backup writes a copy of all state and the record.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	return c.copy(ctx, request{method: http.MethodGet, path: "/v1/backup", accept: "*/*"}, w)
}

func (c *Client) copy(ctx context.Context, r request, w io.Writer) error {
	body, err := c.stream(ctx, r)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return c.explain(ctx, err)
	}
	return nil
}

// stream makes a request whose answer is read for as long as it goes on.
func (c *Client) stream(ctx context.Context, r request) (io.ReadCloser, error) {
	res, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// WhoAmI says whose token the client has.
func (c *Client) WhoAmI(ctx context.Context) (wire.WhoAmI, error) {
	var out wire.WhoAmI
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/whoami"}, &out)
	return out, err
}

// Version says what the control plane runs.
func (c *Client) Version(ctx context.Context) (wire.Version, error) {
	var out wire.Version
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/version"}, &out)
	return out, err
}

// Ready says whether the control plane answers requests.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, request{method: http.MethodGet, path: "/readyz", accept: "*/*"}, nil)
}

func number(n int) string { return strconv.Itoa(n) }

// Healthy asks a process that has /healthz, such as a data plane, whether it serves.
func (c *Client) Healthy(ctx context.Context) error {
	return c.call(ctx, request{method: http.MethodGet, path: "/healthz"}, nil)
}
