package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/demo"
)

// ports are flags that let every address be one of its own.
var ports = []string{"--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--flags", "127.0.0.1:0"}

// Quick are flags with which a rollout takes seconds.
var Quick = []string{"--scrape-interval", "200ms", "--step-interval", "100ms"}

// Limit is how long anything that is waited for may take on a busy machine.
const Limit = 60 * time.Second

// Up is a running `ringfence up`.
type Up struct {
	Data    string // its folder
	API     string // URL
	Gateway string // host:port
	Admin   string // URL of the data plane's own pages
	Flags   string // host:port
	cmd     *exec.Cmd
	log     string
	stop    sync.Once
}

// Start starts ringfence up in a data folder and returns once it says that it is up.
func Start(programs, data string, env []string, flags ...string) (*Up, error) {
	u := &Up{Data: data, log: data + ".log"}
	log, err := os.Create(u.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := append([]string{"up", "--data", data}, append(ports, flags...)...)
	u.cmd = exec.Command(filepath.Join(programs, "ringfence"), args...)
	u.cmd.Env, u.cmd.Stdout, u.cmd.Stderr = env, log, log
	if err := Launch(u.cmd); err != nil {
		return nil, err
	}
	if err := u.await(); err != nil {
		u.Stop()
		return nil, fmt.Errorf("%w\n%s", err, u.Logs())
	}
	return u, nil
}

// Launch starts a program in a group of its own that is told to end when this test's process dies. The kernel takes the death of the thread that
// started it for that, so this thread does nothing else and stays.
func Launch(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- cmd.Start()
		select {}
	}()
	return <-started
}

func (u *Up) await() error {
	return Await(func() error {
		said, err := os.ReadFile(u.log)
		if err != nil {
			return err
		}
		if !strings.Contains(string(said), "Ringfence is up") {
			return errors.New("ringfence up is not ready")
		}
		server, err := u.Plane("server")
		if err != nil {
			return err
		}
		dataplane, err := u.Plane("dataplane")
		u.API, u.Gateway, u.Admin, u.Flags = server.URL, dataplane.Gateway, dataplane.URL, dataplane.Flags
		return err
	})
}

// Plane is where one of the two processes is.
type Plane struct {
	URL, Gateway, Flags string
	PID                 int
}

// Plane reads where a plane is: "server" or "dataplane".
func (u *Up) Plane(name string) (Plane, error) { return ReadPlane(u.Data, name) }

// ReadPlane reads where a plane of a data folder is.
func ReadPlane(data, name string) (Plane, error) {
	if name == "dataplane" {
		data = filepath.Join(data, "dataplane")
	}
	var p Plane
	b, err := os.ReadFile(filepath.Join(data, "run", name+".json"))
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(b, &p)
}

// Stop ends it in good order, instances included.
func (u *Up) Stop() {
	u.stop.Do(func() {
		_ = u.cmd.Process.Signal(syscall.SIGTERM)
		_ = u.cmd.Wait()
	})
}

// Logs are the ends of what its processes wrote.
func (u *Up) Logs() string {
	var b strings.Builder
	for _, f := range []string{u.log, filepath.Join(u.Data, "run", "server.log"), filepath.Join(u.Data, "run", "dataplane.log")} {
		said, _ := os.ReadFile(f)
		fmt.Fprintf(&b, "%s ends with:\n%s\n", filepath.Base(f), said[max(0, len(said)-4000):])
	}
	return b.String()
}

// Await tries again until there is no error, for at most Limit, and returns the last error.
func Await(try func() error) error {
	for end := time.Now().Add(Limit); ; {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
		<-time.After(50 * time.Millisecond)
	}
}

// Drive sends users' requests to the shop behind a gateway until the returned function is called, which says what
// they saw, and how Ringfence failed the first that it failed.
func Drive(gateway string, perSecond float64, users int) (stop func() (demo.Counts, string)) {
	t := &demo.Traffic{Gateway: gateway, Host: "shop.localhost", Users: users, Employees: users / 5, PerSecond: perSecond}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		t.Run(ctx)
		close(done)
	}()
	return func() (demo.Counts, string) {
		cancel()
		<-done
		return t.Counts(), t.FirstLoss()
	}
}
