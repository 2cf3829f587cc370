package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Options configure a client.
type Options struct {
	URL      string        // of the control plane
	Token    string        // may be empty for what needs none
	Plane    string        // which data plane this is, if it is one
	Patience time.Duration // how long to try to reach it; default 5s, negative for one try
	HTTP     *http.Client  // default one of its own
}

// Client speaks to one control plane. It may be used by many goroutines.
type Client struct {
	base     string
	token    string
	plane    string
	patience time.Duration
	http     *http.Client
}

// New makes a client.
func New(o Options) *Client {
	c := &Client{base: strings.TrimRight(o.URL, "/"), token: o.Token, plane: o.Plane, patience: o.Patience, http: o.HTTP}
	if c.patience == 0 {
		c.patience = 5 * time.Second
	}
	if c.http == nil {
		dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
		c.http = &http.Client{
			Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second,
				Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true},
			// A token must not follow to wherever an answer points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return c
}

// As is the same client as somebody else.
func (c *Client) As(token string) *Client {
	other := *c
	other.token = token
	return &other
}

// URL is where the control plane is.
func (c *Client) URL() string { return c.base }

// request is one request, made as often as needed.
type request struct {
	method  string
	path    string
	query   url.Values
	body    any                           // sent as JSON
	open    func() (io.ReadCloser, error) // sent as it is, instead
	size    int64
	accept  string
	header  http.Header
	timeout time.Duration // for the whole answer; 0 means 40s, negative none
}

const defaultTimeout = 40 * time.Second // longer than the server takes at most

// call makes a request and reads its JSON answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, r request, out any) error {
	if r.timeout == 0 {
		r.timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	res, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
		return err
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out); err != nil {
		return errs.Wrap(errs.Unavailable, err, "%s %s: the answer cannot be read", r.method, r.path)
	}
	return nil
}

const maxAnswer = 256 << 20

// send makes a request until it is answered and returns the answer when it is a good one.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	body, err := r.content()
	if err != nil {
		return nil, err
	}
	if r.header == nil {
		r.header = http.Header{}
	}
	if r.method == http.MethodPost || r.method == http.MethodDelete {
		r.header.Set("Idempotency-Key", rand.Text())
	}
	end := time.Now().Add(c.patience)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		res, err := c.once(ctx, r, body)
		if err == nil && res.StatusCode < 300 {
			return res, nil
		}
		again := unreached(err)
		if err == nil {
			again = res.StatusCode == http.StatusServiceUnavailable
			err = problemOf(res)
		} else {
			err = c.explain(ctx, err)
		}
		if !again || ctx.Err() != nil || time.Now().Add(pause).After(end) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// content is how to open the body, which may be needed several times.
func (r *request) content() (func() (io.ReadCloser, error), error) {
	if r.open != nil || r.body == nil {
		return r.open, nil
	}
	raw, err := json.Marshal(r.body)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "%s %s", r.method, r.path)
	}
	r.size = int64(len(raw))
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }, nil
}

func (c *Client) once(ctx context.Context, r request, body func() (io.ReadCloser, error)) (*http.Response, error) {
	u := c.base + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, nil)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "server %q", c.base)
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	if body != nil {
		if req.Body, err = body(); err != nil {
			return nil, err
		}
		req.ContentLength = r.size
		if req.Header.Get("Content-Type") == "" {
			req.Header.Set("Content-Type", "application/octet-stream")
		}
		if r.body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if r.accept == "" {
		r.accept = "application/json"
	}
	req.Header.Set("Accept", r.accept)
	return c.http.Do(req)
}

// unreached says that the control plane was not there, or went away before it answered: trying again may help.
func unreached(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (c *Client) explain(ctx context.Context, err error) error {
	var known *errs.Error
	if errors.As(err, &known) {
		return err
	}
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	return errs.Wrap(errs.Unavailable, err, "the control plane at %s does not answer", c.base).
		Next("Start it with: ringfence up, or name another one with --server.")
}

// escape makes a segment of a path of any text.
func escape(s string) string { return url.PathEscape(s) }
