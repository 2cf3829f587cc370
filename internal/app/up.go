package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// UpConfig configures both planes on one machine.
type UpConfig struct {
	Data     string
	Database string
	Listen   string
	URL      string // where people reach the pages
	Gateway  string
	Admin    string
	Flags    string // empty: the data plane serves no flags
	FlagsLimits
	Metrics MetricsConfig
	Record  RecordConfig
	LogLimits
	Unit    string
	Access  AccessConfig
	ACME    ACMEConfig
	Trusted []string // addresses of proxies before the gateway
	TLS     TLSFiles // of the gateway
	Scrape  time.Duration
	Step    time.Duration
	Out     io.Writer // where the addresses are printed once both planes answer
	Logger  *slog.Logger

	doors doors
	state *upState
}

// Up runs control plane and data plane as two processes until ctx ends. One that dies is started again; one
// that outlived an earlier Up is taken over; one whose first start fails is an error. On a clean end the data plane
// stops the instances it started.
func Up(ctx context.Context, c UpConfig) error {
	for what, addr := range map[string]string{"API": c.Listen, "admin page": c.Admin, "flags": c.Flags} {
		if addr == "" && what == "flags" {
			continue
		}
		if err := guardAddress(what, addr, false); err != nil {
			return err
		}
	}
	_, trust := prefixes(c.Trusted)
	if err := errors.Join(checkURL(c.URL), c.Access.check(), trust); err != nil {
		return err
	}
	before, err := carriedOver()
	if err != nil {
		return err
	}
	return before.orBack(c.run(ctx, before))
}

// run is Up, after a program before this one in the same process, or none.
func (c *UpConfig) run(ctx context.Context, before *carried) error {
	lock, err := before.takeLock(c.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := c.fixAddresses(); err != nil {
		return err
	}
	if err := writeRunFile(c.Data, "up", RunFile{URL: "http://" + c.Listen, Gateway: c.Gateway, Flags: c.Flags}); err != nil {
		return err
	}
	defer shrinkLater()()
	if err := c.checkAddresses(); err != nil {
		return err
	}
	c.doors = doors{{env: doorEnv, addr: c.Gateway}}
	if c.Flags != "" {
		c.doors = append(c.doors, &door{env: flagsDoorEnv, addr: c.Flags})
	}
	defer c.doors.close()
	if err := before.openDoors(c.doors); err != nil {
		return err
	}
	c.state = newUpState(before)
	// The control plane ends last: the data plane's last report reaches it.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.supervise(serving, "server", c.serverArgs()) })
	group.Go(func() error {
		defer stopServing()
		return c.supervise(ctx, "dataplane", c.dataPlaneArgs())
	})
	group.Go(func() error { return c.announce(ctx, before) })
	group.Go(func() error { return c.stay(ctx, lock) })
	return group.Wait()
}

// fixAddresses turns port 0 into a port of its own, so that a plane that is started again has the same one: the
// one that it had before, where a plane that outlived an earlier Up still has it or nobody has.
func (c *UpConfig) fixAddresses() error {
	server, _ := ReadRunFile(c.Data, "server")
	plane, _ := ReadRunFile(filepath.Join(c.Data, "dataplane"), "dataplane")
	for _, a := range []struct {
		addr   *string
		before string
		pid    int
	}{
		{&c.Listen, strings.TrimPrefix(server.URL, "http://"), server.PID},
		{&c.Gateway, plane.Gateway, plane.PID},
		{&c.Admin, strings.TrimPrefix(plane.URL, "http://"), plane.PID},
		{&c.Flags, plane.Flags, plane.PID},
	} {
		if *a.addr == "" {
			continue
		}
		host, port, err := net.SplitHostPort(*a.addr)
		if err != nil {
			return errs.E(errs.Invalid, "address %q: expected host:port", *a.addr)
		}
		if port != "0" {
			continue
		}
		if a.before != "" && alive(a.pid) {
			*a.addr = a.before
			continue
		}
		if *a.addr, err = freeAddress(a.before, net.JoinHostPort(host, "0")); err != nil {
			return err
		}
	}
	return nil
}

// checkAddresses says at once what a plane would fail with again and again: an address that somebody else has.
func (c *UpConfig) checkAddresses() error {
	for _, a := range []struct{ what, plane, addr string }{{"API", "server", c.Listen}, {"gateway", "dataplane", c.Gateway}, {"admin page", "dataplane", c.Admin}, {"flags", "dataplane", c.Flags}} {
		if a.addr == "" {
			continue
		}
		lock, err := tryLock(folder(c.Data, a.plane), a.plane)
		if err != nil {
			continue // the plane runs, and has it
		}
		_, err = freeAddress(a.addr)
		if err := errors.Join(err, lock.Close()); err != nil {
			return errs.Wrap(errs.Conflict, err, "%s", a.what).Next("choose another address; 127.0.0.1:0 takes any that is free")
		}
	}
	return nil
}

// freeAddress returns the first of the addresses that can be listened on. Port 0 is some port that the kernel gives to no connection by
// itself: between this look and the moment at which a plane listens nobody comes by it unasked.
func freeAddress(candidates ...string) (free string, err error) {
	for _, addr := range candidates {
		host, port, _ := net.SplitHostPort(addr)
		for try := 0; addr != "" && (try == 0 || port == "0" && try < 100); try++ {
			at := addr
			if port == "0" {
				at = net.JoinHostPort(host, strconv.Itoa(quietPorts+rand.IntN(loudPorts-quietPorts)))
			}
			var l net.Listener
			if l, err = net.Listen("tcp", at); err == nil {
				return l.Addr().String(), l.Close()
			}
		}
	}
	return "", err
}

// Ports from quietPorts up to loudPorts, below what Linux and IANA have for connections of their own.
const quietPorts, loudPorts = 20000, 32768

func alive(pid int) bool { return pid > 0 && unix.Kill(pid, 0) == nil }

func (c *UpConfig) serverArgs() []string {
	return slices.Concat([]string{"server", "--data", c.Data, "--listen", c.Listen, "--url", c.URL,
		"--scrape-interval", c.Scrape.String(), "--step-interval", c.Step.String(),
		"--log-retention", c.LogRetention.String(), "--log-disk", strconv.FormatInt(c.LogDisk, 10)}, c.Metrics.args(), c.Record.args())
}

func (c *UpConfig) dataPlaneArgs() []string {
	args := []string{"dataplane", "--data", filepath.Join(c.Data, "dataplane"), "--server", "http://" + c.Listen, "--unit", c.Unit,
		"--token-file", filepath.Join(c.Data, access.DataPlaneFile), "--gateway", c.Gateway, "--admin", c.Admin, "--flags", c.Flags,
		"--tls-cert", c.TLS.Cert, "--tls-key", c.TLS.Key, "--stop-instances", "--flags-rate", strconv.FormatFloat(c.Rate, 'g', -1, 64)}
	for _, o := range c.Origins {
		args = append(args, "--flags-origin", o)
	}
	for _, p := range c.Trusted {
		args = append(args, "--trusted-proxy", p)
	}
	args = append(args, c.ACME.args()...)
	return append(args, c.Access.args()...)
}

// supervise keeps one plane running until ctx ends, then stops it and waits. Only a first start that fails is an error:
// later ones are tried again, and the other plane is left alone.
func (c *UpConfig) supervise(ctx context.Context, plane string, args []string) error {
	if plane == "dataplane" { // its token is made by the control plane's first start
		if err := awaitFile(ctx, filepath.Join(c.Data, access.DataPlaneFile)); err != nil {
			return nil
		}
	}
	p, err := c.adoptOrStart(ctx, plane, args)
	if err != nil {
		return err
	}
	if err := c.firstStart(ctx, plane, p); err != nil {
		return err
	}
	for wait := shortestWait; ; wait = min(2*wait, time.Second) {
		began := time.Now()
		if p = c.follow(ctx, plane, p); p != nil {
			select {
			case <-p.done:
			case <-ctx.Done():
				if c.outlives(ctx, p) {
					c.Logger.Warn(plane+" goes on as before", "process", p.pid)
					return nil
				}
				if plane == "dataplane" {
					c.doors.close() // nobody will answer who comes now
				}
				limit := endingLimit(c.Data, plane)
				slow := time.AfterFunc(slowEnd, func() {
					c.Logger.Info(plane+" answers what is in flight and stops the instances", "at most", limit)
				})
				defer slow.Stop()
				return c.stopAll(plane, p, limit)
			}
		}
		if time.Since(began) > 5*time.Second {
			wait = shortestWait
		}
		c.Logger.Error(plane+" ended; starting it again", "after", wait, "log", c.logPath(plane))
		c.fallBack(ctx, plane)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		if p, err = c.adoptOrStart(ctx, plane, args); err != nil {
			c.Logger.Error(plane+" cannot be started; trying again", "err", err)
		}
	}
}

const (
	// unforeseen is what a plane's end may take beside what services ask for.
	unforeseen = time.Minute
	slowEnd    = 3 * time.Second
)

// endingLimit is how long a plane's clean end may take before it is killed: killed, it would leave its instances behind.
// The data plane lets requests in flight have the longest drain, and instances the longest time from SIGTERM to SIGKILL.
func endingLimit(data, plane string) time.Duration {
	switch plane {
	case "server":
		return unforeseen
	case "up":
		return endingLimit(data, "dataplane") + endingLimit(data, "server")
	}
	var d fleet.Desired
	b, err := os.ReadFile(filepath.Join(folder(data, "dataplane"), "desired.json"))
	if err != nil || json.Unmarshal(b, &d) != nil {
		return unforeseen // it runs nothing that it knows of
	}
	var drain, grace fleet.Dur
	for _, s := range d.Services {
		for _, slot := range s.Slots {
			drain, grace = max(drain, slot.Drain), max(grace, slot.StopGrace)
		}
	}
	return unforeseen + time.Duration(drain) + time.Duration(grace)
}

const shortestWait = 100 * time.Millisecond

func awaitFile(ctx context.Context, path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// process is a plane's process, started by this one or by an earlier one.
type process struct {
	pid    int
	done   chan struct{}
	child  *exec.Cmd // nil when an earlier one started it; its end is known once done is closed
	silent int64     // how long the log was before it
}

func (c *UpConfig) logPath(plane string) string { return filepath.Join(c.Data, "run", plane+".log") }

// folder is where a plane keeps its lock and its run file.
func folder(data, plane string) string {
	if plane == "dataplane" {
		return filepath.Join(data, "dataplane")
	}
	return data
}

// adoptOrStart follows the process that has a plane's folder or starts one.
func (c *UpConfig) adoptOrStart(ctx context.Context, plane string, args []string) (*process, error) {
	p, err := holder(ctx, folder(c.Data, plane), plane)
	if p != nil || err != nil {
		return p, err
	}
	return c.start(plane, args)
}

// holder follows the process that has a folder; nil when nobody has. One that has just been started or is just ending
// may not be found at once.
func holder(ctx context.Context, data, plane string) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		lock, err := tryLock(data, plane)
		if err == nil {
			return nil, lock.Close()
		}
		if !errs.Is(err, errs.Conflict) {
			return nil, err
		}
		if pid := lockHolder(data, plane); pid != 0 {
			if p, err := watch(pid); err == nil {
				return p, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, errs.E(errs.Conflict, "ringfence %s runs in %s already, and it cannot be told which process it is", plane, data)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *UpConfig) start(plane string, args []string) (*process, error) {
	self, args, err := c.program(plane, args)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(c.logPath(plane), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	before, err := log.Stat()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = c.environ(plane)
	if plane == "dataplane" {
		defer c.doors.hand(cmd)()
	}
	cmd.Stdout, cmd.Stderr = log, log // not a pipe: the plane must outlive this process
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, done: make(chan struct{}), child: cmd, silent: before.Size()}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// environ is the environment of a plane. The database's URL is not an argument, as everybody on the machine can read
// those, and only the control plane's to know.
func (c *UpConfig) environ(plane string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, databaseEnv+"=") || strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, "LISTEN_") // up's own
	})
	if plane == "server" && c.Database != "" {
		env = append(env, databaseEnv+"="+c.Database)
	}
	return env
}

// watch follows a process that is not a child.
func watch(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	p := &process{pid: pid, done: make(chan struct{})}
	go func() {
		defer unix.Close(fd)
		defer close(p.done)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}()
	return p, nil
}

func (p *process) stop(limit time.Duration) error {
	_ = unix.Kill(p.pid, unix.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
		_ = unix.Kill(p.pid, unix.SIGKILL)
		<-p.done
		return errs.E(errs.Unavailable, "process %d did not end within %s and was killed", p.pid, limit)
	}
}
