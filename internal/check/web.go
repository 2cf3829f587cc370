package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// doer is the part of http.Client that is needed.
type doer interface {
	Do(*http.Request) (*http.Response, error)
}

// answer is what was answered, its body cut at the limit.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    bool
}

const userAgent = "Ringfence"

func client(proxy bool) *http.Client {
	dialer := &net.Dialer{Timeout: 30 * time.Second, ControlContext: refuseLinkLocal}
	t := &http.Transport{
		DialContext:            dialer.DialContext,
		DisableKeepAlives:      true, // a probe is to see whether a new connection is taken
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if proxy {
		t.Proxy = http.ProxyFromEnvironment
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

var errLinkLocal = errors.New("link-local addresses are not asked")

// metadata is where one cloud keeps over IPv6 what others keep at a link-local address.
var metadata = netip.MustParseAddr("fd00:ec2::254")

func refuseLinkLocal(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := to.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip.WithZone("") == metadata {
		return errLinkLocal
	}
	return nil
}

// get sends one request and reads its answer, all within timeout. Without a limit the body is not looked at.
func get(ctx context.Context, by doer, method, target string, header http.Header, body []byte, limit int64, timeout time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = header.Clone()
	req.Header.Set("User-Agent", userAgent)
	resp, err := by.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if limit == 0 {
		return a, nil
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(a.body)) > limit {
		a.body, a.cut = a.body[:limit], true
	}
	return a, err
}

// why says what went wrong with a request. It leaves the URL out: there may be a password in its query.
func why(err error, timeout time.Duration) string {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	var timed net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "the question was withdrawn"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timed) && timed.Timeout():
		return fmt.Sprintf("no answer within %s", timeout)
	case errors.Is(err, errLinkLocal):
		return errLinkLocal.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed before the answer was complete"
	}
	return oneLine(err.Error(), 200)
}

// host is the part of a URL that may be told.
func host(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return "the address"
	}
	return oneLine(u.Host, 200)
}

// usable says what is wrong with a URL, without repeating it.
func usable(target string) error {
	u, err := url.Parse(target)
	var outer *url.Error
	switch {
	case errors.As(err, &outer):
		return outer.Err
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("expected an http or https URL")
	}
	return nil
}
