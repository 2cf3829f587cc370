package client

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/objective"
)

// SLOs lists SLOs with their budgets and burn rates.
func (c *Client) SLOs(ctx context.Context) ([]objective.Status, error) {
	var out wire.SLOs
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/slos"}, &out)
	return out.Items, err
}

// ReadSLO reads an SLO, with how its budget was spent.
func (c *Client) ReadSLO(ctx context.Context, name string) (out objective.Report, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/slos/" + escape(name)}, &out)
	return out, err
}
