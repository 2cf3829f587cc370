package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
)

// Evaluate evaluates a PromQL expression at a time; the zero time is now.
func (c *Client) Evaluate(ctx context.Context, expr string, at time.Time) (wire.QueryResult, error) {
	q := url.Values{"query": {expr}}
	if !at.IsZero() {
		q.Set("time", seconds(at))
	}
	return c.promQL(ctx, "/api/v1/query", q)
}

// EvaluateRange evaluates it at from, from+step and so on up to to.
func (c *Client) EvaluateRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) (wire.QueryResult, error) {
	return c.promQL(ctx, "/api/v1/query_range", url.Values{"query": {expr}, "start": {seconds(from)}, "end": {seconds(to)},
		"step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}})
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func (c *Client) promQL(ctx context.Context, path string, q url.Values) (wire.QueryResult, error) {
	var out struct {
		Data     wire.QueryResult `json:"data"`
		Warnings []string         `json:"warnings"`
		Infos    []string         `json:"infos"`
	}
	err := c.call(ctx, request{method: http.MethodGet, path: path, query: q, timeout: 130 * time.Second}, &out)
	out.Data.Warnings = append(out.Warnings, out.Infos...)
	return out.Data, err
}

// promProblem is how Prometheus' API tells of errors.
type promProblem struct {
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
}

func (p promProblem) err(status int) error {
	kind := errs.Invalid
	if status >= 500 {
		kind = errs.Unavailable
	}
	return errs.E(kind, "%s", p.Error)
}
