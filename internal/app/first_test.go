package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// begin runs Up over fake planes to its end.
func begin(t *testing.T, data string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := Up(ctx, UpConfig{Data: data, Listen: "127.0.0.1:0", Gateway: "127.0.0.1:0", Admin: "127.0.0.1:0", Unit: "local",
		Scrape: time.Second, Step: time.Second, Out: io.Discard, Logger: slog.New(slog.DiscardHandler)})
	if ctx.Err() != nil {
		t.Fatal("up did not end by itself")
	}
	return err
}

func spoil(t *testing.T, data, plane, how string) {
	t.Helper()
	if err := os.MkdirAll(folder(data, plane), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder(data, plane), how), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAPlaneThatCannotStartIsSaidAndNotTriedAgain(t *testing.T) {
	for _, c := range []struct {
		plane, how string
		kind       errs.Kind
		says, hint string
	}{
		{"server", "damaged", errs.Unavailable, "the control plane does not start: the server is damaged", "Restore a backup."},
		{"dataplane", "damaged", errs.Unavailable, "the data plane does not start: the dataplane is damaged", "Restore a backup."},
		{"server", "hopeless", errs.Internal, "the control plane does not start: exit status 2", "server.log"},
	} {
		t.Run(c.plane+" "+c.how, func(t *testing.T) {
			data := t.TempDir()
			stop := up(t, data) // it has run before: only this start counts, and the log has older words
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			spoil(t, data, c.plane, c.how)
			err := begin(t, data)
			if !errs.Is(err, c.kind) || err.Error() != c.says || !strings.Contains(errs.HintOf(err), c.hint) {
				t.Errorf("%v, hint %q", err, errs.HintOf(err))
			}
			nobodyHas(t, data)
			log, _ := os.ReadFile(filepath.Join(data, "run", c.plane+".log"))
			if n := strings.Count(string(log), c.how); n != 1 && c.how == "damaged" {
				t.Errorf("tried %d times", n)
			}
		})
	}
}

func TestAPlaneThatWasUpIsTriedAgainForEver(t *testing.T) {
	data := t.TempDir()
	stop := up(t, data)
	spoil(t, data, "server", "damaged")
	stays := pidOf(t, data, "dataplane")
	if err := syscall.Kill(pidOf(t, data, "server"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "two more starts", func() bool {
		log, _ := os.ReadFile(filepath.Join(data, "run", "server.log"))
		return strings.Count(string(log), "damaged") >= 2
	})
	if err := os.Remove(filepath.Join(data, "damaged")); err != nil {
		t.Fatal(err)
	}
	await(t, "a control plane", func() bool { pid := lockHolder(data, "server"); return pid != 0 && pid == pidOf(t, data, "server") })
	if pidOf(t, data, "dataplane") != stays || !alive(stays) {
		t.Error("the data plane did not stay")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Users who are served by a data plane that an earlier up left stay served when the database is out.
func TestADataPlaneThatServesOutlivesAnUpThatCannotBegin(t *testing.T) {
	data := t.TempDir()
	first, out := upProcess(t, data)
	await(t, "both planes", func() bool { return out.has("Ringfence is up") })
	plane := pidOf(t, data, "dataplane")
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	spoil(t, data, "server", "damaged")
	if err := syscall.Kill(pidOf(t, data, "server"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the control plane's end", func() bool { // else it would be taken over
		lock, err := tryLock(data, "server")
		if err == nil {
			_ = lock.Close()
		}
		return err == nil
	})
	if err := begin(t, data); !errs.Is(err, errs.Unavailable) {
		t.Error(err)
	}
	if pid := lockHolder(folder(data, "dataplane"), "dataplane"); pid != plane || !alive(plane) {
		t.Errorf("process %d has the data plane's folder, expected %d", pid, plane)
	}
}

func TestLastWords(t *testing.T) {
	log := filepath.Join(t.TempDir(), "server.log")
	before := "error: an older one\nhint: An older one.\n"
	for name, c := range map[string]struct{ content, message, hint string }{
		"none":          {"", "", ""},
		"a panic":       {"panic: x\n\ngoroutine 1 [running]:\n", "", ""},
		"an error":      {"level=INFO\nerror: no\n", "no", ""},
		"with a hint":   {"error: no\nhint: Do.\n", "no", "Do."},
		"the last":      {"error: a\nhint: A.\nerror: b\n", "b", ""},
		"after a flood": {strings.Repeat("x\n", 1<<16) + "error: no\n", "no", ""},
	} {
		if err := os.WriteFile(log, []byte(before+c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, h := lastWords(log, int64(len(before))); m != c.message || h != c.hint {
			t.Errorf("%s: %q, %q", name, m, h)
		}
	}
	if m, h := lastWords(log+".none", 0); m+h != "" {
		t.Errorf("no log: %q %q", m, h)
	}
}
