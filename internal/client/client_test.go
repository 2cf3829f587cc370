package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/test/plane"
)

// A control plane that is being restarted is waited for; the request is made once it is there.
func TestWaitsForARestart(t *testing.T) {
	p := plane.Start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	s := &http.Server{Handler: p.Server}
	tries := 0
	c := client.New(client.Options{URL: "http://" + addr, Token: p.Tokens["admin"], HTTP: &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
		if tries++; tries == 3 { // it comes back
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = s.Serve(l) }()
		}
		return http.DefaultTransport.RoundTrip(r)
	})}})
	if _, err := c.Apply(t.Context(), []wire.File{{Name: "a", Text: plane.Shop}}, false); err != nil || tries != 3 {
		t.Errorf("after %d tries: %v", tries, err)
	}
	_ = s.Close()
}

type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c := client.New(client.Options{URL: "http://" + addr, Patience: 100 * time.Millisecond})
	_, err = c.WhoAmI(t.Context())
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), addr) || errs.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
}

// The same key goes with every try of one request, and another with the next request.
func TestTriesShareAKey(t *testing.T) {
	var keys []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if body, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(body), "why") {
			t.Errorf("try %d: %q, %v", len(keys), body, err)
		}
		if len(keys) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer s.Close()
	c := client.New(client.Options{URL: s.URL})
	for range 2 {
		if _, err := c.Command(t.Context(), "x", "abort", "why"); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) != 3 || keys[0] == "" || keys[0] != keys[1] || keys[1] == keys[2] {
		t.Errorf("keys %q", keys)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	answers := map[string]struct {
		status int
		body   string
		kind   errs.Kind
	}{
		"problem":   {423, `{"status":423,"kind":"frozen","detail":"no changes today","hint":"wait"}`, errs.Frozen},
		"of others": {502, `<html>bad gateway</html>`, errs.Unavailable},
		"too many":  {429, `{}`, errs.Unavailable},
		"teapot":    {418, ``, errs.Invalid},
		"defect":    {500, `{"status":500,"kind":"internal","detail":"oops"}`, errs.Internal},
		"redirect":  {302, ``, errs.Internal},
	}
	for name, a := range answers {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(a.status)
			_, _ = io.WriteString(w, a.body)
		}))
		_, err := client.New(client.Options{URL: s.URL, Patience: -1}).WhoAmI(t.Context())
		if errs.KindOf(err) != a.kind || err == nil {
			t.Errorf("%s: %v is %s, expected %s", name, err, errs.KindOf(err), a.kind)
		}
		s.Close()
	}
}

// A token is for one server: an answer that points elsewhere does not get it.
func TestTokenStaysWithItsServer(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	if _, err := client.New(client.Options{URL: s.URL, Token: "rf_x"}).WhoAmI(t.Context()); err == nil || elsewhere.Load() != 0 {
		t.Errorf("followed %d times: %v", elsewhere.Load(), err)
	}
}

func TestACopyThatBreaksOffIsAnError(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer s.Close()
	var b strings.Builder
	if err := client.New(client.Options{URL: s.URL}).Backup(t.Context(), &b); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestProblemsAreLinesOfACompiler(t *testing.T) {
	p := plane.Start(t)
	_, err := p.Admin.Apply(t.Context(), []wire.File{{Name: "x.yaml", Text: "kind: Service\n"}}, false)
	var problems client.Problems
	if !errors.As(err, &problems) || !strings.HasPrefix(client.Line(problems[0]), "x.yaml:1:1: ") {
		t.Errorf("%v", err)
	}
}

func TestArtifactFiles(t *testing.T) {
	p := plane.Start(t)
	pipe := filepath.Join(t.TempDir(), "pipe") // nobody will ever write into it
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir(), pipe} {
		if _, err := p.Admin.PutFile(t.Context(), path); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", path, err)
		}
	}
	path := filepath.Join(t.TempDir(), "a")
	content := strings.Repeat("content ", 1<<17)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := p.Admin.PutFile(t.Context(), path)
	if err != nil || a.Size != int64(len(content)) {
		t.Fatal(a, err)
	}
	r, err := p.DataPlane.Artifact(t.Context(), a.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != content {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestGivingUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.New(client.Options{URL: "http://127.0.0.1:1"}).WhoAmI(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
