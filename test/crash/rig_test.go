package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/demo"
	"github.com/ringfence/ringfence/internal/rollout"
)

const plan = `
apiVersion: ringfence.dev/v1
kind: Service
metadata: {name: shop}
spec:
  run: {command: ["{artifact}", "--listen", "{address}"], instances: 2}
  ready: {http: /readyz, within: 20s}
  route: {host: shop.localhost, targetingKey: {header: X-User-ID}}
  plan: quick
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: quick}
spec:
  rings:
    - {name: early, audience: {percent: 25}, bake: 1s}
    - {name: broad, audience: {percent: 60}, bake: 1s}
    - {name: all, bake: 1s}
  gates:
    - {signal: errors, compare: stable, maxRatio: 1.5, minRequests: 40}
`

// rig is a Ringfence under test, with users.
type rig struct {
	t       *testing.T
	dir     string
	binary  string
	up      *exec.Cmd
	traffic *demo.Traffic
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	r.binary = r.build("ringfence", "./cmd/ringfence", "")
	for _, v := range []string{"v0", "good", "fine"} {
		r.build("shop-"+v, "./examples/shop", "-X main.version="+v)
	}
	r.build("shop-bad", "./examples/shop", "-X main.version=bad -X main.checkoutErrors=0.9")
	r.up = exec.Command(r.binary, "up", "--data", r.data(), "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--flags", "127.0.0.1:0",
		"--scrape-interval", "200ms", "--step-interval", "100ms")
	log, err := os.Create(filepath.Join(r.dir, "up.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r.up.Stdout, r.up.Stderr = log, log
	if err := r.up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	r.await("Ringfence is up", 30*time.Second, func() bool {
		b, _ := os.ReadFile(log.Name())
		return strings.Contains(string(b), "Ringfence is up")
	})
	r.ringfence(plan, "apply", "-f", "-")
	return r
}

func (r *rig) data() string { return filepath.Join(r.dir, "data") }

func (r *rig) build(name, pkg, flags string) string {
	r.t.Helper()
	out := filepath.Join(r.dir, name)
	cmd := exec.Command("go", "build", "-o", out, "-ldflags", flags, pkg)
	cmd.Dir = filepath.Join("..", "..")
	if said, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("building %s: %v\n%s", pkg, err, said)
	}
	return out
}

// close ends everything and shows the planes' logs when the test failed.
func (r *rig) close() {
	_ = r.up.Process.Signal(syscall.SIGTERM)
	_ = r.up.Wait()
	if r.t.Failed() {
		for _, f := range []string{"up.log", "data/run/server.log", "data/run/dataplane.log"} {
			b, _ := os.ReadFile(filepath.Join(r.dir, f))
			r.t.Logf("%s ends with:\n%s", f, b[max(0, len(b)-6000):])
		}
	}
}

// ringfence runs a command as a user does; the CLI tries for some seconds when the control plane is away.
func (r *rig) ringfence(in string, args ...string) string {
	r.t.Helper()
	var out []byte
	var err error
	for range 20 { // each is killed now and then; a command repeated is harmless
		cmd := exec.Command(r.binary, append(args, "--data", r.data())...)
		cmd.Stdin = strings.NewReader(in)
		if out, err = cmd.CombinedOutput(); err == nil {
			return string(out)
		}
	}
	r.t.Fatalf("ringfence %s: %v\n%s", strings.Join(args, " "), err, out)
	return ""
}

func (r *rig) await(what string, limit time.Duration, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			r.t.Fatalf("no sign of: %s, within %s", what, limit)
		}
		<-time.After(20 * time.Millisecond)
	}
}

type running struct {
	URL, Gateway string
	PID          int
}

func (r *rig) plane(name string) running {
	var p running
	path := filepath.Join(r.data(), "run", name+".json")
	if name == "dataplane" {
		path = filepath.Join(r.data(), "dataplane", "run", name+".json")
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		r.t.Errorf("%s: %v", name, err)
	}
	return p
}

// kill kills a plane with SIGKILL, if it is the process that its run file names.
func (r *rig) kill(name string) bool {
	p := r.plane(name)
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
	if !strings.Contains(string(cmdline), "\x00"+name+"\x00") {
		return false // it is just being started again
	}
	return syscall.Kill(p.PID, syscall.SIGKILL) == nil
}

func (r *rig) client() *client.Client {
	token, err := access.ReadToken(filepath.Join(r.data(), access.AdminFile))
	if err != nil {
		r.t.Error(err)
	}
	return client.New(client.Options{URL: r.plane("server").URL, Token: token, Patience: 20 * time.Second})
}

// drive sends users' requests until the returned function is called, which returns what they saw.
func (r *rig) drive() func() demo.Counts {
	r.traffic = &demo.Traffic{Gateway: r.plane("dataplane").Gateway, Host: "shop.localhost", Users: 300, PerSecond: 250}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		r.traffic.Run(ctx)
		close(done)
	}()
	return func() demo.Counts {
		cancel()
		<-done
		return r.traffic.Counts()
	}
}

// release releases a version and waits for the end of its rollout, whatever is killed meanwhile.
func (r *rig) release(version, artifact string) rollout.State {
	r.t.Helper()
	r.ringfence("", "release", "shop", "--version", version, "--artifact", filepath.Join(r.dir, "shop-"+artifact))
	var s rollout.State
	r.await("the end of the rollout of "+version, 3*time.Minute, func() bool {
		now, err := r.client().Rollout(context.Background(), "shop")
		s = now.Rollout
		return err == nil && s.To == version && s.Phase.Ended()
	})
	return s
}
