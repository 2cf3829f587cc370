package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/health"
)

// Limits and defaults of commands.
const (
	commandTimeout = time.Minute
	outputBytes    = 4 << 10
	lastLine       = 300
	pipeGrace      = time.Second // for output that somebody outside the group still holds open
)

const (
	exitPass = 0
	exitFail = 1
)

func (r *Runner) command(ctx context.Context, req Request) health.Reading {
	c := req.Command
	path, err := program(r.commands, c.Name)
	if err != nil {
		return noData("command " + oneLine(c.Name, 100) + ": " + err.Error())
	}
	var args []string
	for _, a := range c.Args {
		args = append(args, put(a, req.Vars, asIs))
	}
	timeout := c.Timeout.D(commandTimeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := &tail{}
	cmd := &exec.Cmd{Path: path, Args: append([]string{path}, args...), Dir: r.commands, Env: environment(req), Stdout: out, Stderr: out, WaitDelay: pipeGrace}
	state, err := runGroup(ctx, cmd)
	switch {
	case err != nil:
		return noData("command " + c.Name + " cannot be run: " + oneLine(reasonOf(err), 200))
	case state.Exited():
	case ctx.Err() == context.DeadlineExceeded:
		return noData(words(fmt.Sprintf("command %s was stopped after %s", c.Name, timeout), out))
	case ctx.Err() != nil:
		return noData("the question was withdrawn")
	}
	text := words(fmt.Sprintf("command %s: %s", c.Name, state), out)
	switch state.ExitCode() {
	case exitPass:
		return pass(text)
	case exitFail:
		return fail(text)
	}
	return noData(text) // 2 says so, anything else was not agreed on
}

// program finds a command by its name, and refuses one that somebody else could have put there.
func program(folder, name string) (string, error) {
	if folder == "" {
		return "", errors.New("this server has no folder of commands")
	}
	if name == "" || strings.ContainsAny(name, "/\\\x00") || strings.HasPrefix(name, ".") {
		return "", errors.New("expected the name of a program, without a path")
	}
	info, err := os.Stat(folder)
	if err := ours(info, err, fs.FileMode.IsDir, "a folder"); err != nil {
		return "", fmt.Errorf("the folder of commands %w", err)
	}
	path := filepath.Join(folder, name)
	info, err = os.Lstat(path) // a link would lead out of the folder
	return path, ours(info, err, fs.FileMode.IsRegular, "a regular file")
}

// ours refuses what is not of the kind that it should be, and what others may change.
func ours(info fs.FileInfo, err error, kind func(fs.FileMode) bool, word string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("is not there")
	}
	if err != nil {
		return errors.New(reasonOf(err))
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !kind(info.Mode()):
		return errors.New("is not " + word)
	case info.Mode()&0o002 != 0:
		return errors.New("may be written by everyone")
	case !ok || stat.Uid != 0 && int(stat.Uid) != os.Getuid():
		return errors.New("belongs to someone else")
	case info.Mode()&0o111 == 0:
		return errors.New("is not executable")
	}
	return nil
}

func reasonOf(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

func environment(req Request) []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/bin:/usr/bin:/bin"
	}
	env := []string{"PATH=" + path, "RINGFENCE_GATE=" + req.Gate}
	for _, name := range Vars {
		env = append(env, "RINGFENCE_"+strings.ToUpper(name)+"="+req.Vars[name])
	}
	return append(env, "RINGFENCE_INSTANCES="+strings.Join(req.Instances, " "))
}

// runGroup runs cmd in a process group of its own, which ends with it or when ctx does.
func runGroup(ctx context.Context, cmd *exec.Cmd) (*os.ProcessState, error) {
	runtime.LockOSThread() // the kernel ends the command when the thread that started it is gone
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	group := -cmd.Process.Pid
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = syscall.Kill(group, syscall.SIGKILL)
		close(killed)
	})
	exited(cmd.Process.Pid)
	// It has ended and was not waited for, so that nothing else can have got its number.
	_ = syscall.Kill(group, syscall.SIGKILL)
	if !stop() {
		<-killed
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return cmd.ProcessState, err
}

// exited returns when a child has ended, and leaves it to be waited for.
func exited(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// words are a command's, behind what became of it: the last line first, since it is the one that says why.
func words(became string, out *tail) string {
	text := clean(out.String(), outputBytes)
	if text == "" {
		return became
	}
	before, last, several := cutLast(text)
	if !several {
		return became + ": " + last
	}
	return became + ": " + oneLine(last, lastLine) + "\n" + before
}

// cutLast takes the last line off a text.
func cutLast(text string) (before, last string, several bool) {
	i := strings.LastIndexByte(text, '\n')
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+1:], true
}

// tail keeps the last of what is written. It never fails, so that nobody who writes too much is stopped.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - outputBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
		t.cut = true
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut {
		return "…" + string(t.buf[len("…"):])
	}
	return string(t.buf)
}
