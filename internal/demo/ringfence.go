package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/client"
)

// start starts ringfence up on ports of its own and waits until it says that it is ready.
func (r *run) start(ctx context.Context) error {
	r.view.step("starting ringfence up")
	log, err := os.Create(filepath.Join(r.dir, "up.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	began := time.Now()
	// Not bound to ctx: it is stopped in good order by close.
	r.up = exec.Command(r.self, "up", "--data", r.data(), "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--flags", "127.0.0.1:0",
		"--scrape-interval", "500ms", "--step-interval", "250ms")
	r.up.Stdout, r.up.Stderr = log, log
	r.up.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is ours to pass on
	if err := r.up.Start(); err != nil {
		return err
	}
	if err := r.await(ctx); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w\n%s", err, said)
	}
	r.summary.Ready.Seconds = seconds(time.Since(began))
	r.traffic = &Traffic{Gateway: r.gateway, Host: "shop.localhost", Users: users, Employees: employees, PerSecond: perSecond}
	r.view.step("up in %.2f s: API and UI at %s, gateway at http://%s", r.summary.Ready.Seconds, r.url, r.gateway)
	return nil
}

// await waits until both planes answer and reads where they are.
func (r *run) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if r.found(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ringfence up is not ready: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (r *run) found(ctx context.Context) bool {
	var server, plane struct{ URL, Gateway string }
	for file, into := range map[string]any{"run/server.json": &server, "dataplane/run/dataplane.json": &plane} {
		b, err := os.ReadFile(filepath.Join(r.data(), filepath.FromSlash(file)))
		if err != nil || json.Unmarshal(b, into) != nil {
			return false
		}
	}
	token, err := access.ReadToken(filepath.Join(r.data(), access.AdminFile))
	if err != nil {
		return false
	}
	r.client = client.New(client.Options{URL: server.URL, Token: token})
	r.gateway, r.url = plane.Gateway, server.URL
	return r.client.Ready(ctx) == nil && client.New(client.Options{URL: plane.URL}).Healthy(ctx) == nil
}

// close stops what was started, unless it shall be kept.
func (r *run) close() {
	if r.up != nil && r.Keep {
		fmt.Fprintf(r.Progress, "\nIt is still running: %s\nStop it with: %s down --data %s\n", r.url, r.self, r.data())
		return
	}
	if r.up != nil {
		_ = r.up.Process.Signal(syscall.SIGTERM)
		_ = r.up.Wait()
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}
