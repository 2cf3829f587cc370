// Package cli keeps the promises of the command line: each script in testdata is a session that a reader can follow.
package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// build makes what the scripts run: ringfence, and versions of the shop.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	shop := func(version, more string) []string {
		return []string{"build", "-o", filepath.Join(dir, "shop-"+version), "-ldflags", "-X main.version=" + version + more, "./examples/shop"}
	}
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(dir, "ringfence"), "./cmd/ringfence"},
		shop("v1", ""), shop("v2", ""), shop("v4", " -X main.ready=never"),
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return dir
}

func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary and runs it")
	}
	bin := build(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("RINGFENCE_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("BIN", bin)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await, "status": status},
	})
}

// await runs a command again and again until it succeeds, for at most 30 seconds.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: await command…")
	}
	end := time.Now().Add(30 * time.Second)
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v did not succeed: %v", args, err)
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
}

// status runs a command and compares its exit status: status 2 ringfence frobnicate.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = -1
		if exit, ok := err.(*exec.ExitError); ok {
			got = exit.ExitCode()
		}
	}
	if want := args[0]; fmt.Sprint(got) != want {
		ts.Fatalf("%v: exit status %d, expected %s", args[1:], got, want)
	}
}
