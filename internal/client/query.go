package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/ringfence/ringfence/internal/errs"
)

// Query returns the value of a PromQL expression now; 0 when it selects nothing. It must select one value.
func (c *Client) Query(ctx context.Context, expr string) (float64, error) {
	var out struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	err := c.call(ctx, request{method: http.MethodGet, path: "/api/v1/query", query: url.Values{"query": {expr}}}, &out)
	if err != nil || len(out.Data.Result) == 0 {
		return 0, err
	}
	text, _ := out.Data.Result[0].Value[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || len(out.Data.Result) > 1 {
		return 0, errs.E(errs.Invalid, "%s: expected one value", expr)
	}
	return v, nil
}
