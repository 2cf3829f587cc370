package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/probing"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// Probes lists probes as they are, and who looks.
func (c *Client) Probes(ctx context.Context) (out wire.Probes, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/probes"}, &out)
	return out, err
}

// Probe shows what was seen of a probe.
func (c *Client) Probe(ctx context.Context, name string) (out probing.Status, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/probes/" + escape(name)}, &out)
	return out, err
}

// CompareProbe compares what was seen of two versions; empty ones are those of the newest rollout.
func (c *Client) CompareProbe(ctx context.Context, name, version, with string, maxRatio float64) (out synthetic.Comparison, err error) {
	q := url.Values{}
	if version != "" {
		q.Set("version", version)
	}
	if with != "" {
		q.Set("with", with)
	}
	if maxRatio != 0 {
		q.Set("maxRatio", strconv.FormatFloat(maxRatio, 'g', -1, 64))
	}
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/probes/" + escape(name) + "/comparison", query: q}, &out)
	return out, err
}

// RunProbe looks once, from the control plane.
func (c *Client) RunProbe(ctx context.Context, name string) ([]synthetic.Round, error) {
	var out wire.ProbeRun
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/probes/" + escape(name) + "/run", timeout: 2 * time.Minute}, &out)
	return out.Rounds, err
}

// ProbeJobs asks what a prober has to look at.
func (c *Client) ProbeJobs(ctx context.Context, prober string) ([]synthetic.Job, error) {
	var out wire.ProbeJobs
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/probers/" + escape(prober) + "/jobs"}, &out)
	return out.Items, err
}

// ReportRounds tells what a prober saw.
func (c *Client) ReportRounds(ctx context.Context, prober string, rounds []synthetic.Round, dropped int64) error {
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/probers/" + escape(prober) + "/rounds", body: wire.ProbeRounds{Rounds: rounds, Dropped: dropped}}, nil)
}
