package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/storetest"
)

// crashFile tells a copy of this test program to be the process that is killed.
const crashFile = "RINGFENCE_TEST_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		writeForEver(path)
	}
	os.Exit(m.Run())
}

// writeForEver commits from several goroutines and says on standard output what was acknowledged.
func writeForEver(path string) {
	s, err := Open(context.Background(), path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				_, err := s.Commit(context.Background(), store.Write{
					Puts:   []store.Doc{{Kind: "kept", Name: name, Body: []byte(`1`)}},
					Events: []audit.Event{{Time: time.Now(), Type: "write.done", Actor: "system:test", Subject: name}},
				})
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				if _, err := fmt.Println("kept", name); err != nil {
					os.Exit(1)
				}
			}
		}()
	}
	select {} // until killed
}

// TestCrash kills a writing process at random moments. What it was told is kept must be there, once, and what it
// was not told must be there whole or not at all.
func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringfence.db")
	acknowledged := map[string]bool{}
	for range 10 {
		writeAndKill(t, path, acknowledged)
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		checkKept(t, s, acknowledged)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d writes acknowledged", len(acknowledged))
}

func writeAndKill(t *testing.T, path string, acknowledged map[string]bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashFile+"="+path)
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill sync.Once
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		name, ok := strings.CutPrefix(lines.Text(), "kept ")
		if !ok {
			t.Errorf("the writer said %s", lines.Text())
			continue
		}
		if acknowledged[name] {
			t.Errorf("%s was acknowledged twice", name)
		}
		acknowledged[name] = true
		kill.Do(func() { time.AfterFunc(rand.N(120*time.Millisecond), func() { cmd.Process.Kill() }) })
	}
	_ = cmd.Wait() // killed
	if trouble.Len() > 0 {
		t.Error(trouble.String())
	}
}

func checkKept(t *testing.T, s *Store, acknowledged map[string]bool) {
	t.Helper()
	recorded := map[string]bool{}
	for _, e := range storetest.Record(t, s) {
		if recorded[e.Subject] {
			t.Fatalf("%s was recorded twice", e.Subject)
		}
		recorded[e.Subject] = true
	}
	docs := 0
	for page := (store.Page{Kind: "kept", Limit: 1000}); ; {
		got, err := s.List(t.Context(), page)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		for _, d := range got {
			if !recorded[d.Name] || d.Rev != 1 {
				t.Fatalf("%s revision %d: half a write", d.Name, d.Rev)
			}
		}
		docs += len(got)
		page.After = got[len(got)-1].Name
	}
	if docs != len(recorded) {
		t.Fatalf("%d documents and %d events: half a write", docs, len(recorded))
	}
	for name := range acknowledged {
		if !recorded[name] {
			t.Fatalf("%s was acknowledged and is lost", name)
		}
	}
}
