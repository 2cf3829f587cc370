package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

// env is what the global flags say.
type env struct {
	data, server, tokenFile string
	json                    bool
}

// client speaks to the server that is meant, as whoever is meant.
func (e *env) client() (*client.Client, error) { return e.patient(0) }

// address is the URL of the server that is meant, and whether it runs in the data folder.
func (e *env) address() (*url.URL, bool, error) {
	local, err := localServer(e.data)
	if err != nil {
		return nil, false, err
	}
	server := e.server
	if server == "" {
		server = local
	}
	if server == "" {
		return nil, false, errs.E(errs.Unavailable, "no control plane runs in %s", e.data).
			Next("Start one with: ringfence up, or name one with --server or --data.")
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, false, errs.E(errs.Invalid, "server %q: expected a URL such as https://ringfence.example.com", server)
	}
	return u, server == local, nil
}

// patient is a client that waits longer for a control plane that does not answer, as when it is watched over restarts.
func (e *env) patient(patience time.Duration) (*client.Client, error) {
	u, mine, err := e.address()
	if err != nil {
		return nil, err
	}
	token, err := e.token(u.String(), mine || isLoopback(u.Hostname()))
	if err != nil {
		return nil, err
	}
	if token != "" {
		if err := e.private(u); err != nil {
			return nil, err
		}
	}
	return client.New(client.Options{URL: u.String(), Token: token, Patience: patience}), nil
}

// private says whether a secret may be sent to a server.
func (e *env) private(u *url.URL) error {
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return errs.E(errs.Invalid, "server %q: a token is not sent unencrypted to another machine", u).Next("Use https.")
	}
	return nil
}

// anonymous is a client of nobody yet.
func (e *env) anonymous() (*client.Client, error) {
	u, _, err := e.address()
	if err != nil {
		return nil, err
	}
	if err := e.private(u); err != nil {
		return nil, err
	}
	return client.New(client.Options{URL: u.String()}), nil
}

// token finds the token. That of the data folder is not shown to another machine's server.
func (e *env) token(server string, mine bool) (string, error) {
	if e.tokenFile != "" {
		token, err := access.ReadToken(e.tokenFile)
		if errs.Is(err, errs.Missing) {
			err = errs.Wrap(errs.Invalid, err, "--token-file")
		}
		return token, err
	}
	if token := os.Getenv("RINGFENCE_TOKEN"); token != "" {
		return strings.TrimSpace(token), nil
	}
	if token, err := access.ReadToken(e.kept(server)); !errs.Is(err, errs.Missing) {
		return token, err
	}
	if !mine {
		return "", errs.E(errs.Denied, "no token for %s", e.server).Next("Sign in with: ringfence login, or name a token's file with --token-file, or set RINGFENCE_TOKEN.")
	}
	token, err := access.ReadToken(filepath.Join(e.data, access.AdminFile))
	if errs.Is(err, errs.Missing) {
		err = errs.E(errs.Denied, "no token in %s", e.data).Next("Name its file with --token-file, or set RINGFENCE_TOKEN.")
	}
	return token, err
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// localServer is where the control plane of a data folder is, "" when none was started there.
func localServer(data string) (string, error) {
	path := filepath.Join(data, "run", "server.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", errs.Wrap(errs.Denied, err, "cannot find the control plane")
	}
	var run struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(b, &run); err != nil {
		return "", errs.Wrap(errs.Invalid, err, "%s is damaged", path)
	}
	return run.URL, nil
}

// ask calls one method of the API.
func ask[T any](ctx context.Context, e *env, call func(context.Context, *client.Client) (T, error)) (T, error) {
	c, err := e.client()
	if err != nil {
		var zero T
		return zero, err
	}
	return call(ctx, c)
}
