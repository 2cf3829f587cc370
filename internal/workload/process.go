package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is the first process of an instance, started by this runtime or adopted.
type process struct {
	pid        int
	startTicks uint64
	token      string
	cmd        *exec.Cmd // nil when adopted
	watch      *os.File  // pidfd; nil when the kernel has none
	exited     chan struct{}
	status     string        // how it ended; read after exited is closed
	cleaned    chan struct{} // closed later, when nothing that it started is left
}

// spawn starts a command in a session of its own: no signal to the runtime, its group or its terminal reaches
// it. Output goes straight into the log file, because a pipe would break when the runtime dies.
func spawn(args, env []string, dir, logPath, token string, given ...*os.File) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	for try := 0; ; try++ {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = env, dir, log, log, given
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		err := cmd.Start()
		// A child that is just being forked elsewhere holds our freshly written artifact open for an instant.
		if errors.Is(err, syscall.ETXTBSY) && try < 20 {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if err != nil {
			return nil, err
		}
		return own(cmd, token), nil
	}
}

// own wraps a child. It cannot be reaped before Wait, so its number is still its own here.
func own(cmd *exec.Cmd, token string) *process {
	p := &process{pid: cmd.Process.Pid, cmd: cmd, token: token, exited: make(chan struct{}), cleaned: make(chan struct{})}
	st, _ := readStat(p.pid)
	p.startTicks = st.startTicks
	p.watch = openPidfd(p.pid)
	return p
}

// adopt takes over a process that another runtime started, or reports that it is gone.
func adopt(pid int, startTicks uint64, token string) (*process, bool) {
	p := &process{pid: pid, startTicks: startTicks, token: token, exited: make(chan struct{}), cleaned: make(chan struct{})}
	p.watch = openPidfd(pid) // first the descriptor, then the look whose it is
	if !sameProcess(pid, startTicks) {
		p.release()
		return nil, false
	}
	return p, true
}

func openPidfd(pid int) *os.File {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), "pidfd") // non-blocking, so the Go poller waits on it without a thread
}

func (p *process) release() {
	if p.watch != nil {
		_ = p.watch.Close()
	}
	if p.cmd != nil {
		_ = p.cmd.Process.Release()
	}
}

// await closes exited when the process has ended and cleaned when everything that it left behind is killed, or
// returns when ctx ends.
func (p *process) await(ctx context.Context) {
	if !p.wait(ctx) {
		return
	}
	p.killGroup()
	p.status = p.reap()
	close(p.exited)
	sweep(p.token, func(t string) bool { return t == p.token })
	close(p.cleaned)
	p.release()
}

// killGroup kills what is left of the group when its leader has ended. The kernel gives a group's number to
// nobody while it has members, and a child of ours is not reaped yet; so the group is another's only if it was
// empty and the number is in use again, which then shows as a process of that number.
func (p *process) killGroup() {
	if st, err := readStat(p.pid); err != nil || st.startTicks == p.startTicks {
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	}
}

func (p *process) wait(ctx context.Context) bool {
	if p.watch != nil {
		if raw, err := p.watch.SyscallConn(); err == nil {
			stop := context.AfterFunc(ctx, func() { _ = p.watch.Close() })
			defer stop()
			err = raw.Read(func(fd uintptr) bool {
				fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
				n, _ := unix.Poll(fds, 0)
				return n > 0
			})
			if err == nil || ctx.Err() != nil {
				return ctx.Err() == nil
			}
		}
	}
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for sameProcess(p.pid, p.startTicks) {
		select {
		case <-t.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (p *process) reap() string {
	if p.cmd != nil {
		err := p.cmd.Wait()
		if p.cmd.ProcessState == nil {
			return fmt.Sprint("unknown: ", err)
		}
		return exitText(p.cmd.ProcessState.Sys().(syscall.WaitStatus))
	}
	var ws syscall.WaitStatus
	// A later runtime in the same program is still the parent; otherwise init has reaped it.
	if pid, err := syscall.Wait4(p.pid, &ws, syscall.WNOHANG, nil); err == nil && pid == p.pid {
		return exitText(ws)
	}
	return "exited, status unknown as it was adopted"
}

func exitText(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return "killed by " + unix.SignalName(ws.Signal())
	}
	return fmt.Sprintf("exit status %d", ws.ExitStatus())
}

// stop asks the group to end, kills it when grace is over, and returns when nothing is left, or ctx ends.
func (p *process) stop(ctx context.Context, grace time.Duration) {
	p.signal(syscall.SIGTERM)
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-p.exited:
	case <-ctx.Done():
		return
	case <-t.C:
		p.signal(syscall.SIGKILL)
	}
	select {
	case <-p.cleaned:
	case <-ctx.Done():
	}
}

// signal goes to the group while its leader lives: once that was reaped, the number may be another's.
func (p *process) signal(sig syscall.Signal) {
	if sameProcess(p.pid, p.startTicks) {
		_ = syscall.Kill(-p.pid, sig)
	}
}
