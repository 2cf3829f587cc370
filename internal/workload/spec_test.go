package workload

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

func TestExpand(t *testing.T) {
	l := launch{service: "shop", slot: resource.Slot{Version: "v1", Config: "c2"}, artifact: "/a", config: "/c", port: 8001}
	got := l.expand([]string{"{config}/prices.json", "{artifact}", "--listen={address}", "{host}:{port}", "{service}-{version}", "{other}", `{"a":1}`})
	want := []string{"/c/prices.json", "/a", "--listen=127.0.0.1:8001", "127.0.0.1:8001", "shop-v1", "{other}", `{"a":1}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEnviron(t *testing.T) {
	t.Setenv("RINGFENCE_TOKEN", "secret")
	t.Setenv("DATABASE_URL", "postgres://secret")
	t.Setenv("TZ", "Europe/Berlin")
	l := launch{service: "shop", slot: resource.Slot{Version: "v1", Config: "c2"}, id: "shop/v1@c2/2", token: "tok", work: "/work", config: "/c", port: 8001,
		offered: map[string]string{"OFREP_ENDPOINT": "http://here", "GREETING": "hi", "PORT": "2"}}
	got := l.environ(map[string]string{"GREETING": "hello", "PORT": "1", "LANG": "de_DE.UTF-8", tokenVar: "mine"})
	slices.Sort(got)
	want := []string{"ADDRESS=127.0.0.1:8001", "GREETING=hello", "HOME=/work", "LANG=de_DE.UTF-8", "LISTEN_ADDR=127.0.0.1:8001", "OFREP_ENDPOINT=http://here",
		"PATH=" + os.Getenv("PATH"), "PORT=8001", "RINGFENCE_CALLER=shop/v1", "RINGFENCE_CONFIG=/c", "RINGFENCE_CONFIG_VERSION=c2", "RINGFENCE_INSTANCE=shop/v1@c2/2", tokenVar + "=tok",
		"RINGFENCE_SERVICE=shop", "RINGFENCE_VERSION=v1", "TMPDIR=/work/tmp", "TZ=Europe/Berlin"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An instance is told of the schema that it was started on, and where to ask; one without a database is told of neither.
func TestEnvironTellsOfTheSchema(t *testing.T) {
	l := launch{service: "shop", slot: resource.SlotOf("v2~public_02"), id: "shop/v2~public_02/1", token: "tok", work: "/work", port: 8001,
		schema:  &fleet.SlotSchema{Database: "people", Version: "public_02", SearchPath: "public_02, public", Understands: []string{"public_01", "public_02"}},
		offered: map[string]string{SchemaVar: "http://127.0.0.1:7402/.ringfence/schema/"}}
	var got []string
	of := func() []string {
		return slices.DeleteFunc(l.environ(nil), func(v string) bool {
			return !strings.HasPrefix(v, "RINGFENCE_SCHEMA") && !strings.HasPrefix(v, "RINGFENCE_VERSION")
		})
	}
	got = of()
	slices.Sort(got)
	want := []string{"RINGFENCE_SCHEMA_DATABASE=people", "RINGFENCE_SCHEMA_SEARCH_PATH=public_02, public", "RINGFENCE_SCHEMA_UNDERSTANDS=public_01,public_02",
		"RINGFENCE_SCHEMA_URL=http://127.0.0.1:7402/.ringfence/schema/shop", "RINGFENCE_SCHEMA_VERSION=public_02", "RINGFENCE_VERSION=v2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	l.schema = nil
	if got = of(); len(got) != 1 {
		t.Errorf("without a database: %v", got)
	}
}

func TestCheckSlot(t *testing.T) {
	good := fleet.Slot{Version: "v1", Digest: "sha256:x", Command: []string{"{artifact}"}, Instances: 1}
	if err := checkSlot("shop", good); err != nil {
		t.Errorf("a good slot: %v", err)
	}
	for want, f := range map[string]func(*fleet.Slot){
		"needs a service and a version": func(s *fleet.Slot) { s.Version = "" },
		"command is empty":              func(s *fleet.Slot) { s.Command = nil },
		"expected 0 to 200":             func(s *fleet.Slot) { s.Instances = 201 },
		"-1 instances":                  func(s *fleet.Slot) { s.Instances = -1 },
		"not an absolute path":          func(s *fleet.Slot) { s.Dir = "data" },
		"does not begin with /":         func(s *fleet.Slot) { s.Ready.HTTP = "readyz" },
		"holds a NUL":                   func(s *fleet.Slot) { s.Command = []string{"a\x00"} },
		"the release has none":          func(s *fleet.Slot) { s.Digest = "" },
		`"../a"`:                        func(s *fleet.Slot) { s.Files = map[string]string{"../a": ""} },
		`"/a"`:                          func(s *fleet.Slot) { s.Files = map[string]string{"/a": ""} },
		`"a/./b"`:                       func(s *fleet.Slot) { s.Files = map[string]string{"a/./b": ""} },
		`"."`:                           func(s *fleet.Slot) { s.Files = map[string]string{".": ""} },
		`"a\\b"`:                        func(s *fleet.Slot) { s.Files = map[string]string{`a\b`: ""} },
		`below "a"`:                     func(s *fleet.Slot) { s.Files = map[string]string{"a": "", "a/b/c": ""} },
		"at most 1048576":               func(s *fleet.Slot) { s.Files = map[string]string{"a": strings.Repeat("x", maxConfigBytes+1)} },
		`"A=B" is no name`:              func(s *fleet.Slot) { s.Env = map[string]string{"A=B": ""} },
	} {
		s := good
		f(&s)
		if err := checkSlot("shop", s); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("want an invalid %q, got %v", want, err)
		}
	}
}

func TestSpecKey(t *testing.T) {
	a := fleet.Slot{Version: "v1", Digest: "d", Command: []string{"x"}, Env: map[string]string{"A": "1", "B": "2"}, Instances: 1}
	b := a
	b.Instances, b.Drain, b.Ready.HTTP = 4, 1, "/x"
	if specKey(a) != specKey(b) {
		t.Error("what needs no new process changes the key")
	}
	b = a
	b.Env = map[string]string{"A": "1", "B": "3"}
	if specKey(a) == specKey(b) {
		t.Error("another environment has the same key")
	}
	b = a
	b.Files = map[string]string{"prices.json": "{}"}
	if specKey(a) == specKey(b) {
		t.Error("another config has the same key")
	}
}

// A folder name is one path element, whatever the version is called, and differs for different names.
func TestFolder(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.OneOf(rapid.StringMatching(`[./a%]{1,4}`), rapid.String(), rapid.StringN(100, 300, -1))
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		if a == "" || b == "" {
			t.Skip()
		}
		if p := filepath.Join(root, folder(a)); filepath.Dir(p) != root || len(filepath.Base(p)) > 200 {
			t.Fatalf("%q leads to %q", a, p)
		}
		if strings.HasPrefix(folder(a), ".") {
			t.Fatalf("%q is hidden", folder(a))
		}
		if a != b && folder(a) == folder(b) {
			t.Fatalf("%q and %q are both %q", a, b, folder(a))
		}
	})
}

func TestParseStat(t *testing.T) {
	line := "4711 (a) R (b)) S 1 4711 4711 0 -1 4194560 5 6 0 0 10 20 3 4 20 0 7 0 123456 1000 42 1844 0 0 0"
	got, err := parseStat([]byte(line))
	want := stat{state: 'S', group: 4711, cpuTicks: 37, startTicks: 123456, residentPgs: 42}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1 2"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestPorts(t *testing.T) {
	p := newPorts(testPortLow-5, testPortLow-3)
	got := map[int]bool{}
	for range 3 {
		port, err := p.take(0)
		if err != nil || got[port] {
			t.Fatalf("port %d, %v, after %v", port, err, got)
		}
		got[port] = true
	}
	if port, err := p.take(0); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a fourth of three ports: %d, %v", port, err)
	}
	p.put(testPortLow - 4)
	if port, err := p.take(testPortLow - 5); err != nil || port != testPortLow-4 {
		t.Errorf("the one put back: %d, %v", port, err)
	}
	p.put(testPortLow - 5)
	p.put(testPortLow - 3)
	if port, err := p.take(testPortLow - 3); err != nil || port != testPortLow-3 {
		t.Errorf("the preferred one: %d, %v", port, err)
	}
}
