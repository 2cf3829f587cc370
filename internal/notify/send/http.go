package send

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/notify"
)

const maxAnswer = 64 << 10

var errLinkLocal = errors.New("link-local addresses are not sent to")

// metadata is where one cloud keeps over IPv6 what others keep at a link-local address.
var metadata = netip.MustParseAddr("fd00:ec2::254")

// dialer judges the address that is connected to, whatever the name said before.
func dialer() *net.Dialer {
	return &net.Dialer{Timeout: 30 * time.Second, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if ip := to.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip.WithZone("") == metadata {
			return errLinkLocal
		}
		return nil
	}}
}

// newTransport makes what all requests of a Sender go through: connections to a receiver are used again.
func newTransport(secure *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer().DialContext,
		TLSClientConfig:        secure,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    30 * time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    2,
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// exchange is one request and its answer, seen from below a library: whatever that makes of it, what was sent and
// answered is known here.
type exchange struct {
	by     *Sender
	wrote  atomic.Bool // the whole request went out
	status int
	after  time.Duration
	body   []byte
}

func (x *exchange) client() *http.Client {
	return &http.Client{Transport: x, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// RoundTrip reads the answer whole, up to the limit, so that nobody above waits for more.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) {
		if i.Err == nil {
			x.wrote.Store(true)
		}
	}}))
	req.Header.Set("User-Agent", x.by.agent())
	resp, err := x.by.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	x.status = resp.StatusCode
	x.after = retryAfter(resp.Header.Get("Retry-After"))
	x.body, _ = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status is what counts
	resp.Body = io.NopCloser(bytes.NewReader(x.body))
	return resp, nil
}

func retryAfter(text string) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// outcome is what is known after the exchange; err is what the one who made it says.
func (x *exchange) outcome(who string, err error) error {
	switch {
	case x.status == 0 && err == nil:
		return &notify.Failure{Text: who + " was not asked"}
	case x.status == 0:
		return &notify.Failure{Text: who + ": " + wordsOf(err), Unsure: x.wrote.Load()}
	case x.status >= 200 && x.status < 300 && err == nil:
		return nil
	case x.status >= 200 && x.status < 300:
		return &notify.Failure{Text: fmt.Sprintf("%s answered %d but does not confirm it: %s", who, x.status, x.said()), Unsure: true}
	}
	f := &notify.Failure{Text: fmt.Sprintf("%s answered %d", who, x.status), After: x.after}
	switch x.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		f.Refused = true
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		f.Unsure = true // somebody between may have passed it on
	}
	if x.status/100 == 3 {
		f.Text += ", a redirect, which is not followed"
	}
	if said := x.said(); said != "" {
		f.Text += ": " + said
	}
	return f
}

func (x *exchange) said() string {
	said := strings.TrimSpace(string(x.body))
	if strings.HasPrefix(said, "<") { // a page says less than the status
		return ""
	}
	return oneLine(said, 200)
}

// wordsOf says what went wrong, without the URL.
func wordsOf(err error) string {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	var timed net.Error
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, context.Canceled):
		return "the control plane was told to end"
	case errors.Is(err, errLinkLocal):
		return errLinkLocal.Error()
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timed) && timed.Timeout():
		return "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &unknown):
		return "its certificate is signed by an authority that is not known here"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed before there was an answer"
	}
	return oneLine(err.Error(), 300)
}

// hostOf is the part of a URL that may be told.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "the receiver"
	}
	return oneLine(u.Host, 200)
}
