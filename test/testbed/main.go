// Command testbed is OpenFeature's Go SDK with Ringfence's provider, for the scenarios of flagd-testbed that test/openfeature drives it through: each
// line of JSON that it reads is a question and has one answer, and what handlers are called with is written in between.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/ringfence/ringfence/openfeature/provider"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	s := &session{out: json.NewEncoder(out)}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var asked struct {
			Op   string
			With json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		ok, err := s.answer(asked.Op, asked.With)
		answer := map[string]any{"ok": ok}
		if err != nil {
			answer["error"] = err.Error()
		}
		s.write(map[string]any{"answer": answer})
	}
	return lines.Err()
}

// session has one provider at a time.
type session struct {
	mu  sync.Mutex
	out *json.Encoder

	n        int
	domain   string
	client   *openfeature.Client
	provider *provider.Provider
}

func (s *session) write(line any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(line) // who reads is gone, and so are we soon
}

func (s *session) answer(op string, raw json.RawMessage) (any, error) {
	switch op {
	case "open":
		var options map[string]string
		if err := json.Unmarshal(raw, &options); err != nil {
			return nil, err
		}
		return nil, s.open(options)
	case "listen":
		var kind string
		if err := json.Unmarshal(raw, &kind); err != nil {
			return nil, err
		}
		s.listen(kind)
		return nil, nil
	case "evaluate":
		var q question
		if err := json.Unmarshal(raw, &q); err != nil {
			return nil, err
		}
		return s.evaluate(q), nil
	case "state":
		return s.client.State(), nil
	case "close":
		if s.provider != nil {
			s.provider.Shutdown()
			s.provider = nil
		}
		return nil, nil
	}
	return nil, fmt.Errorf("unknown question %q", op)
}

func (s *session) open(options map[string]string) error {
	o := provider.Options{Log: slog.New(slog.DiscardHandler), Selector: options["selector"]}
	if options["resolver"] == "file" {
		o.File = options["offlineFlagSourcePath"]
	} else {
		client, scheme, err := reach(options)
		if err != nil {
			return err
		}
		o.HTTPClient, o.URL = client, scheme+"://"+net.JoinHostPort(options["host"], options["port"])
	}
	if ms, err := strconv.Atoi(options["deadlineMs"]); err == nil {
		o.Patience = time.Duration(ms) * time.Millisecond
	}
	p, err := provider.New(o)
	if err != nil {
		return err
	}
	s.n++
	s.domain, s.provider = fmt.Sprint("testbed-", s.n), p
	s.client = openfeature.NewClient(s.domain)
	return openfeature.SetNamedProviderWithContext(context.Background(), s.domain, p)
}

// reach is how the server is reached: by a certificate, or by a Unix socket.
func reach(options map[string]string) (client *http.Client, scheme string, err error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	scheme = "http"
	if path := options["certPath"]; path != "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, "", err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(raw) {
			return nil, "", errors.New(path + " has no certificate")
		}
		transport.TLSClientConfig, scheme = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, "https"
	}
	if path := options["socketPath"]; path != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	}
	return &http.Client{Transport: transport}, scheme, nil
}

var kinds = map[string]openfeature.EventType{"ready": openfeature.ProviderReady, "error": openfeature.ProviderError, "stale": openfeature.ProviderStale,
	"change": openfeature.ProviderConfigChange}

func (s *session) listen(kind string) {
	callback := func(e openfeature.EventDetails) {
		s.write(map[string]any{"event": kind, "flags": e.FlagChanges})
	}
	s.client.AddHandler(kinds[kind], &callback)
}

// question is an evaluation of a flag.
type question struct {
	Kind, Key string
	Fallback  any
	Context   map[string]any
}

func (s *session) evaluate(q question) map[string]any {
	key, _ := q.Context["targetingKey"].(string)
	delete(q.Context, "targetingKey")
	about, ctx := openfeature.NewEvaluationContext(key, q.Context), context.Background()
	var value any
	var d openfeature.EvaluationDetails
	switch q.Kind { // the details say what is wrong
	case "Boolean":
		fallback, _ := q.Fallback.(bool)
		a, _ := s.client.BooleanValueDetails(ctx, q.Key, fallback, about)
		value, d = a.Value, a.EvaluationDetails
	case "Integer":
		fallback, _ := q.Fallback.(float64)
		a, _ := s.client.IntValueDetails(ctx, q.Key, int64(math.Round(fallback)), about)
		value, d = a.Value, a.EvaluationDetails
	case "Float":
		fallback, _ := q.Fallback.(float64)
		a, _ := s.client.FloatValueDetails(ctx, q.Key, fallback, about)
		value, d = a.Value, a.EvaluationDetails
	case "String":
		fallback, _ := q.Fallback.(string)
		a, _ := s.client.StringValueDetails(ctx, q.Key, fallback, about)
		value, d = a.Value, a.EvaluationDetails
	default:
		a, _ := s.client.ObjectValueDetails(ctx, q.Key, q.Fallback, about)
		value, d = a.Value, a.EvaluationDetails
	}
	return map[string]any{"value": value, "variant": d.Variant, "reason": d.Reason, "errorCode": d.ErrorCode, "metadata": d.FlagMetadata}
}
