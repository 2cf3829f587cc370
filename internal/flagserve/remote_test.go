package flagserve

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// elsewhere is an address that has flags, or what a test puts there.
type elsewhere struct {
	*httptest.Server
	mu              sync.Mutex
	body            string // empty when it is broken
	fresh, the304th atomic.Int64
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{body: shop}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		body := e.body
		e.mu.Unlock()
		tag := `"` + body[:min(12, len(body))] + `"`
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusUnauthorized)
		case body == "":
			w.WriteHeader(http.StatusBadGateway)
		case r.Header.Get("If-None-Match") == tag:
			e.the304th.Add(1)
			w.WriteHeader(http.StatusNotModified)
		default:
			e.fresh.Add(1)
			w.Header().Set("ETag", tag)
			_, _ = w.Write([]byte(body))
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *elsewhere) set(body string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.body = body
}

func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// remotely has the server take its flags from one source elsewhere.
func remotely(r *Remote) func(*Server) {
	return func(s *Server) { s.Files.Paths, s.Files.Remotes = []string{r.URI}, []*Remote{r} }
}

// Flags by HTTP are asked for again and again, with the tag of the last answer; an address that is broken, or has no flags, costs nothing.
func TestFlagsByHTTP(t *testing.T) {
	e := newElsewhere(t)
	r := &Remote{URI: e.URL + "/flags.json", Every: 10 * time.Millisecond, Headers: map[string]string{"Authorization": "Bearer secret"}}
	_, at := start(t, remotely(r))
	if v := value(t, at); v != "false" {
		t.Fatal(v)
	}
	soon(t, "nothing is answered 304", func() bool { return e.the304th.Load() > 2 })
	if n := e.fresh.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
	e.set(other)
	soon(t, "the change does not arrive", func() bool { return value(t, at) == "true" })
	for _, broken := range []string{"", "no flags", `{"flags": 7}`} {
		e.set(broken)
		before := e.the304th.Load() + e.fresh.Load()
		soon(t, "it is not asked", func() bool { return broken == "" || e.the304th.Load()+e.fresh.Load() > before+2 })
		if v := value(t, at); v != "true" {
			t.Errorf("%q: %s", broken, v)
		}
	}
	e.set(shop)
	soon(t, "what is mended does not arrive", func() bool { return value(t, at) == "false" })
}

// Without its flags a server does not start.
func TestASourceThatDoesNotAnswer(t *testing.T) {
	e := newElsewhere(t)
	for _, r := range []*Remote{{URI: e.URL}, {URI: "grpc://" + e.Listener.Addr().String(), Limit: time.Second}, {URI: "https://" + e.Listener.Addr().String()}} {
		s, _ := newServer(slog.New(slog.DiscardHandler))
		remotely(r)(s)
		if err := s.Run(t.Context()); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", r.URI, err)
		}
	}
}

// Flags by sync are told by the server, which may go away and come back.
func TestFlagsBySync(t *testing.T) {
	var at, origin Addresses
	t.Run("told", func(first *testing.T) {
		var s *Server
		s, origin = start(first, nil)
		r := &Remote{URI: "grpc://" + origin.Sync, Selector: "flagSetId=shop"}
		_, at = start(t, remotely(r))
		if v := value(t, at); v != "false" {
			t.Fatal(v)
		}
		write(t, s.Files.Paths[0], `{"metadata": {"flagSetId": "shop"}, `+other[1:])
		soon(t, "the change does not arrive", func() bool { return value(t, at) == "true" })
	})
	if v := value(t, at); v != "true" {
		t.Errorf("while the server is away: %s", v)
	}
	_, port, err := net.SplitHostPort(origin.Sync)
	if err != nil {
		t.Fatal(err)
	}
	start(t, func(s *Server) { s.Ports.Sync, err = strconv.Atoi(port) })
	soon(t, "what the server has anew does not arrive", func() bool { return value(t, at) == "false" })
}

// A chain of sources keeps what is in a file last.
func TestAFileWinsOverWhatIsElsewhere(t *testing.T) {
	e := newElsewhere(t)
	path := filepath.Join(t.TempDir(), "mine.json")
	write(t, path, other)
	r := &Remote{URI: e.URL, Headers: map[string]string{"Authorization": "Bearer secret"}}
	_, at := start(t, func(s *Server) { s.Files.Paths, s.Files.Remotes = []string{r.URI, path}, []*Remote{r} })
	if v := value(t, at); v != "true" {
		t.Error(v)
	}
}

func TestSourcesElsewhere(t *testing.T) {
	paths, remotes, err := FromSources(`[{"uri":"https://x/f.yaml","provider":"http","interval":7,"timeoutS":3,"authHeader":"Basic a","headers":{"X-A":"b"}},
		{"uri":"sync:8015","provider":"grpc","selector":"flagSetId=a","providerID":"me"}, {"uri":"sync:8015","provider":"grpc","tls":true}, {"uri":"a.json","provider":"file"}]`)
	if err != nil || len(remotes) != 3 || len(paths) != 4 {
		t.Fatal(paths, remotes, err)
	}
	if r := remotes[0]; r.URI != paths[0] || r.Every != 7*time.Second || r.Limit != 3*time.Second || r.Headers["Authorization"] != "Basic a" || r.Headers["X-A"] != "b" {
		t.Errorf("%+v", r)
	}
	if r := remotes[1]; r.URI != "grpc://sync:8015" || r.Name() != "sync:8015" || r.Selector != "flagSetId=a" || r.Provider != "me" {
		t.Errorf("%+v", r)
	}
	if r := remotes[2]; r.URI != "grpcs://sync:8015" {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{`[{"uri":"a.json","provider":"http"}]`, `[{"uri":"https://x","provider":"grpc"}]`, `[{"uri":"x","provider":"grpc"}]`,
		`[{"uri":"https://x","provider":"http","oauth":{"clientID":"a"}}]`, `[{"uri":"http://","provider":"http"}]`, `[{"uri":"x:1","provider":"grpc","incrementalUpdates":true}]`} {
		if _, _, err := FromSources(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, bad := range []string{"gs://bucket/a", "s3://b/a", "core.openfeature.dev/a/b", "grpc://x", "http://", "a.json"} {
		if _, _, err := FromURIs([]string{bad}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
