package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/switchboard"
)

func flagPath(set, key string) string { return "/v1/flags/" + escape(set) + "/" + escape(key) }

// Flags lists the flags of a set, or of all, as they are in an environment.
func (c *Client) Flags(ctx context.Context, set, env string) ([]switchboard.View, error) {
	var out wire.Flags
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/flags", query: url.Values{"set": {set}, "environment": {env}}}, &out)
	return out.Items, err
}

// Flag returns a flag as it is in an environment.
func (c *Client) Flag(ctx context.Context, set, key, env string) (out switchboard.View, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: flagPath(set, key), query: url.Values{"environment": {env}}}, &out)
	return out, err
}

// Explain says what a user gets of a flag, and why.
func (c *Client) Explain(ctx context.Context, set, key string, q wire.FlagQuestion) (out switchboard.Explanation, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: flagPath(set, key) + "/explain", body: q}, &out)
	return out, err
}

// Expose begins to show a variant to users.
func (c *Client) Expose(ctx context.Context, set, key string, x wire.Exposing) (out wire.Rollout, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: flagPath(set, key) + "/expose", body: x}, &out)
	return out, err
}

// SwitchOff takes a flag's variant back from everyone.
func (c *Client) SwitchOff(ctx context.Context, set, key string, a wire.FlagAction) (out switchboard.Off, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: flagPath(set, key) + "/off", body: a}, &out)
	return out, err
}

// TurnFlag enables, disables, archives or restores a flag: the verb is one of these.
func (c *Client) TurnFlag(ctx context.Context, set, key, verb string, a wire.FlagAction) (out switchboard.Edited, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: flagPath(set, key) + "/" + verb, body: a}, &out)
	return out, err
}

// Choose notes what a user wants of a flag's preview.
func (c *Client) Choose(ctx context.Context, set, key string, choice wire.FlagChoice) error {
	return c.call(ctx, request{method: http.MethodPost, path: flagPath(set, key) + "/choices", body: choice}, nil)
}

// EditFlag changes a flag's definition by a merge patch.
func (c *Client) EditFlag(ctx context.Context, set, key string, e wire.FlagEdit) (out switchboard.Edited, err error) {
	err = c.call(ctx, request{method: http.MethodPatch, path: flagPath(set, key), body: e}, &out)
	return out, err
}

// UndoFlag takes a change of a flag's definition back.
func (c *Client) UndoFlag(ctx context.Context, set, key string, u wire.FlagUndo) (out switchboard.Edited, err error) {
	err = c.call(ctx, request{method: http.MethodPost, path: flagPath(set, key) + "/undo", body: u}, &out)
	return out, err
}

// Propose makes a declared set be as given, or asks for a review of that.
func (c *Client) Propose(ctx context.Context, set string, spec json.RawMessage, reason string) (out switchboard.Edited, err error) {
	err = c.call(ctx, request{method: http.MethodPut, path: "/v1/flag-sets/" + escape(set), body: wire.FlagProposal{Spec: spec, Reason: reason}}, &out)
	return out, err
}

// ChangeRequests lists change requests, newest first.
func (c *Client) ChangeRequests(ctx context.Context, set string, open bool) ([]switchboard.Request, error) {
	q := url.Values{"set": {set}}
	if open {
		q.Set("open", "true")
	}
	var out wire.ChangeRequests
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/change-requests", query: q}, &out)
	return out.Items, err
}

// ChangeRequest returns one change request.
func (c *Client) ChangeRequest(ctx context.Context, id string) (out switchboard.Request, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/v1/change-requests/" + escape(id)}, &out)
	return out, err
}

// Review approves a change request, or refuses it.
func (c *Client) Review(ctx context.Context, id, reason string, refuse bool) (out switchboard.Request, err error) {
	verb := "approve"
	if refuse {
		verb = "refuse"
	}
	err = c.call(ctx, request{method: http.MethodPost, path: "/v1/change-requests/" + escape(id) + "/" + verb, body: wire.Reason{Reason: reason}}, &out)
	return out, err
}
