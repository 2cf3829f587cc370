package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqltext"
	"github.com/ringfence/ringfence/internal/store/storetest"
)

func place(t testing.TB) storetest.Place {
	return placeAt(filepath.Join(t.TempDir(), "new", "s t%41?#.db"))
}

func placeAt(path string) storetest.Place {
	return storetest.Place{
		Open: func(ctx context.Context) (storetest.Store, error) {
			s, err := Open(ctx, path)
			if err != nil {
				return nil, err // not a nil *Store in an interface
			}
			return s, nil
		},
		Exec:       func(t testing.TB, statement string) { execFile(t, path, statement) },
		Newer:      "PRAGMA user_version = 999",
		Compatible: fmt.Sprintf("PRAGMA user_version = %d", mark(sqltext.Schema{Version: 999, Oldest: 1})),
		Empty:      "x''", Bytes: func(b []byte) string { return fmt.Sprintf("x'%x'", b) },
		Check: func(ctx context.Context) error { return Check(ctx, path) },
	}
}

func execFile(t testing.TB, path, statement string) {
	t.Helper()
	db, err := openPool(path, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(strings.ReplaceAll(statement, "$schema", schema)); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place { return place(t) })
}

func BenchmarkAppend(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) storetest.Place { return place(b) })
}

func oneEvent() store.Write {
	return store.Write{Events: []audit.Event{{Time: time.Now(), Type: "a.done", Actor: "user:test", Subject: "k/n"}}}
}

// openAt opens a store whose patience with other processes is short.
func openAt(t *testing.T, path string) *Store {
	t.Helper()
	s, err := open(t.Context(), path, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func wantUnavailable(t *testing.T, err error, about string) {
	t.Helper()
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), about) {
		t.Fatalf("got %v of kind %v, expected it unavailable because of %q", err, errs.KindOf(err), about)
	}
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "ringfence.db")
	s := openAt(t, path)
	if _, err := s.Commit(t.Context(), oneEvent()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, filepath.Dir(path): os.ModeDir | 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, expected %v", name, info.Mode(), want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Fatalf("a file that others could read was left so: %v, %v", info.Mode(), err)
	}
}

func TestSettings(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "ringfence.db"))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "20", "journal_size_limit": "67108864"} {
		var got string
		if err := s.writer.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v, expected %s", pragma, got, err, want)
		}
	}
	if _, err := s.reader.Exec("DELETE FROM main.docs"); err == nil {
		t.Error("a reader may write")
	}
}

func TestDiskFull(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "ringfence.db"))
	if _, err := s.Commit(t.Context(), oneEvent()); err != nil {
		t.Fatal(err)
	}
	setPages := func(n string) {
		if _, err := s.writer.Exec("PRAGMA max_page_count = " + n); err != nil {
			t.Fatal(err)
		}
	}
	setPages("20")
	big := store.Write{
		Puts:   []store.Doc{{Kind: "k", Name: "n", Body: []byte(`"` + strings.Repeat("x", 1<<20) + `"`)}},
		Events: oneEvent().Events,
	}
	_, err := s.Commit(t.Context(), big)
	wantUnavailable(t, err, "full")
	if got := storetest.Record(t, s); len(got) != 1 {
		t.Fatalf("%d events, expected that of before", len(got))
	}
	if _, err := s.Get(t.Context(), "k", "n"); !errs.Is(err, errs.Missing) {
		t.Fatalf("half a write: %v", err)
	}
	setPages("100000")
	if _, err := s.Commit(t.Context(), big); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if got := storetest.Record(t, s); len(got) != 2 {
		t.Fatalf("%d events, expected 2", len(got))
	}
}

func TestLockedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringfence.db")
	s := openAt(t, path)
	other, err := openPool(path, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Commit(t.Context(), oneEvent())
	wantUnavailable(t, err, "locked")
	if got := storetest.Record(t, s); len(got) != 0 {
		t.Fatalf("%d events, expected none; readers go on", len(got))
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), oneEvent()); err != nil {
		t.Fatal(err)
	}
}

func TestFileLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringfence.db")
	s := openAt(t, path)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Commit(t.Context(), oneEvent())
	wantUnavailable(t, err, "no such file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = s.Commit(t.Context(), oneEvent())
	wantUnavailable(t, err, "replaced")
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), oneEvent()); err != nil {
		t.Fatalf("with the file back: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	execFile(t, foreign, "CREATE TABLE docs (x)")
	for path, want := range map[string]string{
		text:                        "not a database",
		foreign:                     "another program",
		dir:                         "directory",
		filepath.Join(text, "x.db"): "not a directory",
	} {
		s, err := Open(t.Context(), path)
		if err == nil {
			s.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", path, err, want)
		}
	}
	if b, err := os.ReadFile(text); err != nil || !strings.HasPrefix(string(b), "not a database") {
		t.Errorf("a file that was refused was changed: %v", err)
	}
}

// TestOneBadWrite has the database itself refuse one write of a batch.
func TestOneBadWrite(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "ringfence.db"))
	if _, err := s.writer.Exec(`CREATE TRIGGER refuse BEFORE INSERT ON events WHEN new.subject = 'bad' BEGIN SELECT raise(ABORT, 'refused'); END`); err != nil {
		t.Fatal(err)
	}
	block, err := s.writer.BeginTx(t.Context(), nil) // the only connection: all writes wait and become a batch
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 10)
	for i := range cap(results) {
		w := oneEvent()
		if i == 5 {
			w.Events[0].Subject = "bad"
		}
		go func() { _, err := s.Commit(context.Background(), w); results <- err }()
	}
	if err := block.Rollback(); err != nil {
		t.Fatal(err)
	}
	bad := 0
	for range cap(results) {
		if err := <-results; errs.Is(err, errs.Internal) && strings.Contains(err.Error(), "refused") {
			bad++
		} else if err != nil {
			t.Error(err)
		}
	}
	if got := storetest.Record(t, s); bad != 1 || len(got) != 9 {
		t.Fatalf("%d refused, %d events, expected 1 and 9", bad, len(got))
	}
}
