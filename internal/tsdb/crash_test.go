package tsdb

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/ringfence/ringfence/internal/errs"
)

const childEnv = "RINGFENCE_TSDB_CHILD"

func TestMain(m *testing.M) {
	switch mode, dir, _ := strings.Cut(os.Getenv(childEnv), ":"); mode {
	case "append":
		childAppends(dir)
	case "full":
		childFillsDisk(dir)
	default:
		os.Exit(m.Run())
	}
}

func childTarget() Target {
	t, _, _ := Target{URL: "http://gw/metrics", Gateway: true}.normal()
	return t
}

// childAppends stores one scrape after the other and says so each time, until it is killed.
func childAppends(dir string) {
	db, err := Open(Options{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	in := newIngest(childTarget())
	at := time.Now().Add(-time.Hour).Truncate(time.Second).UnixMilli()
	if stored, err := db.Query(context.Background(), `max(max_over_time(timestamp(n)[2h:1s]))`, time.Now()); err == nil && len(stored) == 1 {
		at = int64(stored[0].Value * 1000)
	}
	for i := 1; ; i++ {
		body := fmt.Sprintf("n %d\n%s %d\n", i, req("v2", "canary", "200"), i)
		if err := db.store(&in, at+int64(i)*1000, "text/plain", []byte(body), 0, nil); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(i, at+int64(i)*1000)
	}
}

func startChild(t *testing.T, mode, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+mode+":"+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

func TestWhatWasCommittedSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		cmd, lines := startChild(t, "append", dir)
		var last string
		for range 40 + 25*round {
			if !lines.Scan() || strings.HasPrefix(lines.Text(), "error") {
				t.Fatalf("child said %q", lines.Text())
			}
			last = lines.Text()
		}
		if round == 0 {
			_, err := Open(Options{Dir: dir})
			if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "in use by another process") {
				t.Errorf("a second opener got %v", err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it had said and we had not read is a promise too
			last = lines.Text()
		}
		_ = cmd.Wait()

		n, at, _ := strings.Cut(last, " ")
		want, _ := strconv.ParseFloat(n, 64)
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			t.Fatalf("child's last line is %q", last)
		}
		db, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if got := one(t, db, "n", time.UnixMilli(ms)); got != want {
			t.Errorf("round %d: the last stored value is %v, expected %v", round, got, want)
		}
		samples, _, err := db.Counts(t.Context(), CountsQuery{Service: "shop", Canary: "v2", From: time.UnixMilli(ms - int64(want-1)*1000), To: time.UnixMilli(ms)})
		if err != nil || sum(samples).Canary.Requests != int64(want)-1 || len(samples) != int(want)-1 {
			t.Errorf("round %d: %d samples with %+v after the kill, %v", round, len(samples), sum(samples).Canary, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecondOpenerInThisProcess(t *testing.T) {
	dir := t.TempDir()
	openTest(t, Options{Dir: dir})
	if db, err := Open(Options{Dir: dir}); !errs.Is(err, errs.Conflict) {
		t.Errorf("second opener: %v, %v", db, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    Options
		kind errs.Kind
	}{
		"no folder":          {Options{}, errs.Invalid},
		"short retention":    {Options{Dir: t.TempDir(), Retention: time.Minute}, errs.Invalid},
		"negative retention": {Options{Dir: t.TempDir(), Retention: -1}, errs.Invalid},
		"negative size":      {Options{Dir: t.TempDir(), MaxBytes: -1}, errs.Invalid},
		"a file":             {Options{Dir: file}, errs.Unavailable},
		"below a file":       {Options{Dir: filepath.Join(file, "x")}, errs.Unavailable},
	} {
		if _, err := Open(c.o); !errs.Is(err, c.kind) {
			t.Errorf("%s: %v, expected %s", name, err, c.kind)
		}
	}
}

func TestATornTailIsCutOff(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, Options{Dir: dir})
	at := time.Now().Add(-time.Minute)
	putScrape(t, db, "a", at, map[string]float64{"n": 7})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "wal", "0*"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	f, err := os.OpenFile(segments[len(segments)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\x01\x02torn"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, Options{Dir: dir})
	if got := one(t, again, "n", at); got != 7 {
		t.Errorf("n: %v", got)
	}
}

func TestANearlyFullDiskStopsScrapesOnly(t *testing.T) {
	p := &pages{}
	p.text("a", "n 1\n")
	db := openTest(t, Options{Transport: p})
	free := uint64(1 << 40)
	db.space.free = func() (uint64, error) { return free, nil }
	in := newIngest(childTarget())
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	store := func(s int) error {
		db.space.asked = time.Time{}
		return db.store(&in, at.UnixMilli()+int64(s)*1000, "text/plain", []byte("n 1\n"), 0, nil)
	}
	if err := store(0); err != nil {
		t.Fatal(err)
	}
	free = diskReserve - 1
	if err := store(1); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "nearly full") {
		t.Errorf("with a full disk: %v", err)
	}
	if err := db.maintainOnce(t.Context()); !errs.Is(err, errs.Unavailable) {
		t.Errorf("maintenance with a full disk: %v", err)
	}
	one(t, db, "n", at.Add(time.Second))
	free = 1 << 40
	if err := store(2); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if err := db.maintainOnce(t.Context()); err != nil {
		t.Errorf("maintenance with space again: %v", err)
	}
}

// childFillsDisk runs into a limit on the size of files, which fails writes as a full disk does.
func childFillsDisk(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	db, err := Open(Options{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	limit := syscall.Rlimit{Cur: 200 << 10, Max: 200 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	in := newIngest(childTarget())
	at := time.Now().Add(-time.Hour).Truncate(time.Second).UnixMilli()
	failures, stored := 0, 0
	for i := range 400 {
		body := &strings.Builder{}
		for j := range 50 {
			fmt.Fprintf(body, "n{j=\"%d\",i=\"%d\"} 1\n", j, i)
		}
		if err := db.store(&in, at+int64(i)*1000, "text/plain", []byte(body.String()), 0, nil); err != nil {
			failures++
		} else {
			stored++
		}
	}
	vs, err := db.Query(context.Background(), `count(count_over_time(n[2h]))`, time.Now())
	fmt.Println(failures > 0, stored > 0, len(vs), err)
	os.Exit(0)
}

func TestFailingWritesDoNotKill(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := startChild(t, "full", dir)
	var said string
	for lines.Scan() {
		said = lines.Text()
	}
	if err := cmd.Wait(); err != nil || said != "true true 1 <nil>" {
		t.Fatalf("child ended with %v and said %q", err, said)
	}
	db := openTest(t, Options{Dir: dir})
	if got := one(t, db, `count(count_over_time(n[2h]))`, time.Now()); got < 50 {
		t.Errorf("%v series are left", got)
	}
	at := time.Now()
	app := db.tsdb.Appender(t.Context())
	if _, err := app.Append(0, labels.FromStrings("__name__", "again"), at.UnixMilli(), 1); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	one(t, db, "again", at)
}
