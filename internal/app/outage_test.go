package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// out is a database that answers nothing but an error.
type out struct{ err error }

func (o out) Get(_ context.Context, kind, name string) (store.Doc, error) {
	return store.Doc{}, errs.Wrap(errs.KindOf(o.err), o.err, "read %s/%s", kind, name)
}
func (o out) List(context.Context, store.Page) ([]store.Doc, error)           { return nil, o.err }
func (o out) Commit(context.Context, store.Write) ([]audit.Event, error)      { return nil, o.err }
func (o out) Events(context.Context, store.EventQuery) ([]audit.Event, error) { return nil, o.err }
func (o out) Tree(context.Context) (audit.Head, error)                        { return audit.Head{}, o.err }
func (o out) Tiles(context.Context, []audit.Tile) ([][]byte, error)           { return nil, o.err }
func (o out) Backup(context.Context, io.Writer) error                         { return o.err }
func (o out) Restore(context.Context, io.Reader) error                        { return o.err }
func (o out) Close() error                                                    { return nil }

const details = "failed to connect to `user=keeper database=state`: db.internal"

func TestWhatAnOutageTells(t *testing.T) {
	var log bytes.Buffer
	s, err := newServer(t.Context(), ServerConfig{Data: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	guard := s.store.Store.(recorded).Store.(*discreet)
	t.Cleanup(func() { _ = errors.Join(s.close()) })
	h, err := s.handler()
	if err != nil {
		t.Fatal(err)
	}
	base := guard.Store
	t.Cleanup(func() { _ = base.Close() })
	ask := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+access.NewToken())
		r.Header.Set("Content-Type", "application/json")
		if path == "/sign-in" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	form := url.Values{"token": {access.NewToken()}}.Encode()
	for name, c := range map[string]struct {
		err    error
		status int // of what needs a sign-in
	}{
		"lost":             {errs.Wrap(errs.Unavailable, errors.New(details), "connect to PostgreSQL"), http.StatusServiceUnavailable},
		"password refused": {errs.Wrap(errs.Invalid, errors.New(details), "connect to PostgreSQL"), http.StatusServiceUnavailable},
		"right taken away": {errs.Wrap(errs.Denied, errors.New(details), "read the database"), http.StatusServiceUnavailable},
		"file replaced":    {errs.E(errs.Unavailable, "database file %s was replaced", details), http.StatusServiceUnavailable},
		"damaged":          {errs.Wrap(errs.Internal, errors.New(details), "read the database"), http.StatusInternalServerError},
	} {
		guard.Store, guard.said = out{c.err}, time.Time{}
		log.Reset()
		for _, q := range []struct{ method, path, body string }{
			{http.MethodGet, "/readyz", ""}, {http.MethodGet, "/v1/services", ""}, {http.MethodGet, "/v1/whoami", ""}, {http.MethodPost, "/sign-in", form},
		} {
			w := ask(q.method, q.path, q.body)
			want := c.status
			if q.path == "/readyz" {
				want = http.StatusServiceUnavailable
			}
			text := w.Body.String()
			if w.Code != want || strings.Contains(text, "keeper") || strings.Contains(text, "db.internal") || strings.Contains(text, "Token/") {
				t.Errorf("%s: %s %s: %d\n%s", name, q.method, q.path, w.Code, text)
			}
			if page := q.path == "/sign-in"; !page && w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %s: %s", name, q.path, w.Header().Get("Content-Type"))
			}
			if want == http.StatusServiceUnavailable && !strings.Contains(text, "the database does not answer") {
				t.Errorf("%s: %s %s does not say what is out:\n%s", name, q.method, q.path, text)
			}
		}
		if n := strings.Count(log.String(), "db.internal"); n != 1 {
			t.Errorf("%s: %d times in the log, expected once:\n%s", name, n, &log)
		}
	}
	guard.Store = base
	if w := ask(http.MethodGet, "/readyz", ""); w.Code != http.StatusOK {
		t.Errorf("the database is back: %d %s", w.Code, w.Body)
	}
}

func TestWhatTheStoreSaysItselfIsTold(t *testing.T) {
	guard := &discreet{log: slog.New(slog.DiscardHandler)}
	for _, kind := range []errs.Kind{errs.Missing, errs.Conflict, errs.Invalid} {
		err := errs.Wrap(kind, errs.E(kind, "shop is at revision 3"), "write").Next("Look again.")
		guard.Store = out{err}
		if _, got := guard.Commit(t.Context(), store.Write{}); got != error(err) {
			t.Errorf("%s: got %v", kind, got)
		}
	}
	guard.Store = out{errs.Wrap(errs.Unavailable, errors.New(details), "commit a write")}
	if _, err := guard.Commit(t.Context(), store.Write{}); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "may or may not") {
		t.Errorf("an outcome that is not known: %v", err)
	}
	if err := guard.Backup(t.Context(), io.Discard); !errs.Is(err, errs.Unavailable) || strings.Contains(fmt.Sprint(err), "keeper") {
		t.Errorf("a backup: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := guard.Events(ctx, store.EventQuery{}); !errs.Is(err, errs.Unavailable) || !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "keeper") {
		t.Errorf("given up: %v", err)
	}
}
