package flagserve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/sync/v1/syncv1connect"
	syncv1 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/sync/v1"
	"connectrpc.com/connect"

	"github.com/ringfence/ringfence/internal/flag"
)

// Remote is a source elsewhere: an address that is asked again and again, or a server of flagd's sync protocol, which tells.
type Remote struct {
	URI      string            // http://…, https://…, grpc://host:port or grpcs://host:port
	Every    time.Duration     // between questions by HTTP, 5 s
	Limit    time.Duration     // for an answer by HTTP, and for the first of a stream, 10 s
	Headers  map[string]string // that go with each question
	Selector string            // of flags, for sync
	Provider string            // as which sync's server is asked
	CertPath string            // the authority of its certificate, the system's when empty

	client *http.Client
	tag    string // of the last answer by HTTP

	mu     sync.Mutex
	data   []byte // nil before there is any
	change int    // how often it has changed
}

// again is after how long a stream that ended is opened again; it doubles, up to the second.
const (
	again     = 500 * time.Millisecond
	againMost = 15 * time.Second
)

// remote reports whether a source's URI is not a file's.
func remote(uri string) bool {
	for _, scheme := range []string{"http://", "https://", "grpc://", "grpcs://"} {
		if strings.HasPrefix(uri, scheme) {
			return true
		}
	}
	return false
}

// Name is what selectors call the source: as flagd does, without the scheme of sync.
func (r *Remote) Name() string {
	return strings.TrimPrefix(strings.TrimPrefix(r.URI, "grpc://"), "grpcs://")
}

func (r *Remote) http() bool { return strings.HasPrefix(r.URI, "http") }

// prepare makes the client, once.
func (r *Remote) prepare() error {
	if r.client != nil {
		return nil
	}
	if r.Every <= 0 {
		r.Every = 5 * time.Second
	}
	if r.Limit <= 0 {
		r.Limit = 10 * time.Second
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if r.CertPath != "" {
		raw, err := os.ReadFile(r.CertPath)
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(raw) {
			return errors.New(r.CertPath + " has no certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	if !r.http() { // gRPC is HTTP/2, with and without TLS
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP2(strings.HasPrefix(r.URI, "grpcs://"))
		transport.Protocols.SetUnencryptedHTTP2(strings.HasPrefix(r.URI, "grpc://"))
		transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second}
	}
	r.client = &http.Client{Transport: transport}
	return nil
}

// held is what was got last, and how often it has changed.
func (r *Remote) held() ([]byte, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.data, r.change
}

func (r *Remote) take(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.data != nil && string(r.data) == string(data) {
		return
	}
	r.data = data
	r.change++
}

// first gets the flags for the first time.
func (r *Remote) first(ctx context.Context) error {
	if err := r.prepare(); err != nil {
		return err
	}
	if r.http() {
		return r.fetch(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, r.Limit)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err := r.stream(ctx, stop)
	if data, _ := r.held(); data != nil {
		return nil
	}
	return err
}

// follow gets what changes, until ctx is done. said is told of each attempt that failed, and of nil when one worked again.
func (r *Remote) follow(ctx context.Context, said func(error)) {
	if r.http() {
		tick := time.NewTicker(r.Every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if err := r.fetch(ctx); ctx.Err() == nil {
				said(err)
			}
		}
	}
	wait := again
	for ctx.Err() == nil {
		err := r.stream(ctx, func() {
			wait = again
			said(nil)
		})
		if ctx.Err() != nil {
			return
		}
		said(err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, againMost)
	}
}

// fetch asks once, by HTTP.
func (r *Remote) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URI, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json, application/yaml;q=0.9, */*;q=0.1")
	if r.tag != "" {
		request.Header.Set("If-None-Match", r.tag)
	}
	for name, v := range r.Headers {
		if http.CanonicalHeaderKey(name) == "Host" {
			request.Host = v
			continue
		}
		request.Header.Set(name, v)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotModified && r.tag != "":
		return nil
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return fmt.Errorf("it answered %s", answer.Status)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, flag.MaxBytes+1))
	if err != nil {
		return err
	}
	if len(data) > flag.MaxBytes {
		return errors.New("its answer is too large")
	}
	r.take(data)
	r.tag = answer.Header.Get("ETag")
	return nil
}

// stream takes what a server of sync sends, until the stream ends. got is called each time.
func (r *Remote) stream(ctx context.Context, got func()) error {
	address := strings.Replace(r.URI, "grpc", "http", 1)
	client := syncv1connect.NewFlagSyncServiceClient(r.client, address, connect.WithGRPC(), connect.WithReadMaxBytes(2*flag.MaxBytes))
	request := connect.NewRequest(&syncv1.SyncFlagsRequest{ProviderId: r.Provider, Selector: r.Selector})
	if r.Selector != "" {
		request.Header().Set("Flagd-Selector", r.Selector)
	}
	for name, v := range r.Headers {
		request.Header().Set(name, v)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, err := client.SyncFlags(ctx, request)
	if err != nil {
		return err
	}
	defer func() {
		cancel() // closing reads what is left
		_ = from.Close()
	}()
	for from.Receive() {
		r.take([]byte(from.Msg().GetFlagConfiguration()))
		got()
	}
	if err := from.Err(); err != nil {
		return err
	}
	return errors.New("the stream has ended")
}
