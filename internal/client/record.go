package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/record"
)

// Record says who the log over the record is, and what is wrong with it. With look it is compared anew.
func (c *Client) Record(ctx context.Context, look bool) (wire.Record, error) {
	r := request{method: http.MethodGet, path: "/v1/record"}
	if look {
		r = request{method: http.MethodPost, path: "/v1/record/look"}
	}
	var out wire.Record
	err := c.call(ctx, r, &out)
	return out, err
}

// Checkpoint signs the record as it is now, or returns the newest that was signed.
func (c *Client) Checkpoint(ctx context.Context, sign bool) ([]byte, error) {
	r := request{method: http.MethodGet, path: "/v1/record/log/checkpoint", accept: "text/plain"}
	if sign {
		r = request{method: http.MethodPost, path: "/v1/record/checkpoint", accept: "text/plain"}
	}
	return c.bytes(ctx, r, audit.MaxCheckpoint)
}

// bytes reads a small answer as it is.
func (c *Client) bytes(ctx context.Context, r request, most int64) ([]byte, error) {
	res, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "%s %s: the answer cannot be read", r.method, r.path)
	}
	return b, nil
}

// Tile is a tile of the tree over the record.
func (c *Client) Tile(ctx context.Context, t audit.Tile) ([]byte, error) {
	return c.bytes(ctx, request{method: http.MethodGet, path: "/v1/record/log/" + t.Path(), accept: "application/octet-stream"}, audit.TileWidth*audit.HashSize)
}

// Proof shows an event with the proof that it is in the record.
func (c *Client) Proof(ctx context.Context, seq int64) (record.Proof, error) {
	var out record.Proof
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/record/events/" + strconv.FormatInt(seq, 10) + "/proof"}, &out)
	return out, err
}

// Growth proves that the record of one size began as that of another.
func (c *Client) Growth(ctx context.Context, from, to int64) (record.Growth, error) {
	var out record.Growth
	q := url.Values{"from": {strconv.FormatInt(from, 10)}, "to": {strconv.FormatInt(to, 10)}}
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/record/growth", query: q}, &out)
	return out, err
}

// ExportRecord streams events up to a number, a line each.
func (c *Client) ExportRecord(ctx context.Context, after, through int64) (io.ReadCloser, error) {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}, "through": {strconv.FormatInt(through, 10)}}
	return c.stream(ctx, request{method: http.MethodGet, path: "/v1/record/export", query: q, accept: "application/x-ndjson"})
}

// RotateRecordKey replaces the key that checkpoints are signed with.
func (c *Client) RotateRecordKey(ctx context.Context, reason string) (record.Log, error) {
	var out record.Log
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/record/rotate", body: wire.Reason{Reason: reason}}, &out)
	return out, err
}

// AcceptRecord accepts that the record does not continue what was shipped.
func (c *Client) AcceptRecord(ctx context.Context, reason string) (record.Log, error) {
	var out record.Log
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/record/accept", body: wire.Reason{Reason: reason}}, &out)
	return out, err
}
