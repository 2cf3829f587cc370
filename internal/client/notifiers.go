package client

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
)

// Notifiers returns how all notifiers stand.
func (c *Client) Notifiers(ctx context.Context) ([]wire.NotifierStatus, error) {
	var out wire.Notifiers
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/notifiers"}, &out)
	return out.Items, err
}

// TestNotifier sends a test message. That it did not arrive is in the answer, and no error.
func (c *Client) TestNotifier(ctx context.Context, name string) (wire.NotifierTest, error) {
	var out wire.NotifierTest
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/notifiers/" + escape(name) + "/test", timeout: 80 * time.Second}, &out)
	return out, err
}
