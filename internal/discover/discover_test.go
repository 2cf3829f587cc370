package discover

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/tsdb"
)

func word(s string) *string { return &s }

func urls(all []tsdb.Target) string {
	s := ""
	for _, t := range all {
		s += t.URL + " "
	}
	return s
}

func TestStaticAndRelabel(t *testing.T) {
	secrets := t.TempDir()
	if err := os.WriteFile(filepath.Join(secrets, "token"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := New(Options{Secrets: secrets})
	defer d.Close()
	spec := resource.Scrape{Service: "shop", TokenFile: "token", Path: "/m", Labels: map[string]string{"env": "prod"},
		Static: []resource.StaticTargets{{Targets: []string{"a:1", "b:2", "c:3"}, Labels: map[string]string{"rack": "7", "zone": "x"}}},
		Relabel: []resource.Relabel{
			{SourceLabels: []string{"__address__"}, Regex: "b:.*", Action: "drop"},
			{SourceLabels: []string{"__address__"}, Regex: "(.*):.*", TargetLabel: "host"},
			{SourceLabels: []string{"__address__"}, Regex: "c:3", TargetLabel: "__scheme__", Replacement: word("https")},
			{TargetLabel: "job", Replacement: word("gateway")},
			{TargetLabel: "service", Replacement: word("other")},
			{Regex: "zone", Action: "labeldrop"},
		}}
	got := d.Targets([]Named{{"db", spec}})
	if len(got) != 2 || got[0].URL != "http://a:1/m" || got[1].URL != "https://c:3/m" || got[0].BearerToken != "s3cret" || got[0].Interval != 15*time.Second {
		t.Fatalf("%+v", got)
	}
	if want := "map[env:prod host:a job:db rack:7 service:shop]"; fmt.Sprint(got[0].Labels) != want {
		t.Errorf("%v, want %s", got[0].Labels, want)
	}
	if got[0].Gateway || got[0].Own {
		t.Error("may write what is Ringfence's own")
	}
	spec.TokenFile = "missing"
	if got := d.Targets([]Named{{"db", spec}}); len(got) != 0 {
		t.Errorf("without its token: %+v", got)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	d := New(Options{Files: dir})
	defer d.Close()
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "t.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, l := range d.lists {
			l.next = time.Time{}
		}
	}
	spec := []Named{{"x", resource.Scrape{Files: []string{"t.json", "../../etc/passwd"}}}}
	if got := d.Targets(spec); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	put(`[{"targets": ["a:1"], "labels": {"k": "v"}}]`)
	if got := d.Targets(spec); urls(got) != "http://a:1/metrics " || got[0].Labels["k"] != "v" {
		t.Fatalf("%+v", got)
	}
	put("- targets: [a:1, b:2]\n")
	if got := d.Targets(spec); urls(got) != "http://a:1/metrics http://b:2/metrics " {
		t.Fatalf("%+v", got)
	}
	put("[{")
	if got := d.Targets(spec); len(got) != 2 {
		t.Errorf("a broken file changes nothing: %+v", got)
	}
	if d.Targets(nil); len(d.lists) != 0 {
		t.Error("lists of nobody are kept")
	}
}

func TestHTTP(t *testing.T) {
	var answer atomic.Value
	answer.Store(`[{"targets": ["a:1"]}]`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s := answer.Load().(string); s != "" {
			_, _ = w.Write([]byte(s))
			return
		}
		w.WriteHeader(500)
	}))
	defer server.Close()
	d := New(Options{})
	defer d.Close()
	spec := []Named{{"x", resource.Scrape{HTTP: []resource.HTTPTargets{{URL: server.URL, Every: fleet.Dur(time.Second)}}}}}
	until := func(want string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); urls(d.Targets(spec)) != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q, want %q", urls(d.Targets(spec)), want)
			}
			d.mu.Lock()
			for _, l := range d.lists {
				l.next = time.Time{}
			}
			d.mu.Unlock()
		}
	}
	until("http://a:1/metrics ")
	answer.Store("")
	d.Targets(spec)
	answer.Store(`[{"targets": ["b:1"]}]`)
	until("http://b:1/metrics ")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`[{"targets": ["a:1"], "labels": {"k": "v"}}]`))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		groups, err := parse(raw)
		if err != nil {
			return
		}
		for _, g := range groups {
			expand(Named{Name: "x", Spec: resource.Scrape{}.Defaults()}, g, nil, "")
		}
	})
}
