package track

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// crashFolder tells a copy of this test program to be the process that is killed.
const crashFolder = "RINGFENCE_TEST_CRASH_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(crashFolder); folder != "" {
		serveForEver(folder)
	}
	os.Exit(m.Run())
}

func serveForEver(folder string) {
	s, err := Open(context.Background(), Options{Folder: folder})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	go func() { // so that it is folding at most times
		for range time.Tick(25 * time.Millisecond) {
			_ = s.Settle(context.Background())
		}
	}()
	fmt.Println("listening", l.Addr())
	fmt.Println("error", http.Serve(l, s.Handler(everyone, nil)))
	os.Exit(1)
}

var everyone = KeysFunc(func(*http.Request) (string, error) { return "prod", nil })

// load sends batches of its own and remembers which were acknowledged.
type load struct {
	mu           sync.Mutex
	sent         int
	acknowledged map[int]bool
}

const perBatch = 50

func (l *load) next() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	return l.sent - 1
}

func batchBody(n int, when time.Time) []byte {
	b := []byte(`{"events":[`)
	for i := range perBatch {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"type":"metric","targetingKey":"%d","metric":"order","value":%d,"id":"%d-%d","time":%q}`, n, i, n, i, when.Format(time.RFC3339))
	}
	return append(b, "]}"...)
}

// send posts batch n; what fails was not acknowledged.
func (l *load) send(client *http.Client, address string, n int, when time.Time) bool {
	resp, err := client.Post("http://"+address+"/v1/track", "application/json", bytes.NewReader(batchBody(n, when)))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[n] = true
	return true
}

// TestCrash kills a server at random moments under load: everything acknowledged is there once, and every batch
// whole or not at all. Then all is sent again, and nothing is there twice.
func TestCrash(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "events")
	l := &load{acknowledged: map[int]bool{}}
	when := time.Now().Add(-time.Minute)
	for range 8 {
		serveAndKill(t, folder, func(address string, kill func(), stop <-chan struct{}) {
			var wg sync.WaitGroup
			var once sync.Once
			for range 4 {
				wg.Go(func() {
					client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
					defer client.CloseIdleConnections()
					for {
						select {
						case <-stop:
							return
						default:
						}
						if !l.send(client, address, l.next(), when) {
							return
						}
						once.Do(kill)
					}
				})
			}
			wg.Wait()
		})
	}
	s := openAt(t, folder, time.Now)
	found := perUser(t, s)
	for n := range l.sent {
		if got := found[n]; got != perBatch && (got != 0 || l.acknowledged[n]) {
			t.Errorf("batch %d, acknowledged %v: %d events are there", n, l.acknowledged[n], got)
		}
	}
	if len(l.acknowledged) < 8 {
		t.Fatalf("only %d batches were acknowledged", len(l.acknowledged))
	}
	t.Logf("%d of %d batches were acknowledged, %d are there", len(l.acknowledged), l.sent, len(found))
	for n := range l.sent {
		events, err := parseTrack(batchBody(n, when), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := take(t, s, events...); found[n] == perBatch && got.Duplicates != perBatch || found[n] == 0 && got.Accepted != perBatch {
			t.Errorf("batch %d again, of which there were %d: %+v", n, found[n], got)
		}
	}
	for n, got := range perUser(t, s) {
		if got != perBatch {
			t.Errorf("batch %d: %d events are there after it was sent again", n, got)
		}
	}
}

// serveAndKill runs work beside a server, which is killed a little after kill was called. Then stop is closed.
func serveAndKill(t *testing.T, folder string, work func(address string, kill func(), stop <-chan struct{})) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashFolder+"="+folder)
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		_ = cmd.Wait()
		t.Fatalf("the server said nothing; %s", trouble.String())
	}
	address, ok := strings.CutPrefix(lines.Text(), "listening ")
	if !ok {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("the server said %s", lines.Text())
	}
	stop := make(chan struct{})
	work(address, func() {
		time.AfterFunc(rand.N(300*time.Millisecond), func() {
			_ = cmd.Process.Kill()
			close(stop)
		})
	}, stop)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if trouble.Len() > 0 {
		t.Error(trouble.String())
	}
}

// perUser counts metric events by user, in which a batch is one.
func perUser(t *testing.T, s *Store) map[int]int {
	t.Helper()
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := s.events.reader.Query("SELECT CAST(u.key AS INTEGER), count(*) FROM metrics m JOIN users u ON u.id = m.user GROUP BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[int]int{}
	for rows.Next() {
		var n, c int
		if err := rows.Scan(&n, &c); err != nil {
			t.Fatal(err)
		}
		all[n] = c
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
