package app

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/errs"
)

// The variables that name the inherited descriptors of listening sockets: for users' connections, for flags, for health and metrics,
// for plain HTTP beside TLS, and for API and pages.
const (
	doorEnv      = "RINGFENCE_GATEWAY_FD"
	flagsDoorEnv = "RINGFENCE_FLAGS_FD"
	adminDoorEnv = "RINGFENCE_ADMIN_FD"
	plainDoorEnv = "RINGFENCE_PLAIN_FD"
	apiDoorEnv   = "RINGFENCE_API_FD"
)

// doorNames are what systemd's units call them (FileDescriptorName).
var doorNames = map[string]string{doorEnv: "gateway", flagsDoorEnv: "flags", adminDoorEnv: "admin", plainDoorEnv: "plain", apiDoorEnv: "api"}

// firstInherited is the first descriptor that a parent hands on, for exec.Cmd as for systemd's socket activation.
const firstInherited = 3

// door is a listening socket, held open by the process that keeps the data plane running: while no data plane is there, new
// connections wait in the kernel for the next one instead of being refused.
type door struct {
	env, addr string
	listen    net.Listener
}

// doors are all of a data plane's.
type doors []*door

// hand makes the next process inherit the sockets, which it is to close when it has been started.
func (ds doors) hand(cmd *exec.Cmd) (closeAll func()) {
	for _, d := range ds {
		if socket := d.file(); socket != nil {
			cmd.Env = append(cmd.Environ(), d.env+"="+strconv.Itoa(firstInherited+len(cmd.ExtraFiles)))
			cmd.ExtraFiles = append(cmd.ExtraFiles, socket)
		}
	}
	return func() {
		for _, f := range cmd.ExtraFiles {
			_ = f.Close()
		}
	}
}

func (ds doors) close() {
	for _, d := range ds {
		d.close()
	}
}

// file returns the socket to hand on; nil when the address is taken, by a data plane that opened it itself.
func (d *door) file() *os.File {
	if !d.open() {
		return nil
	}
	f, err := d.listen.(*net.TCPListener).File()
	if err != nil {
		return nil
	}
	return f
}

// open reports whether the socket is open.
func (d *door) open() bool {
	if d.listen == nil {
		l, err := net.Listen("tcp", d.addr)
		if err != nil {
			return false
		}
		d.listen = l
	}
	return true
}

// close lets go of the socket; a data plane that has it keeps its own.
func (d *door) close() {
	if d.listen != nil {
		_ = d.listen.Close()
	}
}

// listenGateway takes the socket that a parent or systemd has opened, or opens one. One socket that has no name is the gateway's.
func listenGateway(addr string) (net.Listener, error) { return listenAt(doorEnv, true, addr) }

// listenFlags is the same for flags.
func listenFlags(addr string) (net.Listener, error) { return listenAt(flagsDoorEnv, false, addr) }

// listenAdmin is the same for the data plane's own pages.
func listenAdmin(addr string) (net.Listener, error) { return listenAt(adminDoorEnv, false, addr) }

// listenAPI is the same for the control plane; one socket that has no name is its.
func listenAPI(addr string) (net.Listener, error) { return listenAt(apiDoorEnv, true, addr) }

func listenAt(env string, first bool, addr string) (net.Listener, error) {
	fd, err := inherited(env)
	if err == nil && fd == 0 {
		fd, err = activated(doorNames[env], first)
	}
	return listenOn(fd, err, addr)
}

func listenOn(fd int, err error, addr string) (net.Listener, error) {
	if err != nil {
		return nil, err
	}
	if fd == 0 {
		return net.Listen("tcp", addr)
	}
	unix.CloseOnExec(fd) // instances have no business with it
	f := os.NewFile(uintptr(fd), addr)
	defer f.Close()
	return net.FileListener(f)
}

// inherited returns the descriptor that a variable names, 0 when there is none.
func inherited(env string) (int, error) {
	s := os.Getenv(env)
	if s == "" {
		return 0, nil
	}
	fd, err := strconv.Atoi(s)
	if err != nil || fd < firstInherited {
		return 0, fmt.Errorf("%s is %q, expected the number of an open socket", env, s)
	}
	return fd, os.Unsetenv(env)
}

// activated returns the descriptor of this name that systemd hands on, 0 when there is none. One alone needs no name to be the first.
func activated(name string, first bool) (int, error) {
	if pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID")); pid != os.Getpid() {
		return 0, nil
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 1 {
		return 0, nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	known := slices.Sorted(maps.Values(doorNames))
	if n == 1 && (len(names) != 1 || !slices.Contains(known, names[0])) { // systemd names it after its unit
		if first {
			return firstInherited, nil
		}
		return 0, nil
	}
	for i := range n {
		if i >= len(names) || !slices.Contains(known, names[i]) {
			return 0, errs.E(errs.Invalid, "systemd hands on %d sockets named %q, expected names among %s", n, names, strings.Join(known, ", ")).
				Next("set FileDescriptorName in each socket unit")
		}
	}
	if i := slices.Index(names, name); i >= 0 {
		return firstInherited + i, nil
	}
	return 0, nil
}
