package opa

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// Agent asks.
type Agent struct{ client *http.Client }

// New makes one.
func New() *Agent {
	return &Agent{&http.Client{
		Transport:     &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // who redirects is not who was declared
	}}
}

// input is what a rule finds below input.
type input struct {
	Principal policy.Principal     `json:"principal"`
	Groups    []string             `json:"groups"`
	Granted   bool                 `json:"granted"`
	Action    policy.Action        `json:"action"`
	Verb      string               `json:"verb"`
	Resource  policy.Resource      `json:"resource"`
	Context   policy.Circumstances `json:"context"`
}

// Ask says why a request is not allowed; nil when it is.
func (a *Agent) Ask(ctx context.Context, at resource.RemotePolicy, q policy.Request) error {
	body, err := json.Marshal(map[string]input{"input": {Principal: q.Principal, Groups: q.Declared, Granted: q.Granted, Action: q.Action, Verb: q.Verb, Resource: q.Resource, Context: q.Circumstances}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, at.Timeout.D(500*time.Millisecond))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.URL, bytes.NewReader(body))
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "remote policy")
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return errs.E(errs.Unavailable, "it did not answer within %s", at.Timeout)
		}
		return errs.E(errs.Unavailable, "it cannot be reached")
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil || len(raw) > maxAnswer {
		return errs.E(errs.Unavailable, "its answer cannot be read")
	}
	if res.StatusCode != http.StatusOK {
		return errs.E(errs.Unavailable, "it answered %d", res.StatusCode)
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return errs.E(errs.Unavailable, "its answer is no JSON")
	}
	switch string(bytes.TrimSpace(answer.Result)) {
	case "true":
		return nil
	case "false":
		return errs.E(errs.Denied, "it says no")
	case "":
		return errs.E(errs.Denied, "the rule is undefined there")
	}
	return errs.E(errs.Denied, "it answered something else than a boolean")
}
