package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

const userAgent = "Ringfence-Probe"

// answer is what came of one request.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    bool
	took   time.Duration
	set    []*http.Cookie
}

// web asks one request after the other, as one user would: with the cookies that were set.
func (a *attempt) web(ctx context.Context) error {
	base := a.target.Address
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	at, err := url.Parse(base)
	if err != nil {
		return errors.New("the address is no URL")
	}
	requests := a.spec.Requests()
	d := dialer()
	t := &http.Transport{DialContext: d.DialContext, DisableKeepAlives: len(requests) == 1, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10}
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return a.secure(ctx, d, network, address, at)
	}
	if a.spec.Target == resource.AtAddress {
		t.Proxy = http.ProxyFromEnvironment
		t.TLSClientConfig = a.config(at.Hostname()) // through a proxy
	}
	defer t.CloseIdleConnections()
	jar, _ := cookiejar.New(nil) // without a list it cannot fail
	for i := range requests {
		r := &requests[i]
		if len(requests) > 1 {
			a.round.Step = r.Label()
		}
		got, err := a.request(ctx, &http.Client{Transport: t, Jar: jar}, at, r, i == 0)
		if len(requests) > 1 {
			a.round.Steps = append(a.round.Steps, synthetic.Step{Name: r.Label(), Seconds: got.took.Seconds(), Status: got.status})
		}
		if err == nil {
			err = expected(got, r.Expect)
		}
		if err == nil {
			err = a.extract(got, r.Extract)
		}
		if err != nil {
			return err
		}
	}
	a.round.Step = ""
	return nil
}

// secure dials with TLS; the name that the certificate is for is that of the service when an instance stands for it.
func (a *attempt) secure(ctx context.Context, d *net.Dialer, network, address string, at *url.URL) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if address == withPort(at) && a.target.Host != "" {
		if host, _, err = net.SplitHostPort(a.target.Host); err != nil {
			host = a.target.Host
		}
	}
	raw, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := a.config(host)
	c.NextProtos = []string{"h2", "http/1.1"}
	conn := tls.Client(raw, c)
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(conn.ConnectionState(), nil)
	}
	return conn, nil
}

func withPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

func (a *attempt) request(ctx context.Context, by *http.Client, at *url.URL, r *resource.ProbeRequest, first bool) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.spec.Timeout))
	defer cancel()
	target := a.put(r.Path, url.PathEscape)
	if !strings.Contains(target, "://") {
		if target == "" {
			target = "/"
		}
		target = strings.TrimRight(at.String(), "/") + target
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	clock := &phases{}
	if first {
		ctx = httptrace.WithClientTrace(ctx, clock.trace())
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(a.put(r.Body, func(s string) string { return s })))
	if err != nil {
		return answer{}, errors.New("the path makes no URL")
	}
	req.Header.Set("User-Agent", userAgent)
	for k, v := range r.Headers {
		v = a.put(v, func(s string) string { return s })
		if strings.ContainsAny(v, "\r\n\x00") {
			return answer{}, fmt.Errorf("header %s would have several lines", k)
		}
		if req.Header.Set(k, v); strings.EqualFold(k, "Host") {
			req.Host = v
		}
	}
	if a.target.Host != "" && req.Host == at.Host {
		req.Host = a.target.Host
	}
	by.CheckRedirect = a.follow(at, r)
	began := time.Now()
	got, err := fetch(by, req)
	got.took = time.Since(began)
	if first {
		a.round.Phases = clock.read()
	}
	return got, err
}

// follow allows the redirects that the request allows. To another host nothing of the probe's own is sent along.
func (a *attempt) follow(at *url.URL, r *resource.ProbeRequest) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		if len(via) > r.Redirects {
			return http.ErrUseLastResponse
		}
		if host := a.target.Host; host != "" && strings.EqualFold(next.URL.Host, host) { // the service, at the instance that is looked at
			next.URL.Scheme, next.URL.Host, next.Host = at.Scheme, at.Host, host
			return nil
		}
		if !strings.EqualFold(next.URL.Host, at.Host) {
			for k := range r.Headers {
				next.Header.Del(k)
			}
		} else if a.target.Host != "" {
			next.Host = a.target.Host
		}
		return nil
	}
}

func fetch(by *http.Client, req *http.Request) (answer, error) {
	resp, err := by.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	got := answer{status: resp.StatusCode, header: resp.Header, set: resp.Cookies()}
	got.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if len(got.body) > maxBody {
		got.body, got.cut = bytes.Clone(got.body[:maxBody]), true
	}
	return got, err
}

// phases times the parts of a request.
type phases struct {
	mu                      sync.Mutex // a connection may come about after the request was given up
	dns, connect, tls, sent time.Time
	got                     synthetic.Phases
}

func (p *phases) trace() *httptrace.ClientTrace {
	begin := func(at *time.Time) {
		p.mu.Lock()
		defer p.mu.Unlock()
		*at = time.Now()
	}
	end := func(began *time.Time, took *float64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !began.IsZero() && *took == 0 { // the first of several
			*took = time.Since(*began).Seconds()
		}
	}
	return &httptrace.ClientTrace{
		DNSStart:             func(httptrace.DNSStartInfo) { begin(&p.dns) },
		DNSDone:              func(httptrace.DNSDoneInfo) { end(&p.dns, &p.got.DNS) },
		ConnectStart:         func(string, string) { begin(&p.connect) },
		ConnectDone:          func(string, string, error) { end(&p.connect, &p.got.Connect) },
		TLSHandshakeStart:    func() { begin(&p.tls) },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { end(&p.tls, &p.got.TLS) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { begin(&p.sent) },
		GotFirstResponseByte: func() { end(&p.sent, &p.got.FirstByte) },
	}
}

func (p *phases) read() synthetic.Phases {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}
