package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ringfence/ringfence/internal/flag"
)

// Feed returns what an environment's flags are served by, once it is not the version that the caller has; after wait, a feed
// of that version without content.
func (c *Client) Feed(ctx context.Context, env, have string, wait time.Duration) (flag.Feed, error) {
	q := url.Values{"wait": {wait.String()}}
	if have != "" {
		q.Set("have", have)
	}
	var out flag.Feed
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/environments/" + escape(env) + "/flags", query: q, timeout: wait + 20*time.Second}, &out)
	return out, err
}
