package workload

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
)

// writer appends numbered lines as an instance does until it is stopped, and returns how many it wrote.
func writer(t *testing.T, path string) (stop func() int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	quit, done, n := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		defer f.Close()
		for {
			select {
			case <-quit:
				return
			default:
			}
			if _, err := fmt.Fprintf(f, "line %08d\n", n); err != nil {
				t.Error(err)
				return
			}
			n++
		}
	}()
	var once sync.Once
	stop = func() int {
		once.Do(func() { close(quit) })
		<-done
		return n
	}
	t.Cleanup(func() { stop() })
	return stop
}

// whole returns the lines of all rotated files and the present one, in order.
func whole(t *testing.T, path string, keep int) []string {
	t.Helper()
	var all strings.Builder
	for k := keep; k >= 0; k-- {
		p := path
		if k > 0 {
			p = rotated(path, k)
		}
		b, err := os.ReadFile(p)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return strings.Split(strings.TrimSuffix(all.String(), "\n"), "\n")
}

// While it is written to, a log is rotated without a byte lost where the file system can take out a range, and
// with nothing but a gap where it is truncated.
func TestRotationUnderWrite(t *testing.T) {
	for name, lossless := range map[string]bool{"collapse": true, "truncate": false} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "1.log")
			if lossless && !canCollapse(t) {
				t.Skip("this file system cannot take out a range")
			}
			l := newLogs(128<<10, 100)
			if !lossless {
				l.collapse = func(*os.File, int64) error { return errors.ErrUnsupported }
			}
			lf := l.get(path)
			stop := writer(t, path)
			for rotations := 0; rotations < 3; {
				l.rotate(slogDiscard)
				if _, err := os.Stat(rotated(path, rotations+1)); err == nil {
					rotations++
				}
			}
			n := stop()
			lines := whole(t, path, 100)
			last, odd := -1, 0
			for _, s := range lines {
				k := -1
				if _, err := fmt.Sscanf(s, "line %08d", &k); err != nil || len(s) != 13 || k <= last {
					odd++
					continue
				}
				last = k
			}
			if lossless && (len(lines) != n || odd != 0) {
				t.Errorf("%d lines written, %d kept, %d of them odd", n, len(lines), odd)
			}
			if odd > 5 || last != n-1 || len(lines) > n {
				t.Errorf("%d lines written, the last kept is %d, %d kept, %d odd", n, last, len(lines), odd)
			}
			if lf.base == 0 {
				t.Error("readers were not told")
			}
		})
	}
}

func canCollapse(t *testing.T) bool {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 2*collapseUnit)); err != nil {
		t.Fatal(err)
	}
	return newLogs(1, 1).collapse(f, collapseUnit) == nil
}

func TestRotationKeepsSome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.log")
	l := newLogs(10, 2)
	l.get(path)
	for _, content := range []string{"the first content\n", "the second content\n", "the third content\n", "last\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		l.rotate(slogDiscard)
	}
	if diff := cmp.Diff([]string{"the second content", "the third content", "last"}, whole(t, path, 5)); diff != "" {
		t.Error(diff)
	}
}

func TestLogsTailAndFollow(t *testing.T) {
	g := newRig(t).open()
	g.rt.Apply(shop(g.slot("v1", 2)))
	st := g.awaitReady("v1", 2)
	say := func(k int, line string) { get(t, st.Instances[k].Address, "/say?line="+url.QueryEscape(line)) }
	for k := range 5 {
		say(0, fmt.Sprint("first ", k))
	}
	say(1, "second")
	read := func(q LogQuery) []string {
		t.Helper()
		q.Service, q.Version = "shop", "v1"
		r, err := g.rt.Logs(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
	if diff := cmp.Diff([]string{"first 3", "first 4"}, read(LogQuery{Instance: 1, Tail: 2})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1 | first 4", "2 | second"}, read(LogQuery{Tail: 1})); diff != "" {
		t.Error(diff)
	}
	follow, err := g.rt.Logs(t.Context(), LogQuery{Service: "shop", Version: "v1", Instance: 1, Tail: 1, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(follow)
	expect := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("followed %q, %v; want %q", lines.Text(), lines.Err(), want)
		}
	}
	expect("first 4")
	say(0, "more")
	expect("more")
	lf := g.rt.logs.get(filepath.Join(g.rt.logDir("shop", "v1"), "1.log"))
	if err := g.rt.logs.rotateOne(lf); err != nil {
		t.Fatal(err)
	}
	say(0, "after the rotation")
	expect("after the rotation")
	if diff := cmp.Diff([]string{"more", "after the rotation"}, read(LogQuery{Instance: 1, Tail: 2})); diff != "" {
		t.Error(diff)
	}
	if err := follow.Close(); err != nil {
		t.Fatal(err)
	}
	g.rt.Apply(nil)
	g.await("stopped", func() bool { return len(g.rt.Status("shop")) == 0 })
	if diff := cmp.Diff([]string{"2 | second"}, read(LogQuery{Instance: 0, Tail: 1})[1:]); diff != "" {
		t.Errorf("of a stopped version:\n%s", diff)
	}
	for _, q := range []LogQuery{{Service: "shop", Version: "v2"}, {Service: "..", Version: ".."}, {Service: "shop", Version: "v1", Instance: 7}} {
		if _, err := g.rt.Logs(t.Context(), q); !errs.Is(err, errs.Missing) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, err := g.rt.Logs(t.Context(), LogQuery{Service: "shop", Version: "v1", Tail: -1}); !errs.Is(err, errs.Invalid) {
		t.Errorf("negative tail: %v", err)
	}
}

// A follower gets every line of a fast writer whole and once, over rotations.
func TestFollowUnderRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "1.log")
	l := newLogs(1<<20, 3)
	if err := os.WriteFile(path, []byte("start\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pr, pw := io.Pipe()
	tail := &tailer{logs: l, dir: dir, q: LogQuery{Instance: 1, Tail: 1, Follow: true}, out: pw, pos: map[int]int64{}, part: map[int][]byte{}}
	go func() { _ = pw.CloseWithError(tail.run(ctx)) }()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(pr)
	if !lines.Scan() || lines.Text() != "start" {
		t.Fatalf("first %q", lines.Text())
	}
	next := 0
	for round := range 4 {
		for range 5_000 {
			if _, err := fmt.Fprintf(f, "line %08d\n", next); err != nil {
				t.Fatal(err)
			}
			next++
		}
		for n := round * 5_000; n < next; n++ {
			if !lines.Scan() || lines.Text() != fmt.Sprintf("line %08d", n) {
				t.Fatalf("followed %q, %v; want line %d", lines.Text(), lines.Err(), n)
			}
		}
		if err := l.rotateOne(l.get(path)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpammingInstanceIsRotated(t *testing.T) {
	g := newRig(t).open(func(o *Options) { o.LogMaxBytes, o.LogKeep = 128<<10, 2 })
	g.rt.Apply(shop(g.slot("v1", 1, "SPAM=1")))
	g.awaitReady("v1", 1)
	path := filepath.Join(g.rt.logDir("shop", "v1"), "1.log")
	g.await("two rotations", func() bool { g.rt.logs.rotate(slogDiscard); _, err := os.Stat(rotated(path, 2)); return err == nil })
	if st := g.status("v1"); st.Ready != 1 || st.Instances[0].Restarts != 0 {
		t.Errorf("rotation disturbed it: %+v", st)
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"  plain \t":             "plain",
		"\x1b[31mred\x1b[0m":     "[31mred [0m",
		"bad\xffbyte":            "bad?byte",
		strings.Repeat("x", 300): strings.Repeat("x", 200) + "…",
		"\r\n":                   "",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if got := lastLines(path, 3, 100); got != nil {
		t.Errorf("of no file: %v", got)
	}
	if err := os.WriteFile(path, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		n    int
		max  int64
		want []string
	}{{2, 100, []string{"two", "three"}}, {9, 100, []string{"one", "two", "three"}}, {9, 8, []string{"three"}}, {0, 100, []string{}}} {
		if got := lastLines(path, c.n, c.max); !slices.Equal(got, c.want) {
			t.Errorf("%d lines of %d bytes: %q, want %q", c.n, c.max, got, c.want)
		}
	}
}

func TestPruneLogs(t *testing.T) {
	g := newRig(t).open()
	old := time.Now().Add(-time.Hour)
	for v := range keepLogsOf + 5 {
		dir := g.rt.logDir("shop", fmt.Sprint("v", v))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "1.log")
		if err := os.WriteFile(path, []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old.Add(time.Duration(v)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	g.rt.mu.Lock()
	g.rt.pruneLogs("shop")
	g.rt.mu.Unlock()
	left, err := os.ReadDir(g.rt.path("logs", "shop"))
	if err != nil || len(left) != keepLogsOf {
		t.Fatalf("%d left, %v", len(left), err)
	}
	if _, err := os.Stat(g.rt.logDir("shop", "v4")); !os.IsNotExist(err) {
		t.Errorf("the oldest stayed: %v", err)
	}
	if _, err := os.Stat(g.rt.logDir("shop", "v5")); err != nil {
		t.Errorf("a newer one went: %v", err)
	}
}

var slogDiscard = slog.New(slog.DiscardHandler)
