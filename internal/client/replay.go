package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/ringfence/ringfence/internal/replay"
)

// Evidence returns what a rollout was decided on; with histograms, also how long requests took.
func (c *Client) Evidence(ctx context.Context, which string, histograms bool) (replay.Evidence, error) {
	r := request{method: http.MethodGet, path: "/v1/rollouts/" + escape(which) + "/evidence", timeout: evidenceTimeout}
	if histograms {
		r.query = url.Values{"histograms": {"true"}}
	}
	var out replay.Evidence
	err := c.call(ctx, r, &out)
	return out, err
}

const evidenceTimeout = 2 * 60 * 1e9 // as long as the server takes at most
