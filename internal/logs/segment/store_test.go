package segment_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
	"github.com/ringfence/ringfence/internal/logs/segment"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, o segment.Options) *segment.Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Now == nil {
		o.Now = func() time.Time { return start.Add(time.Hour) }
	}
	o.MinFree = max(o.MinFree, 1)
	s, err := segment.Open(o)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func entry(i int, service, version, text string) logs.Entry {
	return logs.Entry{Time: start.Add(time.Duration(i) * time.Second), Labels: logs.Labels{Service: service, Version: version, Source: logs.Output}, Text: text}
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	s := open(t, segment.Options{Dir: dir})
	full := logs.Entry{Time: start, Severity: logs.Error, Labels: logs.Labels{Service: "shop", Version: "v2", Ring: "canary", Unit: "local", Instance: "1", Source: logs.Gateway}, Text: "GET /checkout 500", Trace: "4bf92f", Span: "00f067",
		Attributes: map[string]string{"path": "/checkout", "code": "500"}}
	must(t, s.Append(t.Context(), logs.Batch{Entries: []logs.Entry{full, entry(1, "shop", "v1", "ok")}}))
	look := func() {
		t.Helper()
		page, err := s.Find(t.Context(), logs.Query{Filter: logs.Filter{Service: []string{"shop"}}})
		must(t, err)
		want := full
		want.Seq = 1
		if len(page.Entries) != 2 || page.Last != 2 {
			t.Fatalf("%+v", page)
		}
		if d := cmp.Diff(want, page.Entries[1]); d != "" {
			t.Error(d)
		}
	}
	look()
	must(t, s.Close())
	s = open(t, segment.Options{Dir: dir}) // what was open is rewritten now
	look()
	must(t, s.Close())
	if sealed, _ := filepath.Glob(filepath.Join(dir, "*.seg")); len(sealed) != 1 {
		t.Errorf("no file was rewritten: %v", sealed)
	}
	s = open(t, segment.Options{Dir: dir})
	look()
}

func TestQuestions(t *testing.T) {
	s := open(t, segment.Options{})
	for i := range 50 {
		e := entry(i, "shop", "v"+strconv.Itoa(i%2), fmt.Sprintf("Request %d of Ann", i))
		e.Ring = []string{"canary", "all"}[i%2]
		if i%10 == 0 {
			e.Severity, e.Text = logs.Error, fmt.Sprintf("payment of request %d REFUSED: no card", i)
		}
		must(t, s.Append(t.Context(), logs.Batch{Entries: []logs.Entry{e, entry(i, "other", "v1", "noise")}}))
	}
	for _, c := range []struct {
		name string
		f    logs.Filter
		want int
	}{
		{"service", logs.Filter{Service: []string{"shop"}}, 50},
		{"version", logs.Filter{Service: []string{"shop"}, Version: []string{"v1"}}, 25},
		{"ring or ring", logs.Filter{Ring: []string{"canary", "all"}}, 50},
		{"severity", logs.Filter{Severity: logs.Warn}, 5},
		{"words in any case", logs.Filter{Text: "refused PAYMENT"}, 5},
		{"a phrase", logs.Filter{Text: `"refused: no"`}, 5},
		{"not a word", logs.Filter{Service: []string{"shop"}, Text: "request -refused"}, 45},
		{"time", logs.Filter{Service: []string{"shop"}, From: start.Add(10 * time.Second), To: start.Add(20 * time.Second)}, 10},
		{"nothing", logs.Filter{Service: []string{"none"}}, 0},
	} {
		page, err := s.Find(t.Context(), logs.Query{Filter: c.f})
		must(t, err)
		if len(page.Entries) != c.want {
			t.Errorf("%s: %d entries, expected %d", c.name, len(page.Entries), c.want)
		}
		counts, err := s.Count(t.Context(), logs.CountQuery{Filter: c.f, By: []string{"version", "ring"}})
		must(t, err)
		sum := int64(0)
		for _, n := range counts.All {
			sum += n.Entries
		}
		if sum != int64(c.want) {
			t.Errorf("%s: counted %d, expected %d", c.name, sum, c.want)
		}
	}
	if _, err := s.Find(t.Context(), logs.Query{Filter: logs.Filter{From: start, To: start.Add(-1)}}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a time that ends before it begins: %v", err)
	}
	counts, err := s.Count(t.Context(), logs.CountQuery{Filter: logs.Filter{Service: []string{"shop"}, From: start, To: start.Add(50 * time.Second)}, By: []string{"version"}, Step: 10 * time.Second})
	must(t, err)
	if len(counts.All) != 2 || counts.All[0].Values[0] != "v0" || counts.All[0].Errors != 5 || !slices.Equal(counts.All[1].Steps, []int64{5, 5, 5, 5, 5}) {
		t.Errorf("%+v", counts)
	}
}

// Whatever was appended, in whatever batches and files, comes back whole, in order and once, page by page and followed.
func TestPagesAndTails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "segment")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		o := segment.Options{Dir: dir, Now: func() time.Time { return start.Add(time.Hour) }, SealBytes: 512, MinFree: 1}
		s, err := segment.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for b := range rapid.IntRange(1, 12).Draw(t, "batches") {
			var batch logs.Batch
			for i := range rapid.IntRange(1, 20).Draw(t, "entries") {
				text := fmt.Sprintf("%d/%d", b, i)
				e := entry(rapid.IntRange(0, 30).Draw(t, "second"), rapid.SampledFrom([]string{"shop", "blog"}).Draw(t, "service"), "v1", text)
				batch.Entries = append(batch.Entries, e)
				want = append(want, text)
			}
			if err := s.Append(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 5).Draw(t, "restart") == 0 {
				_ = s.Close()
				if s, err = segment.Open(o); err != nil {
					t.Fatal(err)
				}
			}
		}
		defer func() { _ = s.Close() }()
		var got, tail []string
		var before logs.Cursor
		for {
			page, err := s.Find(context.Background(), logs.Query{Limit: 7, Before: before})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Entries {
				if !before.IsZero() && !e.At().Before(before) {
					t.Fatalf("%s comes after %s", e.At(), before)
				}
				before = e.At()
				got = append(got, e.Text)
			}
			if page.Next.IsZero() {
				break
			}
		}
		for after := uint64(0); ; {
			page, err := s.Find(context.Background(), logs.Query{Limit: 7, After: after, Tail: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Entries {
				tail = append(tail, e.Text)
			}
			if after = page.Last; len(page.Entries) == 0 {
				break
			}
		}
		if !slices.Equal(tail, want) {
			t.Fatalf("followed: %v\nexpected %v", tail, want)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("paged: %v\nexpected %v", got, want)
		}
	})
}

func TestAStreamIsTakenOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, segment.Options{Dir: dir, SealBytes: 300})
	send := func(from, to int64, text string) {
		must(t, s.Append(t.Context(), logs.Batch{Stream: "a", From: from, To: to, Entries: []logs.Entry{entry(int(to), "shop", "v1", text)}}))
	}
	for i := range int64(10) {
		send(i*10, i*10+10, fmt.Sprint(i))
		send(i*10, i*10+10, fmt.Sprint(i)) // the answer was lost
		send(i*10, i*10+15, "overlaps")
	}
	must(t, s.Close())
	s = open(t, segment.Options{Dir: dir, SealBytes: 300})
	send(90, 100, "again")
	if s.Position("a") != 100 {
		t.Errorf("position %d", s.Position("a"))
	}
	page, err := s.Find(t.Context(), logs.Query{})
	must(t, err)
	if len(page.Entries) != 10 {
		t.Errorf("%d entries, expected 10", len(page.Entries))
	}
}

func TestLimitAndRetention(t *testing.T) {
	dir := t.TempDir()
	now := start
	o := segment.Options{Dir: dir, MaxBytes: 64 << 10, SealBytes: 8 << 10, Retention: time.Hour, Now: func() time.Time { return now }}
	s := open(t, o)
	for i := range 400 {
		e := entry(0, "shop", "v1", fmt.Sprintf("%d %s", i, noise(600)))
		e.Time = now
		must(t, s.Append(t.Context(), logs.Batch{Entries: []logs.Entry{e}}))
		if st := s.Stats(); st.Bytes > o.MaxBytes {
			t.Fatalf("%d bytes, allowed are %d", st.Bytes, o.MaxBytes)
		}
	}
	page, err := s.Find(t.Context(), logs.Query{Limit: 1000})
	must(t, err)
	if n := len(page.Entries); n < 30 || n > 300 || !strings.HasPrefix(page.Entries[0].Text, "399 ") {
		t.Errorf("%d entries are left, the newest %.20q", n, page.Entries[0].Text)
	}
	now = now.Add(2 * time.Hour)
	e := entry(0, "shop", "v1", "new")
	e.Time = now
	must(t, s.Append(t.Context(), logs.Batch{Entries: []logs.Entry{e}}))
	s.Sweep()
	if page, err = s.Find(t.Context(), logs.Query{}); err != nil || len(page.Entries) != 1 || s.Stats().Files > 2 {
		t.Errorf("%d entries, %+v, %v", len(page.Entries), s.Stats(), err)
	}
}

func noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rand.IntN(26))
	}
	return string(b)
}

func TestAFullDiskRefusesAndHeals(t *testing.T) {
	room := int64(1 << 30)
	var mu sync.Mutex
	s := open(t, segment.Options{MinFree: 1 << 20, Free: func(string) (int64, error) { mu.Lock(); defer mu.Unlock(); return room, nil }})
	one := func() error {
		return s.Append(t.Context(), logs.Batch{Entries: []logs.Entry{entry(1, "shop", "v1", "x")}})
	}
	must(t, one())
	mu.Lock()
	room = 1000
	mu.Unlock()
	if err := one(); !errs.Is(err, errs.Unavailable) || s.Stats().Full == "" {
		t.Fatalf("a full disk: %v, %+v", err, s.Stats())
	}
	mu.Lock()
	room = 1 << 30
	mu.Unlock()
	must(t, one())
	if page, err := s.Find(t.Context(), logs.Query{}); err != nil || len(page.Entries) != 2 || s.Stats().Full != "" {
		t.Errorf("%d entries, %+v, %v", len(page.Entries), s.Stats(), err)
	}
}

// child is this test as another process, which appends until it cannot.
func child(t *testing.T, mode, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=TestMain")
	cmd.Env = append(os.Environ(), "SEGMENT_CHILD="+mode, "SEGMENT_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestMain(m *testing.M) {
	dir := os.Getenv("SEGMENT_DIR")
	switch os.Getenv("SEGMENT_CHILD") {
	case "":
		os.Exit(m.Run())
	case "small": // files may not grow over this: writes fail in the middle
		_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 20_000, Max: 20_000})
	}
	s, err := segment.Open(segment.Options{Dir: dir, MinFree: 1, SealBytes: 1 << 40, MaxBytes: 1 << 41})
	if err != nil {
		fmt.Println("open", err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		if err := s.Append(context.Background(), logs.Batch{Entries: []logs.Entry{{Time: time.Now(), Text: fmt.Sprint(i, " ", noise(200))}}}); err != nil {
			fmt.Println("refused", errs.Is(err, errs.Unavailable))
			os.Exit(0)
		}
		fmt.Println(i)
	}
}

func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		cmd := child(t, "run", dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		told, in := 0, bufio.NewScanner(out)
		for in.Scan() {
			if told++; told == 40+round {
				must(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait()
		s := open(t, segment.Options{Dir: dir, Now: time.Now})
		page, err := s.Find(t.Context(), logs.Query{Limit: 5000})
		must(t, err)
		n := 0
		for _, e := range page.Entries {
			if i, err := strconv.Atoi(strings.Fields(e.Text)[0]); err == nil && i < told {
				n++
			}
		}
		if n < told*(round+1)-3*round { // rounds before told one or two fewer
			t.Fatalf("round %d: %d of %d acknowledged entries are there", round, n, told*(round+1))
		}
		must(t, s.Close())
	}
}

func TestAWriteThatFailsIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	out, err := child(t, "small", dir).Output()
	must(t, err)
	words := strings.Fields(string(out))
	if len(words) < 10 || strings.Join(words[len(words)-2:], " ") != "refused true" {
		t.Fatalf("%s", out)
	}
	s := open(t, segment.Options{Dir: dir, Now: time.Now})
	page, err := s.Find(t.Context(), logs.Query{Limit: 5000})
	if err != nil || len(page.Entries) != len(words)-2 || page.Partial {
		t.Errorf("%d entries of %d acknowledged, %v", len(page.Entries), len(words)-2, err)
	}
	must(t, s.Append(t.Context(), logs.Batch{Entries: []logs.Entry{entry(1, "shop", "v1", "after")}}))
}

func TestWhatIsTornOrRottenDoesNotStopTheRest(t *testing.T) {
	dir := t.TempDir()
	s := open(t, segment.Options{Dir: dir})
	for i := range 5 {
		must(t, s.Append(t.Context(), logs.Batch{Entries: []logs.Entry{entry(i, "shop", "v1", noise(100))}}))
	}
	must(t, s.Close())
	names, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	f, err := os.OpenFile(names[len(names)-1], os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("half a frame")
	must(t, errors.Join(err, f.Close()))
	s = open(t, segment.Options{Dir: dir})
	page, err := s.Find(t.Context(), logs.Query{})
	if err != nil || len(page.Entries) != 5 || page.Partial {
		t.Fatalf("%d entries, %v", len(page.Entries), err)
	}
	must(t, s.Close())
	sealed, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	b, err := os.ReadFile(sealed[0])
	must(t, err)
	b[len(b)-3] ^= 0xff
	must(t, os.WriteFile(sealed[0], b, 0o600))
	s = open(t, segment.Options{Dir: dir})
	if page, err = s.Find(t.Context(), logs.Query{}); err != nil || !page.Partial {
		t.Errorf("a rotten frame: %+v, %v", page, err)
	}
}

func TestManyAppendAtOnce(t *testing.T) {
	s := open(t, segment.Options{SealBytes: 4 << 10})
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 20 {
				if err := s.Append(context.Background(), logs.Batch{Entries: []logs.Entry{entry(i, "shop", "v"+strconv.Itoa(w), noise(80))}}); err != nil {
					t.Error(err)
				}
				if _, err := s.Find(context.Background(), logs.Query{Limit: 5}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	counts, err := s.Count(t.Context(), logs.CountQuery{By: []string{"version"}})
	must(t, err)
	if len(counts.All) != 8 || counts.All[7].Entries != 20 {
		t.Errorf("%+v", counts)
	}
}
