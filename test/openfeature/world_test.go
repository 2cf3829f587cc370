package openfeature

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	of "github.com/open-feature/go-sdk/openfeature"
)

const flags = `{
  "metadata": {"flagSetId": "shop"},
  "$evaluators": {"staff": {"ends_with": [{"var": "email"}, "@example.com"]}},
  "flags": {
    "on": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on", "metadata": {"team": "web"}},
    "text": {"state": "ENABLED", "variants": {"new": "b", "old": "a"}, "defaultVariant": "old", "targeting": {"if": [{"$ref": "staff"}, "new"]}},
    "whole": {"state": "ENABLED", "variants": {"small": 10, "large": 100}, "defaultVariant": "small"},
    "part": {"state": "ENABLED", "variants": {"half": 0.5}, "defaultVariant": "half"},
    "object": {"state": "ENABLED", "variants": {"a": {"x": "y", "n": 3}}, "defaultVariant": "a"},
    "disabled": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
    "code": {"state": "ENABLED", "variants": {"on": true}},
    "share": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"fractional": [["on", 50], ["off", 50]]}}}}`

const second = `{"flags": {"only": {"state": "ENABLED", "variants": {"here": "second"}, "defaultVariant": "here"}}}`

var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ringfence-openfeature-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "ringfence")
	build := exec.Command("go", "build", "-o", binary, "./cmd/ringfence")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("%s%v\n", out, err)
		return 1
	}
	return m.Run()
}

// server is `ringfence flags serve` with the flags above, and how to reach it.
type server struct {
	t     *testing.T
	dir   string
	args  []string
	cmd   *exec.Cmd
	ports [4]uint16 // evaluation, management, sync, OFREP
}

var listening = regexp.MustCompile(`evaluation \S+:(\d+), management \S+:(\d+), sync \S+:(\d+), OFREP \S+:(\d+)`)

func serve(t *testing.T, args ...string) *server {
	s := &server{t: t, dir: t.TempDir()}
	s.write("flags.json", flags)
	s.write("second.json", second)
	s.args = append([]string{"flags", "serve", "--config", s.path("flags.json"), "--config", s.path("second.json"), "--context-value", "injected=set"}, args...)
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name)+".new", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.path(name)+".new", s.path(name)); err != nil {
		s.t.Fatal(err)
	}
}

// start starts the server; the second time on the ports that it had.
func (s *server) start() {
	s.t.Helper()
	args := s.args
	for i, option := range []string{"--port", "--management-port", "--sync-port", "--ofrep-port"} {
		args = append(args, option, strconv.Itoa(int(s.ports[i])))
	}
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	at := listening.FindStringSubmatch(line)
	if err != nil || at == nil {
		s.t.Fatalf("%q %v", line, err)
	}
	for i, text := range at[1:] {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			s.t.Fatal(err)
		}
		s.ports[i] = uint16(n)
	}
}

func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			s.t.Errorf("stopped with %v", err)
		}
	case <-time.After(10 * time.Second):
		s.t.Error("does not stop")
		_ = s.cmd.Process.Kill()
	}
	s.cmd = nil
}

// client is the SDK with a provider.
func client(t *testing.T, p of.FeatureProvider) *of.Client {
	t.Helper()
	domain := strings.ReplaceAll(t.Name(), "/", "-")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := of.SetNamedProviderWithContextAndWait(ctx, domain, p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s, ok := p.(of.StateHandler); ok {
			s.Shutdown()
		}
	})
	return of.NewClient(domain)
}

// eventually waits for what providers hear of in time.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// settled waits until the flags are served that the file has.
func (s *server) settled() {
	s.t.Helper()
	c := client(s.t, kinds["ofrep"](s.t, s))
	eventually(s.t, "the flags are not served", func() bool {
		v, err := c.BooleanValue(s.t.Context(), "on", false, of.EvaluationContext{})
		return err == nil && v
	})
}

func person(key string) of.EvaluationContext { return of.NewEvaluationContext(key, nil) }
