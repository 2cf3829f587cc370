package demo

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Traffic drives requests of many users at a gateway, open-loop: they come when they come, however slow the
// answers are.
type Traffic struct {
	Gateway   string // host:port
	Host      string // of the service
	Users     int
	Employees int // how many of the users are employees
	PerSecond float64

	requests  atomic.Int64
	service   atomic.Int64 // answers of 500 and above by the service
	ringfence atomic.Int64 // requests that the gateway lost, cut, or answered itself with an error
	firstLoss atomic.Pointer[string]
}

// Counts is what the users saw.
type Counts struct {
	Requests          int64 `json:"requests"`
	FailedByService   int64 `json:"failedByService"`
	FailedByRingfence int64 `json:"failedByRingfence"`
}

// Counts returns what the users saw so far.
func (t *Traffic) Counts() Counts {
	return Counts{t.requests.Load(), t.service.Load(), t.ringfence.Load()}
}

// FirstLoss describes the first request that Ringfence failed, "" when there is none.
func (t *Traffic) FirstLoss() string {
	if s := t.firstLoss.Load(); s != nil {
		return *s
	}
	return ""
}

// Run sends requests until ctx ends, then waits for the answers under way.
func (t *Traffic) Run(ctx context.Context) {
	transport := &http.Transport{MaxIdleConnsPerHost: 256, MaxIdleConns: 256, IdleConnTimeout: 20 * time.Second, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var wg sync.WaitGroup
	defer wg.Wait()
	for next := time.Now(); ctx.Err() == nil; {
		next = next.Add(time.Duration(rand.ExpFloat64() / t.PerSecond * float64(time.Second)))
		if wait := time.Until(next); wait > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		wg.Go(func() { t.send(context.WithoutCancel(ctx), client) })
	}
}

// user picks a user; the first Employees of them work for the shop.
func (t *Traffic) user() string {
	n := rand.IntN(t.Users)
	if n < t.Employees {
		return fmt.Sprintf("u%d@shop.example", n)
	}
	return fmt.Sprintf("u%d@customers.example", n)
}

// send sends one request as a user and judges the answer.
func (t *Traffic) send(ctx context.Context, client *http.Client) {
	req := t.request(ctx)
	dials := 0
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { dials++ }}
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace))
	t.requests.Add(1)
	resp, err := client.Do(req)
	if err != nil {
		t.lost("%s %s: %v", req.Method, req.URL.Path, err)
		return
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	status := resp.Header.Get("Proxy-Status")
	switch {
	case err != nil:
		t.lost("%s %s: the answer was cut: %v", req.Method, req.URL.Path, err)
	case dials > 1:
		t.lost("%s %s: a connection was lost and the request sent again", req.Method, req.URL.Path)
	case strings.Contains(status, "error="):
		t.lost("%s %s: %s (%s)", req.Method, req.URL.Path, resp.Status, status)
	case resp.StatusCode >= 500:
		t.service.Add(1)
	}
}

func (t *Traffic) lost(format string, args ...any) {
	t.ringfence.Add(1)
	s := time.Now().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
	t.firstLoss.CompareAndSwap(nil, &s)
}

// request is what a shopper does: mostly looking, sometimes buying.
func (t *Traffic) request(ctx context.Context) *http.Request {
	method, path, body := http.MethodGet, "/products", ""
	switch p := rand.Float64(); {
	case p < 0.3:
		path = "/"
	case p < 0.5:
		method, path, body = http.MethodPost, "/cart", `{"id":1,"name":"Kettle","price":39.9}`
	case p < 0.75:
		method, path, body = http.MethodPost, "/checkout", "{}"
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+t.Gateway+path, strings.NewReader(body))
	if err != nil {
		panic(err) // the parts are constants
	}
	req.Host = t.Host
	req.Header.Set("X-User-ID", t.user())
	return req
}
