package child

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Process is a child with everything that it starts, in a process group of its own.
type Process struct {
	Cmd     *exec.Cmd
	Address string // that it said it listens on, of a role
}

// Start runs cmd.
func Start(cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Process{Cmd: cmd}, nil
}

// Role runs this binary with the role and further arguments, and reads the address it listens on from its first line.
func Role(role string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{role}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := Start(cmd)
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("%s said no address: %w", role, err)
	}
	p.Address = strings.TrimSpace(line)
	return p, nil
}

// Listen announces the address on standard output, for Role.
func Listen(address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err == nil {
		fmt.Println(ln.Addr())
	}
	return ln, err
}

// Kill ends the process group at once and waits for it. A nil process is none.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop asks the process to end and waits until it has.
func (p *Process) Stop() { p.end(syscall.SIGTERM) }

func (p *Process) end(s syscall.Signal) {
	if p == nil || p.Cmd == nil {
		return
	}
	_ = syscall.Kill(-p.Cmd.Process.Pid, s)
	_ = p.Cmd.Wait()
}

// FreeAddress is one of loopback that nobody listens on.
func FreeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// Find looks in PATH and where packages put servers.
func Find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("not installed")
}

// WithConfig writes a configuration and runs a program with its path as the last argument, at home in dir.
func WithConfig(dir, file, text, name string, args ...string) (*Process, error) {
	path, err := Find(name)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, file)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, append(args, conf)...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return Start(cmd)
}
