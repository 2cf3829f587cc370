package flagserve

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func value(t *testing.T, at Addresses) string {
	t.Helper()
	resp, err := http.Post("http://"+at.OFREP+"/ofrep/v1/evaluate/flags/static", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(body), `"value":`)
	v, _, _ := strings.Cut(after, ",")
	return v
}

func TestManagement(t *testing.T) {
	s, at := start(t, nil)
	value(t, at)
	for path, has := range map[string]string{"/healthz": "", "/readyz": "", "/metrics": "ringfence_flag_evaluations_total 1"} {
		if code, body := get(t, "http://"+at.Management+path); code != 200 || !strings.Contains(body, has) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	s.ready.Store(false)
	if code, _ := get(t, "http://"+at.Management+"/readyz"); code != 412 {
		t.Errorf("not ready: %d", code)
	}
	c, err := grpc.NewClient(at.Management, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil || r.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v %v", r, err)
	}
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// What is bad changes nothing, and is told once; what is good again is taken.
func TestFilesThatChange(t *testing.T) {
	var log lines
	s, at := start(t, func(s *Server) { s.Files.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	path := s.Files.Paths[0]
	if got := value(t, at); got != "false" {
		t.Fatalf("at first %s", got)
	}
	for i, bad := range []string{`{"flags": `, `[]`, ""} {
		write(t, path, bad)
		eventually(t, "the bad file was not looked at", func() bool { return s.reloads[1].Load() == int64(i+1) })
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that the file is gone was not seen", func() bool { return s.reloads[1].Load() == 4 })
	if got := value(t, at); got != "false" {
		t.Errorf("after bad files %s", got)
	}
	if n := log.count("served on"); n != 4 {
		t.Errorf("told %d times", n)
	}
	write(t, path, other)
	eventually(t, "the good file was not taken", func() bool { return value(t, at) == "true" })
	if err := os.WriteFile(path, []byte(shop), 0o600); err != nil { // in place
		t.Fatal(err)
	}
	eventually(t, "the file written in place was not taken", func() bool { return value(t, at) == "false" })
}

func TestThatCannotStart(t *testing.T) {
	dir := t.TempDir()
	bad, good := filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "good.json")
	write(t, bad, "flags: [")
	write(t, good, shop)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	run := func(port int, paths ...string) error {
		log := slog.New(slog.DiscardHandler)
		s, _ := newServer(log, paths...)
		s.Ports.OFREP = port
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return s.Run(ctx)
	}
	for _, c := range []struct {
		err  error
		kind errs.Kind
		has  string
	}{
		{run(0), errs.Invalid, "no files"},
		{run(0, filepath.Join(dir, "none.json")), errs.Invalid, "no such file"},
		{run(0, good, bad), errs.Invalid, "bad.yaml"},
		{run(l.Addr().(*net.TCPAddr).Port, good), errs.Unavailable, "in use"},
	} {
		if c.err == nil || errs.KindOf(c.err) != c.kind || !strings.Contains(c.err.Error(), c.has) {
			t.Errorf("%v, want %s", c.err, c.has)
		}
	}
}

func TestSources(t *testing.T) {
	paths, _, err := FromSources(`[{"uri":"a.json","provider":"file"},{"uri":"file:b.json","provider":"fileinfo","selector":"x"}]`)
	if err != nil || strings.Join(paths, " ") != "a.json b.json" {
		t.Errorf("%v %v", paths, err)
	}
	for _, bad := range []string{`{}`, `[{"uri":"a"}]`, `[{"provider":"file"}]`, `[{"uri":"gs://x","provider":"gcs"}]`} {
		if _, _, err := FromSources(bad); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if paths, _, err := FromURIs([]string{"file:a b.json"}); err != nil || len(paths) != 1 || paths[0] != "a b.json" {
		t.Errorf("%v %v", paths, err)
	}
}

func TestFeed(t *testing.T) {
	var f Feed
	one, _ := flag.NewSnapshot(flag.Source{Name: "x", Raw: []byte(shop)})
	same, _ := flag.NewSnapshot(flag.Source{Name: "x", Raw: []byte(shop)})
	two, _ := flag.NewSnapshot(flag.Source{Name: "x", Raw: []byte(other)})
	if _, err := f.Current("prod"); errs.KindOf(err) != errs.Missing {
		t.Errorf("%v", err)
	}
	changes, cancel := f.Watch("prod")
	told := func() bool {
		select {
		case <-changes:
			return true
		default:
			return false
		}
	}
	for i, c := range []struct {
		environment string
		set         *flag.Snapshot
		told        bool
	}{{"prod", one, true}, {"prod", same, false}, {"prod", two, true}, {"test", one, false}} {
		if f.Set(c.environment, c.set); told() != c.told {
			t.Errorf("%d: told is %v", i, !c.told)
		}
	}
	f.Set("prod", one)
	f.Set("prod", two)
	if !told() || told() {
		t.Error("two changes that were not looked at are not told once")
	}
	if now, err := f.Current("prod"); err != nil || now != two {
		t.Errorf("%v %v", now, err)
	}
	f.Drop("prod")
	cancel()
	cancel()
	if _, err := f.Current("prod"); err == nil || f.Watchers() != 0 {
		t.Errorf("%v, %d watch on", err, f.Watchers())
	}
}

// One port has all protocols.
func TestOnePort(t *testing.T) {
	var f Feed
	s, _ := flag.NewSnapshot(flag.Source{Name: "x", Raw: []byte(shop)})
	f.Set("", s)
	server, _ := newServer(slog.New(slog.DiscardHandler))
	server.Gate.Source = &f
	server.Origins = []string{"https://shop.example"}
	h := New(server.Options)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := NewHTTPServer(h, nil)
	done := make(chan error, 1)
	go func() { done <- web.Serve(l) }()
	defer func() {
		h.Close()
		if err := web.Close(); err != nil {
			t.Error(err)
		}
		<-done
	}()
	base := "http://" + l.Addr().String()
	for path, has := range map[string]string{
		"/ofrep/v1/evaluate/flags":                        `"key":"static"`,
		"/flagd.evaluation.v2.Service/ResolveBoolean":     `"reason":"STATIC"`,
		"/flagd.sync.v1.FlagSyncService/FetchAllFlags":    `flagConfiguration`,
		"/flagd.evaluation.v1.Service/ResolveAll":         `"boolValue":false`,
		"/flagd.evaluation.v1.Service/ResolveNothingSuch": "404",
		"/flagd.evaluation.v9.Service/ResolveBoolean":     "404",
		"/": "404",
	} {
		resp, err := http.Post(base+path, "application/json", strings.NewReader(`{"flagKey":"static"}`))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if all := fmt.Sprint(resp.StatusCode, string(body)); !strings.Contains(all, has) {
			t.Errorf("%s: %s", path, all)
		}
	}
	r, err := http.NewRequest(http.MethodOptions, base+"/flagd.evaluation.v1.Service/ResolveAll", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://shop.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

// A server that stops ends its streams, which otherwise would keep it.
func TestStopsWithStreams(t *testing.T) {
	_, at := start(t, nil) // its cleanup demands that it stops
	resp, err := http.Get("http://" + at.OFREP + "/ofrep/v1/sse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "retry: 1000\n" {
		t.Errorf("%q %v", line, err)
	}
}
