package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/lab"
)

func experimentPath(name string) string { return "/v1/experiments/" + escape(name) }

// Experiments lists experiments with their newest runs.
func (c *Client) Experiments(ctx context.Context) ([]lab.Run, error) {
	var out wire.Experiments
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/experiments"}, &out)
	return out.Items, err
}

// ReadExperiment reads an experiment as it is now.
func (c *Client) ReadExperiment(ctx context.Context, name string) (out lab.Report, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: experimentPath(name), query: url.Values{}, timeout: 2 * time.Minute}, &out)
	return out, err
}

// StartExperiment begins an experiment.
func (c *Client) StartExperiment(ctx context.Context, name string, s wire.ExperimentStart) (out lab.Run, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: experimentPath(name) + "/start", body: s}, &out)
	return out, err
}

// StopExperiment ends an experiment, and ships a variant if that is said.
func (c *Client) StopExperiment(ctx context.Context, name string, s wire.ExperimentStop) (out lab.Run, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: experimentPath(name) + "/stop", body: s}, &out)
	return out, err
}
