package check_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/check"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// script puts a program into a folder of its own and returns a runner that knows it as gate.
func script(t *testing.T, text string) *check.Runner {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gate"), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return check.New(check.Options{Commands: dir})
}

func command(timeout time.Duration, args ...string) check.Request {
	return check.Request{Kind: health.SignalCommand, Gate: "smoke", Vars: vars, Instances: []string{"127.0.0.1:1", "127.0.0.1:2"},
		Command: &resource.CommandGate{Name: "gate", Args: args, Timeout: fleet.Dur(timeout)}}
}

func TestCommandEnds(t *testing.T) {
	for _, c := range []struct {
		script  string
		verdict health.Verdict
		text    string
	}{
		{"exit 0", health.Pass, "command gate: exit status 0"},
		{"echo all well", health.Pass, "command gate: exit status 0: all well"},
		{"echo one; echo two >&2; exit 1", health.Fail, "command gate: exit status 1: two\none"},
		{"echo not yet; exit 2", health.Hold, "exit status 2: not yet"},
		{"exit 3", health.Hold, "exit status 3"},
		{"kill -TERM $$", health.Hold, "signal: terminated"},
		{"no-such-program-at-all", health.Hold, "exit status 127"},
		{"cat", health.Pass, "exit status 0"}, // nothing to read, and no terminal
		{`printf '\033[31mred\033[0m\r\n'`, health.Pass, "exit status 0: [31mred[0m"},
		{`printf '\377\376'`, health.Pass, "exit status 0: ?"},
	} {
		t.Run(c.script, func(t *testing.T) {
			wants(t, script(t, c.script).Run(t.Context(), command(0)), c.verdict, c.text)
		})
	}
}

func TestCommandOutputIsBounded(t *testing.T) {
	got := script(t, "yes | head -c 3000000; echo; echo the end").Run(t.Context(), command(0))
	wants(t, got, health.Pass, "exit status 0: the end\n…")
	if len(got.Text) > 4500 || len(got.Text) < 4000 {
		t.Errorf("kept %d bytes", len(got.Text))
	}
}

func TestCommandGetsItsArgumentsAndNothingElse(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hush")
	t.Setenv("PATH", "/usr/bin:/bin")
	got := script(t, `for a; do echo "[$a]"; done; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | sort`).Run(t.Context(), command(0, "--version={version}", "$(id); {ring} `id` *", "", "{other}"))
	_, out, _ := strings.Cut(got.Text, "\n")
	want := strings.Join([]string{"[--version=v3@c2]", "[$(id); early `id` *]", "[]", "[{other}]", "PATH=/usr/bin:/bin", "RINGFENCE_GATE=smoke",
		"RINGFENCE_INSTANCES=127.0.0.1:1 127.0.0.1:2", "RINGFENCE_RING=early", "RINGFENCE_ROLLOUT=shop-7", "RINGFENCE_SERVICE=shop", "RINGFENCE_STABLE=v2", "RINGFENCE_UNIT=eu"}, "\n")
	if d := cmp.Diff(want, out); d != "" || !strings.Contains(got.Text, "0: RINGFENCE_VERSION=v3@c2") {
		t.Error(got.Text, d)
	}
}

// running reports whether a process is there and not only a remainder that nobody waited for.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// ended waits for the process whose number is in a file to be gone.
func ended(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for running(pid) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d, started by the command, is still there", pid)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestCommandIsStoppedWithItsChildren(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	began := time.Now()
	got := script(t, "trap '' TERM INT HUP; (trap '' TERM; sleep 300) & echo $! > "+file+"; echo working; wait").Run(t.Context(), command(500*time.Millisecond))
	wants(t, got, health.Hold, "command gate was stopped after 500ms: working")
	ended(t, file)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestCommandLeavesNothingBehind(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	began := time.Now()
	wants(t, script(t, "sleep 300 & echo $! > "+file+"; exit 1").Run(t.Context(), command(0)), health.Fail, "exit status 1")
	ended(t, file)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("waited %v for what was left behind", took)
	}
}

func TestCommandIsWithdrawn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	runner, done := script(t, "echo $$ > "+file+".new; mv "+file+".new "+file+"; sleep 300"), make(chan health.Reading)
	go func() { done <- runner.Run(ctx, command(0)) }()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			break
		}
	}
	cancel()
	wants(t, <-done, health.Hold, "withdrawn")
	ended(t, file)
}

func TestCommandsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	put("plain", 0o644)
	put("open", 0o777)
	put("good", 0o755)
	put("odd", 0o755)
	if err := os.WriteFile(filepath.Join(dir, "odd"), []byte("#!/no/such/shell\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bin/true", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "folder", "gate"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{"": "expected the name", "none": "is not there", "plain": "is not executable", "open": "may be written by everyone", "link": "is not a regular file",
		"folder": "is not a regular file", "folder/gate": "expected the name", "../good": "expected the name", "/bin/true": "expected the name", "..": "expected the name",
		".good": "expected the name", "good\x00": "expected the name", "odd": "cannot be run: no such file"}
	if os.Getuid() == 0 {
		put("foreign", 0o755)
		if err := os.Chown(filepath.Join(dir, "foreign"), 12345, 0); err != nil {
			t.Fatal(err)
		}
		cases["foreign"] = "belongs to someone else"
	}
	ask := func(folder, name string) health.Reading {
		req := command(0)
		req.Command.Name = name
		return check.New(check.Options{Commands: folder}).Run(t.Context(), req)
	}
	for name, want := range cases {
		wants(t, ask(dir, name), health.Hold, want)
	}
	wants(t, ask(dir, "good"), health.Pass, "exit status 0")
	wants(t, ask("", "good"), health.Hold, "no folder of commands")
	wants(t, ask(filepath.Join(dir, "none"), "good"), health.Hold, "the folder of commands is not there")
	wants(t, ask(filepath.Join(dir, "good"), "good"), health.Hold, "the folder of commands is not a folder")
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	wants(t, ask(dir, "good"), health.Hold, "the folder of commands may be written by everyone")
}

// A folder may be given as it is seen from where the server was started.
func TestCommandsOfARelativeFolder(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("gates", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("gates/gate", []byte("#!/bin/sh\npwd\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	wants(t, check.New(check.Options{Commands: "gates"}).Run(t.Context(), command(0)), health.Pass, filepath.Join(dir, "gates"))
}
