package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/client"
)

// rig is a throw-away Ringfence.
type rig struct {
	dir, source, self string
	client            *client.Client
	url, token        string
	gateway, flags    string // host:port
	small             string // gateway of the unit whose disk is small; empty: there is none
	mu                sync.Mutex
	running           []*exec.Cmd
}

// smallUnit is a unit whose disk holds little.
const (
	smallUnit = "small"
	smallDisk = "160m"
)

func newRig(dir, source string) (*rig, error) {
	self, err := os.Executable()
	return &rig{dir: dir, source: source, self: self}, err
}

func (r *rig) data() string { return filepath.Join(r.dir, "data") }

// start starts ringfence up and, where it is needed, a second data plane on a small disk.
func (r *rig) start(ctx context.Context, disk bool) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	r.gateway, r.flags = ports[0], ports[1]
	if err := r.launch("up", r.self, "up", "--data", r.data(), "--listen", "127.0.0.1:0", "--gateway", r.gateway, "--admin", "127.0.0.1:0", "--flags", r.flags,
		"--scrape-interval", "1s", "--step-interval", "250ms"); err != nil {
		return err
	}
	if err := r.await(ctx, func() bool { return r.found(ctx) }); err != nil {
		return r.said("up", err)
	}
	if !disk {
		return nil
	}
	return r.startSmall(ctx)
}

// startSmall starts a data plane whose folder is on a file system of its own, in a mount namespace of its own: it is gone with it.
func (r *rig) startSmall(ctx context.Context) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	dir := filepath.Join(r.dir, "small")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	plane := `mount -t tmpfs -o size=` + smallDisk + ` drill "$0" && exec "$@"`
	err = r.launch("small", "unshare", "-Urm", "sh", "-c", plane, dir, r.self, "dataplane", "--unit", smallUnit, "--data", dir, "--server", r.url,
		"--token-file", filepath.Join(r.data(), access.DataPlaneFile), "--gateway", ports[0], "--admin", "127.0.0.1:0", "--flags", "", "--stop-instances")
	if err != nil {
		return err
	}
	heard := fmt.Sprintf(`count(up{job="gateway",unit=%q} == 1) or vector(0)`, smallUnit)
	err = r.await(ctx, func() bool {
		n, err := r.client.Query(ctx, heard)
		return err == nil && n > 0
	})
	if err != nil {
		return r.said("small", err)
	}
	r.small = ports[0]
	return nil
}

// launch starts a program that runs until stop.
func (r *rig) launch(name, program string, args ...string) error {
	log, err := os.Create(filepath.Join(r.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, args...) // not bound to a context: it is stopped in good order
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = append(r.running, cmd)
	return nil
}

func (r *rig) said(name string, err error) error {
	b, _ := os.ReadFile(filepath.Join(r.dir, name+".log"))
	return fmt.Errorf("%w\n%s", err, b)
}

func (r *rig) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !ready() {
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return errors.New("it is not ready after a minute")
		}
	}
	return nil
}

// found reads where the planes are.
func (r *rig) found(ctx context.Context) bool {
	var server, plane struct{ URL string }
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
	r.url, r.token = server.URL, token
	r.client = client.New(client.Options{URL: server.URL, Token: token})
	return r.client.Ready(ctx) == nil && client.New(client.Options{URL: plane.URL}).Healthy(ctx) == nil
}

// command runs ringfence as a user does.
func (r *rig) command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, r.self, append(args, "--data", r.data())...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("ringfence %s: %w\n%s", args[0], err, out)
	}
	return out, nil
}

// stop ends what was started, the last first.
func (r *rig) stop() {
	for i := len(r.running) - 1; i >= 0; i-- {
		_ = r.running[i].Process.Signal(syscall.SIGTERM)
		ended := make(chan struct{})
		go func() { _ = r.running[i].Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = syscall.Kill(-r.running[i].Process.Pid, syscall.SIGKILL)
			<-ended
		}
	}
}

// freePorts are addresses that nobody listens on now.
func freePorts(n int) ([]string, error) {
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all, nil
}
