package handover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/errs"
)

// pipeEnv names the descriptor of the successor's end.
const pipeEnv = "RINGFENCE_PREDECESSOR_FD"

// firstInherited is the first descriptor that a parent hands on, for exec.Cmd as for systemd's socket activation.
const firstInherited = 3

// Socket is a listening socket that is handed on, and the variable that names its descriptor.
type Socket struct {
	Env  string
	File *os.File
}

// Plan is how a successor is started.
type Plan struct {
	Binary  string
	Args    []string
	Sockets []Socket // closed by Begin
	Output  *os.File // of what it prints; nil for this process's own
	Who     Who
}

// Successor is the process that comes, seen from the one that goes.
type Successor struct {
	cmd  *exec.Cmd
	pipe *pipe
	done chan struct{}
}

// Begin starts a successor and says hello to it.
func Begin(p Plan) (*Successor, error) {
	defer func() {
		for _, s := range p.Sockets {
			_ = s.File.Close()
		}
	}()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	mine, theirs := os.NewFile(uintptr(pair[0]), "successor"), os.NewFile(uintptr(pair[1]), "predecessor")
	defer theirs.Close()
	cmd := exec.Command(p.Binary, p.Args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "LISTEN_") })
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if p.Output != nil {
		cmd.Stdout, cmd.Stderr = p.Output, p.Output
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // whoever interrupts this process means this one
	for _, s := range append([]Socket{{pipeEnv, theirs}}, p.Sockets...) {
		cmd.Env = append(cmd.Env, s.Env+"="+strconv.Itoa(firstInherited+len(cmd.ExtraFiles)))
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.File)
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(errs.Wrap(errs.Invalid, err, "%s cannot be started", p.Binary), mine.Close())
	}
	s := &Successor{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	if s.pipe, err = newPipe(mine); err == nil {
		err = s.pipe.say(Hello, p.Who)
	}
	if err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// PID is the process's number.
func (s *Successor) PID() int { return s.cmd.Process.Pid }

// Say tells the successor a step.
func (s *Successor) Say(step string, data any) error { return s.pipe.say(step, data) }

// Await waits for a step of the successor's, at most limit. An error says why it does not come.
func (s *Successor) Await(ctx context.Context, step string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.pipe.await(ctx, step, nil)
	switch {
	case errors.Is(err, ErrGone):
		select {
		case <-s.done:
			return errs.E(errs.Internal, "it ended before it was %s (%s)", step, s.cmd.ProcessState)
		case <-time.After(time.Second): // it closed its end, and lives
			return errs.E(errs.Internal, "it gave up before it was %s", step)
		}
	case errors.Is(err, context.DeadlineExceeded):
		return errs.E(errs.Unavailable, "it was not %s within %s", step, limit)
	case err != nil && !ours(err):
		return fmt.Errorf("waiting until it is %s: %w", step, err)
	}
	return err
}

func ours(err error) bool {
	var e *errs.Error
	return errors.As(err, &e)
}

// Lives waits for d and returns an error when the successor ends in that time.
func (s *Successor) Lives(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.done:
		return errs.E(errs.Internal, "it ended just after it had taken over (%s)", s.cmd.ProcessState)
	case <-ctx.Done():
	case <-t.C:
	}
	return nil
}

// Done is closed when the process has ended.
func (s *Successor) Done() <-chan struct{} { return s.done }

// Kill ends the successor for certain: when it returns, it has no lock and no socket any more.
func (s *Successor) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
	if s.pipe != nil {
		_ = s.pipe.conn.Close()
	}
}
