package openfeature

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	flagd "github.com/open-feature/go-sdk-contrib/providers/flagd/pkg"
	"github.com/open-feature/go-sdk-contrib/providers/ofrep"
	of "github.com/open-feature/go-sdk/openfeature"
)

// driver is an SDK with a provider that scenarios are told to.
type driver interface {
	open(options map[string]string) error // a provider, whose readiness is an event
	listen(kind string) error             // for ready, error, stale or change
	events() <-chan happened
	evaluate(q question) (evaluated, error)
	state() (string, error)
	close()
}

// happened is an event that a handler was called with.
type happened struct {
	Event string
	Flags []string
}

// question is an evaluation of a flag.
type question struct {
	Kind     string         `json:"kind"` // Boolean, String, Integer, Float or Object
	Key      string         `json:"key"`
	Fallback any            `json:"fallback"`
	Context  map[string]any `json:"context"`
}

// evaluated are an evaluation's details.
type evaluated struct {
	Value     any
	Variant   string
	Reason    string
	ErrorCode string
	Metadata  map[string]any
}

// queue is how many events may wait for the step that looks at them.
const queue = 1000

// goSDK is the Go SDK with a provider, in this process.
type goSDK struct {
	make   func(options map[string]string) (of.FeatureProvider, error)
	domain string
	client *of.Client
	told   chan happened
	opened bool
}

var domains atomic.Int64

func (d *goSDK) open(options map[string]string) error {
	p, err := d.make(options)
	if err != nil {
		return err
	}
	d.domain, d.told, d.opened = fmt.Sprint("testbed-", domains.Add(1)), make(chan happened, queue), true
	d.client = of.NewClient(d.domain)
	return of.SetNamedProvider(d.domain, p) // whether it starts is told by events
}

// flagdForGo is flagd's provider.
func flagdForGo(options map[string]string) (of.FeatureProvider, error) {
	given := []flagd.ProviderOption{flagd.WithLogger(logr.Discard())}
	var wrong error
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		wrong = errors.Join(wrong, err)
		return n
	}
	for name, text := range options {
		var o flagd.ProviderOption
		switch name {
		case "resolver":
			o = map[string]flagd.ProviderOption{"rpc": flagd.WithRPCResolver(), "in-process": flagd.WithInProcessResolver(), "file": flagd.WithFileResolver()}[text]
		case "host":
			o = flagd.WithHost(text)
		case "port":
			o = flagd.WithPort(uint16(number(text)))
		case "certPath":
			o = flagd.WithTLS(text)
		case "socketPath":
			o = flagd.WithSocketPath(text)
		case "targetUri":
			o = flagd.WithTargetUri(text)
		case "selector":
			o = flagd.WithSelector(text)
		case "offlineFlagSourcePath":
			o = flagd.WithOfflineFilePath(text)
		case "cache":
			o = flagd.WithLRUCache(0)
			if text == "disabled" {
				o = flagd.WithoutCache()
			}
		case "fatalStatusCodes":
			o = flagd.WithFatalStatusCodes(strings.Split(text, ","))
		case "retryGracePeriod":
			o = flagd.WithRetryGracePeriod(number(text))
		case "retryBackoffMs":
			o = flagd.WithRetryBackoffMs(number(text))
		case "retryBackoffMaxMs":
			o = flagd.WithRetryBackoffMaxMs(number(text))
		case "deadlineMs":
			o = flagd.WithDeadline(number(text))
		default:
			return nil, fmt.Errorf("the provider has no option %q", name)
		}
		given = append(given, o)
	}
	if wrong != nil {
		return nil, wrong
	}
	return flagd.NewProvider(given...)
}

// ofrepForGo is OFREP's provider.
func ofrepForGo(options map[string]string) (of.FeatureProvider, error) {
	scheme, given := "http", []ofrep.Option{}
	if path := options["certPath"]; path != "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(raw)
		scheme = "https"
		given = append(given, ofrep.WithClient(&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}))
	}
	if selector := options["selector"]; selector != "" {
		given = append(given, ofrep.WithHeader("Flagd-Selector", selector))
	}
	return ofrep.NewProvider(scheme+"://"+net.JoinHostPort(options["host"], options["port"]), given...), nil
}

var eventTypes = map[string]of.EventType{"ready": of.ProviderReady, "error": of.ProviderError, "stale": of.ProviderStale, "change": of.ProviderConfigChange}

func (d *goSDK) listen(kind string) error {
	told := d.told
	callback := func(e of.EventDetails) {
		select {
		case told <- happened{kind, e.FlagChanges}:
		default: // nobody looks any more
		}
	}
	d.client.AddHandler(eventTypes[kind], &callback)
	return nil
}

func (d *goSDK) events() <-chan happened { return d.told }

func (d *goSDK) evaluate(q question) (evaluated, error) {
	key, _ := q.Context["targetingKey"].(string)
	attributes := map[string]any{}
	for name, v := range q.Context {
		if name != "targetingKey" {
			attributes[name] = v
		}
	}
	about, ctx := of.NewEvaluationContext(key, attributes), context.Background()
	var value any
	var details of.EvaluationDetails
	switch fallback := q.Fallback.(type) { // the details say what is wrong
	case bool:
		a, _ := d.client.BooleanValueDetails(ctx, q.Key, fallback, about)
		value, details = a.Value, a.EvaluationDetails
	case int64:
		a, _ := d.client.IntValueDetails(ctx, q.Key, fallback, about)
		value, details = a.Value, a.EvaluationDetails
	case float64:
		a, _ := d.client.FloatValueDetails(ctx, q.Key, fallback, about)
		value, details = a.Value, a.EvaluationDetails
	case string:
		a, _ := d.client.StringValueDetails(ctx, q.Key, fallback, about)
		value, details = a.Value, a.EvaluationDetails
	default:
		a, _ := d.client.ObjectValueDetails(ctx, q.Key, fallback, about)
		value, details = a.Value, a.EvaluationDetails
	}
	return evaluated{value, details.Variant, string(details.Reason), string(details.ErrorCode), details.FlagMetadata}, nil
}

func (d *goSDK) state() (string, error) { return string(d.client.State()), nil }

func (d *goSDK) close() {
	if d.opened {
		_ = of.SetNamedProvider(d.domain, of.NoopProvider{}) // which shuts the other down
		d.opened = false
	}
}

// child is an SDK with a provider in a program of its own, which reads a question and writes an answer as a line of JSON each, and events in between.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	told chan happened

	mu      sync.Mutex
	answers chan json.RawMessage
}

func newChild(dir string, command ...string) (*child, error) {
	c := &child{cmd: exec.Command(command[0], command[1:]...), told: make(chan happened, queue), answers: make(chan json.RawMessage, 1)}
	c.cmd.Dir, c.cmd.Stderr = dir, os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in = in
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go c.read(bufio.NewScanner(out))
	return c, nil
}

func (c *child) read(lines *bufio.Scanner) {
	defer close(c.answers)
	for lines.Scan() {
		var line struct {
			happened
			Answer json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			continue // a provider's own talk
		}
		if line.Answer != nil {
			c.answers <- line.Answer
			continue
		}
		select {
		case c.told <- line.happened:
		default: // nobody looks any more
		}
	}
}

// ask sends a question and reads its answer into to.
func (c *child) ask(op string, with any, to any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	raw, err := json.Marshal(map[string]any{"op": op, "with": with})
	if err != nil {
		return err
	}
	if _, err := c.in.Write(append(raw, '\n')); err != nil {
		return err
	}
	select {
	case raw, ok := <-c.answers:
		var answer struct {
			Error string
			OK    json.RawMessage
		}
		switch {
		case !ok:
			return errors.New("the program with the provider has ended")
		case json.Unmarshal(raw, &answer) != nil:
			return fmt.Errorf("not an answer: %s", raw)
		case answer.Error != "":
			return errors.New(answer.Error)
		case to == nil:
			return nil
		}
		return json.Unmarshal(answer.OK, to)
	case <-time.After(time.Minute):
		return errors.New("the program with the provider does not answer")
	}
}

func (c *child) open(options map[string]string) error {
	for len(c.told) > 0 {
		<-c.told // of the provider before
	}
	return c.ask("open", options, nil)
}

func (c *child) listen(kind string) error { return c.ask("listen", kind, nil) }
func (c *child) events() <-chan happened  { return c.told }
func (c *child) close()                   { _ = c.ask("close", nil, nil) } // the next that is asked says what is wrong

func (c *child) evaluate(q question) (e evaluated, err error) {
	err = c.ask("evaluate", q, &e)
	return e, err
}

func (c *child) state() (s string, err error) {
	err = c.ask("state", nil, &s)
	return s, err
}

// end ends the program.
func (c *child) end() {
	_ = c.in.Close() // which it ends at
	done := make(chan struct{})
	go func() {
		_ = c.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = c.cmd.Process.Kill()
	}
}
