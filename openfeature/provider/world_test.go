package provider

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"

	"github.com/ringfence/ringfence/internal/flaggate"
	"github.com/ringfence/ringfence/internal/flagserve"
)

const shop = `{"metadata": {"flagSetId": "shop"}, "flags": {
  "static": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on", "metadata": {"team": "web"}},
  "staff": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on"]}},
  "text": {"state": "ENABLED", "variants": {"a": "A", "b": "B"}, "defaultVariant": "a", "targeting": {"if": [{"==": [{"var": "targetingKey"}, "ann"]}, "b"]}},
  "region": {"state": "ENABLED", "variants": {"eu": "EU", "us": "US"}, "defaultVariant": "us", "targeting": {"if": [{"==": [{"var": "region"}, "eu"]}, "eu"]}},
  "old": {"state": "ENABLED", "variants": {"yes": true, "no": false}, "defaultVariant": "no", "targeting": {"if": [{"<": [{"var": "since"}, "2020"]}, "yes"]}},
  "number": {"state": "ENABLED", "variants": {"small": 10, "half": 0.5}, "defaultVariant": "small"},
  "huge": {"state": "ENABLED", "variants": {"it": 1e300}, "defaultVariant": "it"},
  "object": {"state": "ENABLED", "variants": {"a": {"x": [1, "y"]}}, "defaultVariant": "a"},
  "disabled": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
  "code": {"state": "ENABLED", "variants": {"on": true}},
  "wrong": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {"var": "choice"}},
  "broken": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "none"},
  "share": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"fractional": [["on", 50], ["off", 50]]}}}}`

// switched is the shop with another default of static.
var switched = strings.Replace(shop, `"defaultVariant": "on", "metadata"`, `"defaultVariant": "off", "metadata"`, 1)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// server serves a file of flags on ports that it keeps when it is stopped and started.
type server struct {
	t    testing.TB
	path string
	keys flaggate.Keys
	port int
	stop func()
}

func serve(t testing.TB, keys flaggate.Keys) *server {
	t.Helper()
	s := &server{t: t, path: filepath.Join(t.TempDir(), "flags.json"), keys: keys}
	write(t, s.path, shop)
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *server) start() {
	s.t.Helper()
	log := slog.New(slog.DiscardHandler)
	up, done := make(chan flagserve.Addresses, 1), make(chan error, 1)
	running := &flagserve.Server{
		Files: &flagserve.Files{Paths: []string{s.path}, Every: 20 * time.Millisecond, Log: log}, Address: "127.0.0.1", Ports: flagserve.Ports{Sync: s.port}, Log: log,
		Ready:   func(a flagserve.Addresses) { up <- a },
		Options: flagserve.Options{Gate: &flaggate.Gate{Keys: s.keys, Context: map[string]any{"region": "eu"}, Log: log}},
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- running.Run(ctx) }()
	select {
	case at := <-up:
		s.port, _ = strconv.Atoi(at.Sync[strings.LastIndexByte(at.Sync, ':')+1:])
	case err := <-done:
		cancel()
		s.t.Fatal(err)
	}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the server: %v", err)
		}
	})
}

func (s *server) url() string { return "http://127.0.0.1:" + strconv.Itoa(s.port) }

// world is the SDK with a provider, and what it was told.
type world struct {
	*openfeature.Client
	t   testing.TB
	api *openfeature.EvaluationAPI
	p   *Provider

	mu   sync.Mutex
	told []string // READY, STALE, ERROR, CHANGED and the flags
}

func provide(t testing.TB, o Options) *Provider {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// begin registers a provider; the error is that of starting.
func begin(t testing.TB, p *Provider) (*world, error) {
	t.Helper()
	w := &world{t: t, p: p, api: isolated.NewAPI()}
	for kind, name := range map[openfeature.EventType]string{openfeature.ProviderReady: "READY", openfeature.ProviderStale: "STALE", openfeature.ProviderError: "ERROR", openfeature.ProviderConfigChange: "CHANGED"} {
		callback := func(d openfeature.EventDetails) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, strings.TrimSpace(name+" "+strings.Join(d.FlagChanges, ",")))
		}
		w.api.AddHandler(kind, &callback)
	}
	w.Client = w.api.NewClient()
	t.Cleanup(func() { _ = w.api.Shutdown(context.Background()) })
	return w, w.api.SetProviderAndWait(t.Context(), p)
}

func use(t testing.TB, o Options) *world {
	t.Helper()
	w, err := begin(t, provide(t, o))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) heard(event string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.told, event)
}

func (w *world) static() bool {
	v, _ := w.BooleanValue(w.t.Context(), "static", false, openfeature.EvaluationContext{})
	return v
}

// eventually waits for what comes about in time.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}
