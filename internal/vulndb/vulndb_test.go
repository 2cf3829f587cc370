package vulndb

import (
	"archive/zip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/osv"
)

func zipOf(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, text := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func entry(id, ecosystem, name string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`, id, ecosystem, name)
}

func TestPackagesAreFound(t *testing.T) {
	files := map[string]string{"../../etc/passwd.json": entry("OUT", "npm", "out"), "read.me": "x"}
	for i := range 1000 {
		files[fmt.Sprintf("V-%d.json", i)] = entry(fmt.Sprintf("V-%d", i), "npm", fmt.Sprintf("p%d", i%500))
	}
	path := zipOf(t, files)
	x := &Index{Dir: filepath.Join(t.TempDir(), "db"), Blob: func(context.Context, string) (string, error) { return path, nil }}
	db, err := x.Index(t.Context(), "sha256:aa")
	if err != nil || db.Entries != 1001 || len(db.Ecosystems) != 1 || db.Newest.IsZero() {
		t.Fatalf("%+v, %v", db, err)
	}
	found, err := x.Find(t.Context(), "sha256:aa", []osv.Named{{Ecosystem: "npm", Name: "p7"}, {Ecosystem: "npm", Name: "out"}, {Ecosystem: "PyPI", Name: "p8"}, {Ecosystem: "npm", Name: "p"}})
	if err != nil || len(found) != 3 {
		t.Fatalf("%+v, %v", found, err)
	}
	// It is a cache: gone, it is made again; another database takes its place.
	if err := os.RemoveAll(x.Dir); err != nil {
		t.Fatal(err)
	}
	if found, err = x.Find(t.Context(), "sha256:aa", []osv.Named{{Ecosystem: "npm", Name: "p7"}}); err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	if _, err := x.Index(t.Context(), "sha256:bb"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(x.Dir); err != nil || len(left) != 1 || left[0].Name() != "bb" {
		t.Errorf("%v, %v", left, err)
	}
}

func TestDamagedDatabasesAreRefusedWhole(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(broken, []byte("no zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"no zip": broken, "nothing in it": zipOf(t, nil), "a bad entry": zipOf(t, map[string]string{"a.json": entry("A", "npm", "a"), "b.json": "{"})} {
		x := &Index{Dir: filepath.Join(t.TempDir(), "db"), Blob: func(context.Context, string) (string, error) { return path, nil }}
		if _, err := x.Index(t.Context(), "sha256:aa"); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(x.Dir); len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}
