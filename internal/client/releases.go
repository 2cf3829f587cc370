package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"syscall"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// PutFile keeps a file as an artifact and returns its digest. One that is there already is not sent again.
func (c *Client) PutFile(ctx context.Context, path string) (wire.Artifact, error) {
	digest, size, err := digestOf(path)
	if err != nil {
		return wire.Artifact{}, err
	}
	at := "/v1/artifacts/" + digest
	err = c.call(ctx, request{method: http.MethodHead, path: at}, nil)
	if err == nil {
		return wire.Artifact{Digest: digest, Size: size}, nil
	}
	if !errs.Is(err, errs.Missing) {
		return wire.Artifact{}, err
	}
	var out wire.Artifact
	err = c.call(ctx, request{
		method: http.MethodPut, path: at, size: size, timeout: transferTimeout, open: func() (io.ReadCloser, error) { return os.Open(path) },
	}, &out)
	return out, err
}

const transferTimeout = 2 * 60 * 60 * 1e9 // two hours; the server gives up much sooner when nothing moves

func digestOf(path string) (string, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe is refused below, not waited for
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, errs.E(errs.Invalid, "artifact %s: there is no such file", path)
	}
	if err != nil {
		return "", 0, errs.Wrap(errs.Invalid, err, "artifact")
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", 0, errs.E(errs.Invalid, "artifact %s: expected a regular file", path)
	}
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return "", 0, errs.Wrap(errs.Invalid, err, "artifact")
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), size, nil
}

// Artifact reads an artifact; whoever reads checks the digest.
func (c *Client) Artifact(ctx context.Context, digest string) (io.ReadCloser, error) {
	return c.stream(ctx, request{method: http.MethodGet, path: "/v1/artifacts/" + escape(digest), accept: "*/*"})
}

// Release releases a version and starts its rollout.
func (c *Client) Release(ctx context.Context, service string, r wire.Release) (wire.Rollout, error) {
	var out wire.Rollout
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/services/" + escape(service) + "/releases", body: r}, &out)
	return out, err
}

// Releases returns the releases of a service.
func (c *Client) Releases(ctx context.Context, service string) ([]resource.Release, error) {
	var out wire.Releases
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/services/" + escape(service) + "/releases"}, &out)
	return out.Items, err
}

// Rollouts returns up to limit rollouts, newest first; of all services when service is "".
func (c *Client) Rollouts(ctx context.Context, service string, inFlight bool, limit int) ([]rollout.State, error) {
	q := url.Values{"limit": {number(limit)}}
	if service != "" {
		q.Set("service", service)
	}
	if inFlight {
		q.Set("inFlight", "true")
	}
	var out wire.Rollouts
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/rollouts", query: q}, &out)
	return out.Items, err
}

// Rollout returns a rollout by its ID, or a service's newest one by the service's name.
func (c *Client) Rollout(ctx context.Context, which string) (wire.Rollout, error) {
	var out wire.Rollout
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/rollouts/" + escape(which)}, &out)
	return out, err
}

// Command asks something of a rollout.
func (c *Client) Command(ctx context.Context, which string, verb rollout.Verb, reason string) (wire.Rollout, error) {
	var out wire.Rollout
	path := "/v1/rollouts/" + escape(which) + "/" + escape(string(verb))
	err := c.call(ctx, request{method: http.MethodPost, path: path, body: wire.Reason{Reason: reason}}, &out)
	return out, err
}
