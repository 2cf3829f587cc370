package app

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// said is what was printed, by many.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.b.String(), text)
}

// up runs Up over fake planes until stop is called, which returns its error.
func up(t *testing.T, data string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, ended := &said{}, make(chan error, 1)
	c := UpConfig{Data: data, Listen: "127.0.0.1:0", Gateway: "127.0.0.1:0", Admin: "127.0.0.1:0", Unit: "local",
		Scrape: time.Second, Step: time.Second, Out: out, Logger: slog.New(slog.DiscardHandler)}
	go func() { ended <- Up(ctx, c) }()
	var once sync.Once
	stop = func() (err error) {
		once.Do(func() {
			cancel()
			err = <-ended
		})
		return err
	}
	t.Cleanup(func() { _ = stop() })
	await(t, "both planes", func() bool { return out.has("Ringfence is up") })
	return stop
}

// upProcess starts Up over fake planes in a process of its own.
func upProcess(t *testing.T, data string) (*exec.Cmd, *said) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd, out := exec.Command(self, "up", data), &said{}
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = Down(data) }) // finds nothing when the test went well
	return cmd, out
}

// nobodyHas checks that both planes have ended: their folders are free.
func nobodyHas(t *testing.T, data string) {
	t.Helper()
	for _, plane := range []string{"server", "dataplane"} {
		lock, err := tryLock(folder(data, plane), plane)
		if err != nil {
			t.Errorf("%s goes on: %v", plane, err)
			continue
		}
		_ = lock.Close()
	}
}

func pidOf(t *testing.T, data, plane string) int {
	t.Helper()
	r, err := ReadRunFile(folder(data, plane), plane)
	if err != nil {
		t.Fatal(err)
	}
	return r.PID
}

func TestAPlaneThatDiesIsStartedAgainAndTheOtherLeftAlone(t *testing.T) {
	data := t.TempDir()
	stop := up(t, data)
	for _, victim := range []string{"server", "dataplane"} {
		other := map[string]string{"server": "dataplane", "dataplane": "server"}[victim]
		died, stays := pidOf(t, data, victim), pidOf(t, data, other)
		if err := syscall.Kill(died, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(t, "another "+victim, func() bool { pid := pidOf(t, data, victim); return pid != died && alive(pid) })
		if pidOf(t, data, other) != stays || !alive(stays) {
			t.Errorf("%s was killed, and %s did not stay", victim, other)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(data, "ended")); string(b) != "dataplane\nserver\n" {
		t.Errorf("ended in this order: %q", b)
	}
}

func TestPlanesThatOutliveUpAreTakenOver(t *testing.T) {
	data := t.TempDir()
	first, out := upProcess(t, data)
	await(t, "both planes", func() bool { return out.has("Ringfence is up") })
	server := pidOf(t, data, "server")
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	// A plane that was killed while it started has the lock, and its run file is still that of the one before.
	if err := os.Remove(runPath(data, "server")); err != nil {
		t.Fatal(err)
	}
	p, err := holder(t.Context(), data, "server")
	if err != nil || p == nil || p.pid != server {
		t.Fatalf("%+v %v", p, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := UpConfig{Data: data, Logger: slog.New(slog.DiscardHandler)}
	ended := make(chan error, 2)
	for _, name := range []string{"server", "dataplane"} {
		go func() { ended <- c.supervise(ctx, name, nil) }()
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	nobodyHas(t, data)
	if b, _ := os.ReadFile(filepath.Join(data, "ended")); strings.Count(string(b), "\n") != 2 {
		t.Errorf("ended: %q", b)
	}
}

func TestDownStopsWhatRunsAndSaysWhenNothingDoes(t *testing.T) {
	data := t.TempDir()
	first, out := upProcess(t, data)
	reaped := make(chan error, 1)
	go func() { reaped <- first.Wait() }()
	await(t, "both planes", func() bool { return out.has("Ringfence is up") })
	if err := Down(data); err != nil {
		t.Fatal(err)
	}
	if err := <-reaped; err != nil {
		t.Errorf("up ended with %v", err)
	}
	nobodyHas(t, data)
	if err := Down(data); !errs.Is(err, errs.Missing) {
		t.Errorf("nothing runs: %v", err)
	}
}

// The database's URL holds a password: no plane gets it as an argument, and the data plane not at all.
func TestWhoKnowsTheDatabase(t *testing.T) {
	t.Setenv(databaseEnv, "postgres://ringfence:secret@db/ringfence")
	c := UpConfig{Database: os.Getenv(databaseEnv)}
	knows := func(env []string) bool {
		return slices.ContainsFunc(env, func(v string) bool { return strings.Contains(v, "secret") })
	}
	if !knows(c.environ("server")) || knows(c.environ("dataplane")) || knows(c.serverArgs()) || knows(c.dataPlaneArgs()) {
		t.Errorf("server %v, data plane %v, arguments %v %v", knows(c.environ("server")), knows(c.environ("dataplane")), c.serverArgs(), c.dataPlaneArgs())
	}
	if env := c.environ("server"); !slices.Contains(env, databaseEnv+"="+c.Database) || strings.Count(strings.Join(env, "\n"), databaseEnv+"=") != 1 {
		t.Error("the control plane does not get the URL once")
	}
}

func TestHowLongAnEndMayTake(t *testing.T) {
	data := t.TempDir()
	limits := func(dataplane, server, up time.Duration) {
		t.Helper()
		for plane, want := range map[string]time.Duration{"dataplane": dataplane, "server": server, "up": up} {
			if got := endingLimit(data, plane); got != want {
				t.Errorf("%s has %s, expected %s", plane, got, want)
			}
		}
	}
	limits(time.Minute, time.Minute, 2*time.Minute)
	slot := func(drain, grace time.Duration) fleet.Slot {
		return fleet.Slot{Drain: fleet.Dur(drain), StopGrace: fleet.Dur(grace)}
	}
	desired, err := json.Marshal(fleet.Desired{Services: []fleet.Service{
		{Name: "shop", Slots: []fleet.Slot{slot(30*time.Second, 10*time.Second), slot(10*time.Minute, time.Second)}},
		{Name: "cart", Slots: []fleet.Slot{slot(0, time.Minute)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(data, "dataplane", "desired.json"), desired); err != nil {
		t.Fatal(err)
	}
	limits(12*time.Minute, time.Minute, 13*time.Minute)
}
