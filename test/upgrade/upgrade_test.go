package upgrade

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/test/sandbox"
	"github.com/ringfence/ringfence/test/strict"
)

var programs string

// The test's binary is also the service that is served.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		fmt.Fprintln(os.Stderr, serve(os.Args[2]))
		os.Exit(1)
	}
	sandbox.Main(m, &programs)
}

const service = `
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: quick}
spec:
  rings:
    - {name: all, bake: 1s}
---
apiVersion: ringfence.dev/v1
kind: Service
metadata: {name: shop}
spec:
  run: {command: ["{artifact}", "serve", "{address}"], instances: 2}
  ready: {tcp: true, within: 1m}
  route: {host: shop.localhost, targetingKey: {header: X-User-ID}}
  plan: quick
`

// rig is a Ringfence that serves the shop.
type rig struct {
	t    *testing.T
	up   *sandbox.Up
	data string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, data: filepath.Join(t.TempDir(), "data")}
	if r.up, err = sandbox.Start(programs, r.data, os.Environ(), sandbox.Quick...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.up.Logs())
		}
		r.up.Stop()
	})
	r.ringfence(service, "apply", "-f", "-")
	r.ringfence("", "release", "shop", "--version", "v1", "--artifact", self, "--watch")
	return r
}

func (r *rig) command(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(programs, "ringfence"), append(args, "--data", r.data)...)
}

// ringfence runs a command that must succeed, and returns what it printed.
func (r *rig) ringfence(in string, args ...string) string {
	r.t.Helper()
	cmd := r.command(args...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("ringfence %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestUpgrades upgrades and goes back in turn, RINGFENCE_UPGRADES times, else three, between the binary of this tree and, when
// RINGFENCE_FORMER names one, another; with the same one it is a hand-over all the same. Every third time it is a plane alone.
func TestUpgrades(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	times := 3
	if n, err := strconv.Atoi(os.Getenv("RINGFENCE_UPGRADES")); err == nil {
		times = n
	}
	now := filepath.Join(programs, "ringfence")
	former := now
	if path := os.Getenv("RINGFENCE_FORMER"); path != "" {
		former = path
	}
	r := newRig(t)
	up, ringfence := r.up, r.ringfence
	loads := map[string]*strict.Load{
		"kept":     {Clients: 6, Posts: 0.3, Think: 10 * time.Millisecond},
		"new each": {Clients: 3, Fresh: 1, Posts: 0.3, Think: 10 * time.Millisecond},
		"20 % new": {Clients: 3, Fresh: 0.2, Posts: 0.3, Think: 5 * time.Millisecond},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for _, l := range loads {
		l.Addr, l.Host, l.Path = up.Gateway, "shop.localhost", "/"
		work.Go(func() { l.Run(ctx) })
	}
	kinds := map[string]*client{"HTTP/2": {}, "event stream": {}, "WebSocket": {}}
	for name, use := range map[string]func(*client, context.Context){"HTTP/2": (*client).http2, "event stream": (*client).events, "WebSocket": (*client).socket} {
		kinds[name].gateway = up.Gateway
		work.Go(func() { use(kinds[name], ctx) })
	}
	began := time.Now()
	for i := range times {
		args := []string{"upgrade", "--to", []string{former, now}[i%2]}
		if i%3 == 2 {
			args = append(args, "--only", []string{"control", "data"}[i/3%2])
		}
		ringfence("", args...)
	}
	took := time.Since(began)
	cancel()
	work.Wait()
	t.Logf("%d upgrades in %s", times, took.Round(time.Second))
	for name, l := range loads {
		t.Logf("connections %-8s %7d requests on %7d connections, %d lost", name, l.Requests.Load(), l.Connections.Load(), l.Losses())
		if l.Losses() > 0 || l.Requests.Load() < 10 {
			t.Errorf("connections %s: %s", name, l.Why())
		}
	}
	for name, c := range kinds {
		c.report(t, name)
	}
	if said := ringfence("", "events", "--type", "ringfence.upgraded"); strings.Count(said, "ringfence.upgraded") < times {
		t.Errorf("%d upgrades, and on the record are:\n%s", times, said)
	}
}
