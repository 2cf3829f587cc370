package ofrep

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
)

// feed is a Source whose flags a test changes.
type feed struct {
	mu       sync.Mutex
	snapshot *flag.Snapshot
	watchers map[chan struct{}]bool
}

func (f *feed) Current(environment string) (*flag.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if environment != "prod" || f.snapshot == nil {
		return nil, errs.E(errs.Missing, "no environment %q", environment)
	}
	return f.snapshot, nil
}

func (f *feed) Watch(string) (<-chan struct{}, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{}, 1)
	f.watchers[c] = true
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, c)
	}
}

func (f *feed) set(t testing.TB, raw ...string) {
	t.Helper()
	var sources []flag.Source
	for i, r := range raw {
		sources = append(sources, flag.Source{Name: fmt.Sprint(i), Raw: []byte(r)})
	}
	s, faults := flag.NewSnapshot(sources...)
	if s == nil {
		t.Fatal(faults)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot = s
	for c := range f.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (f *feed) watched() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers)
}

func newFeed(t testing.TB, raw ...string) *feed {
	f := &feed{watchers: map[chan struct{}]bool{}}
	f.set(t, raw...)
	return f
}

const shop = `{"metadata": {"flagSetId": "shop", "version": "7"}, "flags": {
  "static": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "metadata": {"team": "web", "risk": 2}},
  "off": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
  "code": {"state": "ENABLED", "variants": {"on": true}},
  "staff": {"state": "ENABLED", "variants": {"new": "b<c>", "old": "a"}, "defaultVariant": "old", "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "new", null]}},
  "limit": {"state": "ENABLED", "variants": {"small": 10, "half": 0.5}, "defaultVariant": "small", "targeting": {"if": [{"==": [{"var": "plan"}, "half"]}, "half"]}},
  "object": {"state": "ENABLED", "variants": {"a": {"x": [1, "y"]}}, "defaultVariant": "a"},
  "wrong": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {"var": "choice"}},
  "broken": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "none"},
  "a/b ü": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"},
  "who": {"state": "ENABLED", "variants": {"alice": 1, "other": 2}, "defaultVariant": "other", "targeting": {"if": [{"==": [{"var": "targetingKey"}, "alice"]}, "alice"]}}}}`

// keys are who may ask.
type keys map[string]flag.Client

func (k keys) Check(_ context.Context, key string) (flag.Client, error) {
	c, ok := k[key]
	switch {
	case key == "revoked":
		return c, errs.E(errs.Denied, "the key was revoked")
	case !ok:
		return c, errs.E(errs.Missing, "no such key")
	}
	return c, nil
}

var clients = keys{
	"server":  {Name: "backend", Environment: "prod"},
	"browser": {Name: "web", Environment: "prod", Scope: flag.Browser},
	"signed":  {Name: "app", Environment: "prod", Scope: flag.Browser, SignedUser: true},
	"shop":    {Name: "shop", Environment: "prod", Selector: "flagSetId=shop"},
	"lost":    {Name: "lost", Environment: "none"},
}

// ask posts a body and returns what came back.
func ask(h http.Handler, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func text(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
