package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/fleet"
)

// written collects lines.
type written struct {
	mu    sync.Mutex
	lines []string
}

func (w *written) Write(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, string(b))
}

// next waits for the line after n others.
func (w *written) next(t *testing.T, n int) map[string]any {
	t.Helper()
	var line string
	eventually(t, "a line is written", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.lines) > n {
			line = w.lines[n]
		}
		return line != ""
	})
	var m map[string]any
	if err := json.Unmarshal([]byte(line), &m); err != nil || !strings.HasSuffix(line, "}\n") {
		t.Fatalf("%q: %v", line, err)
	}
	return m
}

func TestAccessLog(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			var w written
			r := newRig(t, Options{Access: AccessLog{Write: w.Write}})
			ids := make(chan string, 1)
			r.backend("v1", func(rw http.ResponseWriter, req *http.Request) {
				io.Copy(io.Discard, req.Body)
				ids <- req.Header.Get("X-Request-Id")
				rw.WriteHeader(201)
				io.WriteString(rw, strings.Repeat("x", 100000))
			})
			s := shop(nil)
			s.Route.Protocol = protocol
			r.apply(s)
			r.do("POST", "/a\"b?token=hunter2&page=3&bare", strings.NewReader("hello"), "Authorization", "Bearer hunter2", "Cookie", "s=hunter2",
				"User-Agent", "tester/1", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			got := w.next(t, 0)
			if id := <-ids; got["id"] != id {
				t.Errorf("id %v, the service saw %s", got["id"], id)
			}
			if at, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil || time.Since(at) > time.Minute {
				t.Error(at, err)
			}
			if ms, up := got["ms"].(float64), got["upstream_ms"].(float64); ms <= 0 || up <= 0 || up > ms {
				t.Errorf("took %v, of which the service %v", ms, up)
			}
			for _, k := range []string{"id", "time", "ms", "upstream_ms", "host"} {
				delete(got, k)
			}
			want := map[string]any{"service": "shop", "version": "v1", "ring": "all", "instance": "shop/v1/0", "peer": "127.0.0.1", "protocol": "HTTP/1.1", "method": "POST",
				"path": `/a"b`, "query": "token=-&page=-&=-", "agent": "tester/1", "status": 201., "bytes_in": 5., "bytes_out": 100000., "tries": 1., "trace": "0af7651916cd43dd8448eb211c80319c"}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if all := strings.Join(w.lines, ""); strings.Contains(all, "hunter2") || strings.Contains(all, "bare") {
				t.Errorf("a secret is written: %s", all)
			}
		})
	}
}

func TestAccessLogOfWhatFails(t *testing.T) {
	var w written
	r := newRig(t, Options{Access: AccessLog{Write: w.Write, Sample: 0.000001}, Limits: Limits{ConnectRetry: 50 * time.Millisecond}})
	ok := r.backend("v1", say("ok"))
	r.apply(shop(func(s *fleet.Service) { s.Route.Host = "127.0.0.1" }))
	for range 20 { // as good as never written
		r.get("/")
	}
	ok.Close()
	r.get("/")
	if got := w.next(t, 0); got["status"] != 502. || got["failure"] != "connection_refused" || got["tries"].(float64) < 2 || got["sample"] != nil {
		t.Errorf("got %v", got)
	}
	r.raw("GET / HTTP/1.1\nHost: x\n\n")
	if got := w.next(t, 1); got["status"] != 400. || got["refused"] != "bare_lf" || got["peer"] != "127.0.0.1" {
		t.Errorf("got %v", got)
	}
}

func TestAccessLogSamples(t *testing.T) {
	var w written
	r := newRig(t, Options{Access: AccessLog{Write: w.Write, Sample: 0.5}})
	r.backend("v1", say("ok"))
	r.apply(shop(nil))
	for range 200 {
		r.get("/")
	}
	if got := w.next(t, 0); got["sample"] != 0.5 {
		t.Errorf("got %v", got)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.lines); n < 50 || n > 150 {
		t.Errorf("%d of 200 are written", n)
	}
}

// TestJSONText: whatever a client sends, the line stays JSON.
func TestJSONText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "text"))
		var got string
		if err := json.Unmarshal(appendJSON(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(s, "�"); len(s) <= maxLogged && !slices.Equal([]rune(s), []rune(got)) && got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func BenchmarkAccessLine(b *testing.B) {
	g := New(Options{Access: AccessLog{Write: func([]byte) {}}})
	req, err := http.NewRequest("GET", "/item/1?colour=green&page=3", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.RemoteAddr, req.Host = "192.0.2.1:1234", "shop.example"
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101")
	x := exchange{g: g, r: req, start: time.Now(), code: 200}
	x.last = &target{series: &series{key: seriesKey{"shop", "v1", "all"}}}
	b.ReportAllocs()
	for b.Loop() {
		x.access()
	}
}
