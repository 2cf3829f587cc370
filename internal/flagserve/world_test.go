package flagserve

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/flaggate"
)

const shop = `{"metadata": {"flagSetId": "shop"}, "flags": {
  "static": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "metadata": {"team": "web"}},
  "text": {"state": "ENABLED", "variants": {"a": "A", "b": "B"}, "defaultVariant": "a", "targeting": {"if": [{"==": [{"var": "targetingKey"}, "alice"]}, "b"]}},
  "number": {"state": "ENABLED", "variants": {"small": 10, "half": 0.5}, "defaultVariant": "small"},
  "object": {"state": "ENABLED", "variants": {"a": {"x": [1, "y"]}}, "defaultVariant": "a"},
  "off": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
  "code": {"state": "ENABLED", "variants": {"on": true}},
  "wrong": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {"var": "choice"}},
  "broken": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "none"}}}`

const other = `{"flags": {"static": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"}}}`

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// start runs a Server on free ports until the test ends.
func start(t testing.TB, change func(*Server)) (*Server, Addresses) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flags.json")
	write(t, path, shop)
	log := slog.New(slog.DiscardHandler)
	s, up := newServer(log, path)
	if change != nil {
		change(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case a := <-up:
		t.Cleanup(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("stopping: %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("does not stop")
			}
		})
		return s, a
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	return nil, Addresses{}
}

func newServer(log *slog.Logger, paths ...string) (*Server, chan Addresses) {
	up := make(chan Addresses, 1)
	return &Server{Files: &Files{Paths: paths, Every: 20 * time.Millisecond, Log: log}, Address: "127.0.0.1", Log: log, Ready: func(a Addresses) { up <- a },
		Options: Options{Gate: &flaggate.Gate{Context: map[string]any{"injected": "set"}, Log: log}}}, up
}
