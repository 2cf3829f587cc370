package accesslog

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

func newLog(t *testing.T, o Options) (l *Log, end func()) {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

func TestLinesAreKeptInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, end := newLog(t, Options{Path: path})
	for i := range 10000 {
		l.Write(fmt.Appendf(nil, "line %d\n", i))
	}
	end()
	got := lines(t, path)
	if len(got) != 10000 || got[0] != "line 0" || got[9999] != "line 9999" {
		t.Errorf("%d lines, from %q to %q", len(got), got[0], got[len(got)-1])
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFullFilesArePutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, end := newLog(t, Options{Path: path, Size: 100, Keep: 2})
	for i := range 6 {
		l.Write(fmt.Appendf(nil, "%d %s\n", i, strings.Repeat("x", 120)))
		wait(t, func() bool {
			b, _ := os.ReadFile(path)
			return strings.HasPrefix(string(b), fmt.Sprint(i))
		})
	}
	end()
	for name, want := range map[string]string{path: "5", path + ".1": "4", path + ".2": "3"} {
		if got := lines(t, name); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := os.Stat(path + ".3"); !os.IsNotExist(err) {
		t.Error("a third one is kept")
	}
}

func TestAFileThatWasMovedIsOpenedAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, end := newLog(t, Options{Path: path})
	l.Write([]byte("before\n"))
	wait(t, func() bool { b, _ := os.ReadFile(path); return len(b) > 0 })
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	l.Write([]byte("after\n"))
	end()
	if a, b := lines(t, path+".moved"), lines(t, path); a[0] != "before" || b[0] != "after" {
		t.Error(a, b)
	}
}

func TestWhatTheDiskCannotTakeIsCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := New(Options{Path: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
	for range 7 { // nobody writes yet
		l.Write(line)
	}
	l.flush(nil)
	got := lines(t, path)
	if len(got) != 5 || !strings.Contains(got[4], `"left_out":3`) {
		t.Errorf("%d lines, the last %.100q", len(got), got[len(got)-1])
	}
}

func TestABadPathIsRefused(t *testing.T) {
	_, err := New(Options{Path: filepath.Join(t.TempDir(), "none", "access.log")})
	if !errs.Is(err, errs.Invalid) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat("none"); err == nil || !os.IsNotExist(err) && err != fs.ErrNotExist {
		t.Error("a folder was made")
	}
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within a minute")
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	l, err := New(Options{Path: filepath.Join(b.TempDir(), "access.log"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	go l.Run(b.Context())
	line := []byte(strings.Repeat("x", 350) + "\n")
	b.ReportAllocs()
	for b.Loop() {
		l.Write(line)
	}
}
