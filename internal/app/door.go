package app

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// doorEnv names the inherited descriptor on which a gateway takes users' connections.
const doorEnv = "RINGFENCE_GATEWAY_FD"

// firstInherited is the first descriptor that a parent hands on, for exec.Cmd as for systemd's socket activation.
const firstInherited = 3

// door is the gateway's listening socket, held open by the process that keeps the data plane running: while no data
// plane is there, users' new connections wait in the kernel for the next one instead of being refused.
type door struct {
	addr   string
	listen net.Listener
}

// file returns the socket to hand on; nil when the address is taken, by a data plane that opened it itself.
func (d *door) file() *os.File {
	if d.listen == nil {
		l, err := net.Listen("tcp", d.addr)
		if err != nil {
			return nil
		}
		d.listen = l
	}
	f, err := d.listen.(*net.TCPListener).File()
	if err != nil {
		return nil
	}
	return f
}

// close lets go of the socket; a data plane that has it keeps its own.
func (d *door) close() {
	if d.listen != nil {
		_ = d.listen.Close()
	}
}

// listenGateway takes the socket that a parent or systemd has opened, or opens one.
func listenGateway(addr string) (net.Listener, error) {
	fd, err := inherited()
	if err != nil {
		return nil, err
	}
	if fd == 0 {
		return net.Listen("tcp", addr)
	}
	unix.CloseOnExec(fd) // instances have no business with it
	f := os.NewFile(uintptr(fd), "gateway")
	defer f.Close()
	return net.FileListener(f)
}

// inherited returns the descriptor to listen on, 0 when there is none.
func inherited() (int, error) {
	if s := os.Getenv(doorEnv); s != "" {
		fd, err := strconv.Atoi(s)
		if err != nil || fd < firstInherited {
			return 0, fmt.Errorf("%s is %q, expected the number of an open socket", doorEnv, s)
		}
		return fd, os.Unsetenv(doorEnv)
	}
	if pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID")); pid != os.Getpid() {
		return 0, nil
	}
	if n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS")); n != 1 {
		return 0, fmt.Errorf("systemd hands on %s sockets, expected one, the gateway's", os.Getenv("LISTEN_FDS"))
	}
	return firstInherited, nil
}
