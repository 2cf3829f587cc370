// Package cli keeps the promises of the command line: each script in testdata is a session that a reader can follow.
package cli

import (
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ringfence/ringfence/internal/store/pgtest"
	"github.com/ringfence/ringfence/test/sandbox"
)

// programs is the folder with ringfence and the shop's versions.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // everything here builds the binary and runs it
	}
	_ = flag.Set("test.parallel", "6") // scripts mostly wait
	sandbox.Main(m, &programs)
}

func TestScripts(t *testing.T) { run(t, "testdata") }

func TestPostgres(t *testing.T) {
	server, err := pgtest.Start(pgtest.NeedBinaries(t), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	run(t, filepath.Join("testdata", "postgres"), "DATABASE="+server.Address("scripts"), "DATABASE2="+server.Address("more"), "SERVER_URL="+server.Address(""),
		"DATABASE_URL="+strings.Replace(server.Address(""), "/postgres?", "/shop?", 1), // which a script makes: in the first, sessions of others are
		"LAYERS_URL="+strings.Replace(server.Address(""), "/postgres?", "/layers?", 1))
}

// TestPrometheus runs the sessions with a Prometheus server, the one that make prometheus builds.
func TestPrometheus(t *testing.T) {
	folder, err := filepath.Abs(filepath.Join(sandbox.Root, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "prometheus")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("there is no bin/prometheus; build it with: make prometheus")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // an address that nobody has; it has no way to say which it took itself
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	run(t, filepath.Join("testdata", "prometheus"), "METRICS="+l.Addr().String(), "PATH="+strings.Join([]string{programs, folder, os.Getenv("PATH")}, string(os.PathListSeparator)))
}

func run(t *testing.T, dir string, env ...string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", programs+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("RINGFENCE_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("BIN", programs)
			e.Vars = append(e.Vars, env...)
			e.Values[stateKey{}] = &state{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "status": status, "up": up, "quit": quit, "kill9": kill9, "visit": visit, "asked": asked, "traffic": traffic,
			"served": served, "where": where, "instance": instance, "receive": receive, "received": received, "come": come,
			"told": told, "flood": flood,
		},
	})
}
