package workload

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// checkClient opens a connection for every check: a kept one would not notice that accepting stopped.
var checkClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil, MaxResponseHeaderBytes: 64 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// check asks an instance once whether it is ready.
func check(ctx context.Context, r fleet.Ready, address string) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout.D(defaultTimeout))
	defer cancel()
	if r.HTTP == "" {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return shortError("connect", r, err)
		}
		return c.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+r.HTTP, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "ringfence-readiness")
	resp, err := checkClient.Do(req)
	if err != nil {
		return shortError("GET "+r.HTTP, r, err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("GET %s answered %d", r.HTTP, resp.StatusCode)
	}
	return nil
}

func shortError(what string, r fleet.Ready, err error) error {
	msg := err.Error()
	switch {
	case strings.Contains(msg, "connection refused"):
		return fmt.Errorf("%s: connection refused, nothing listens on its port", what)
	case strings.Contains(msg, "context deadline exceeded") || strings.Contains(msg, "Client.Timeout"):
		return fmt.Errorf("%s: no answer within %s", what, r.Timeout.D(defaultTimeout))
	}
	if i := strings.LastIndex(msg, ": "); i >= 0 {
		msg = msg[i+2:]
	}
	return fmt.Errorf("%s: %s", what, msg)
}

// overdue says whether an instance that is not ready since then has taken so long that people should hear why. Whoever
// gives up on it after Within shall know by then.
func overdue(r fleet.Ready, since, now time.Time) bool {
	return now.Sub(since) >= r.Within.D(defaultWithin)/2
}
