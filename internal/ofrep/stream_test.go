package ofrep

import (
	"bufio"
	"context"
	"github.com/ringfence/ringfence/internal/flaggate"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// listen opens a stream and returns its lines.
func listen(t *testing.T, server *httptest.Server, address string, headers ...string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %s", resp.Status, text(t, resp.Body))
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

// until reads lines up to one that begins so.
func until(t *testing.T, lines <-chan string, prefix string) string {
	t.Helper()
	for line := range lines {
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	t.Fatalf("the stream ended before %q", prefix)
	return ""
}

func TestStream(t *testing.T) {
	f := newFeed(t, shop)
	h := New(Options{Gate: &flaggate.Gate{Source: f, Keys: clients}, KeepAlive: 50 * time.Millisecond})
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	first := f.snapshot.All().Hash

	lines := listen(t, server, "/ofrep/v1/sse?key=browser")
	if got := until(t, lines, "id: "); got != "id: "+first {
		t.Errorf("at first %q", got)
	}
	until(t, lines, ":") // silence is broken
	f.set(t, strings.ReplaceAll(shop, `"risk": 2`, `"risk": 3`))
	second := f.snapshot.All().Hash
	if got := until(t, lines, "id: "); got != "id: "+second {
		t.Errorf("then %q", got)
	}
	if got := until(t, lines, "event: "); got != "event: message" {
		t.Errorf("%q", got)
	}
	if got := until(t, lines, "data: "); !strings.HasPrefix(got, `data: {"type":"refetchEvaluation","etag":"`+second+`","lastModified":1`) {
		t.Errorf("%q", got)
	}

	// what happened between the bulk answer and the stream, or while a stream was broken, is told at once
	until(t, listen(t, server, "/ofrep/v1/sse?etag="+first, "X-API-Key", "server"), `data: {"type":"refetchEvaluation"`)
	until(t, listen(t, server, "/ofrep/v1/sse?etag="+second, "X-API-Key", "server", "Last-Event-ID", first), `data: {"type":"refetchEvaluation"`)

	// other flags than those that a client sees are not its business
	quiet := listen(t, server, "/ofrep/v1/sse?etag="+second, "X-API-Key", "shop")
	f.set(t, strings.ReplaceAll(shop, `"risk": 2`, `"risk": 3`), `{"flags":{"mine":{"state":"ENABLED","variants":{"on":true}}}}`)
	until(t, lines, "data: ")
	for range 3 {
		if line := <-quiet; strings.HasPrefix(line, "data: ") {
			t.Errorf("told of what it cannot see: %s", line)
		}
	}
}

func TestStreamIsRefused(t *testing.T) {
	f := newFeed(t, shop)
	h := New(Options{Gate: &flaggate.Gate{Source: f, Keys: clients}, MaxStreams: 1})
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	get := func(query string) *http.Response {
		resp, err := server.Client().Get(server.URL + "/ofrep/v1/sse?" + query)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	for query, status := range map[string]int{"": 401, "key=x": 401, "key=server": 403, "key=browser&selector=x%3Dy": 400} {
		if got := get(query).StatusCode; got != status {
			t.Errorf("%q: %d, want %d", query, got, status)
		}
	}
	until(t, listen(t, server, "/ofrep/v1/sse?key=browser"), "id: ")
	if resp := get("key=browser"); resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "5" {
		t.Errorf("one too many: %d", resp.StatusCode)
	}
}

// Who was told of flags by another server gets them here, too, when they come in a moment.
func TestFresh(t *testing.T) {
	f := newFeed(t, shop)
	h := New(Options{Gate: &flaggate.Gate{Source: f, Environment: "prod"}})
	before := f.snapshot.All().Hash
	next := strings.ReplaceAll(shop, `"risk": 2`, `"risk": 3`)
	other := newFeed(t, next).snapshot.All().Hash
	go func() {
		for f.watched() == 0 {
			time.Sleep(time.Millisecond)
		}
		f.set(t, next)
	}()
	w := ask(h, "/ofrep/v1/evaluate/flags?flagConfigEtag="+other+"&flagConfigLastModified=2099-01-01T00:00:00Z", `{}`)
	if !strings.Contains(w.Body.String(), "etag="+other) {
		t.Errorf("got what was before: %s", w.Body)
	}
	if w := ask(h, "/ofrep/v1/evaluate/flags?flagConfigEtag="+before+"&flagConfigLastModified=5", `{}`); !strings.Contains(w.Body.String(), "etag="+other) {
		t.Errorf("got what was before: %s", w.Body)
	}
	if n := f.watched(); n != 0 {
		t.Errorf("%d watch on", n)
	}
}
