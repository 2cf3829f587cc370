package tsdb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

const maxBody = 16 << 20 // of one exposition, unpacked

// Protobuf comes first: it alone carries native histograms.
const accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," +
	"application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
	"text/plain;version=0.0.4;q=0.4,*/*;q=0.1"

func newClient(rt http.RoundTripper) *http.Client {
	if rt == nil {
		dialer := &net.Dialer{KeepAlive: 30 * time.Second}
		rt = &http.Transport{
			DialContext:            dialer.DialContext,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        3 * time.Minute,
			TLSHandshakeTimeout:    maxTimeout,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return &http.Client{
		Transport: rt,
		// A target is what was configured: its token goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch gets t's metrics into body and returns their content type.
func (db *DB) fetch(ctx context.Context, t Target, body *bytes.Buffer) (string, error) {
	body.Reset()
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		return "", errs.Wrap(errs.Invalid, err, "scrape target")
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "ringfence")
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(t.Timeout.Seconds(), 'f', -1, 64))
	if t.BearerToken != "" {
		req.Header.Set("Authorization", "Bearer "+t.BearerToken)
	}
	if t.Local != nil {
		return fetchLocal(t.Local, req, body)
	}
	resp, err := db.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // lets the connection be used again
		return "", fmt.Errorf("answered %s, expected 200", resp.Status)
	}
	n, err := body.ReadFrom(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if n > maxBody {
		return "", fmt.Errorf("answer is larger than %d MiB", maxBody>>20)
	}
	return resp.Header.Get("Content-Type"), nil
}

// fetchLocal asks a handler of this process.
func fetchLocal(h http.Handler, req *http.Request, body *bytes.Buffer) (string, error) {
	w := &page{body: body, header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(w, req)
	if w.status != http.StatusOK {
		return "", fmt.Errorf("answered %d, expected 200", w.status)
	}
	return w.header.Get("Content-Type"), nil
}

// page is an answer that is kept here.
type page struct {
	body   *bytes.Buffer
	header http.Header
	status int
}

func (p *page) Header() http.Header         { return p.header }
func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }
func (p *page) WriteHeader(status int)      { p.status = status }
