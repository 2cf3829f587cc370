package handover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/errs"
)

// line is what a process answers to who asks it: any number with Text, then one with the rest.
type line struct {
	Text    string          `json:"text,omitempty"`
	Done    bool            `json:"done,omitempty"`
	Answer  json.RawMessage `json:"answer,omitempty"`
	Failure *failure        `json:"failure,omitempty"`
}

// Handler does what is asked for. by is the user of the machine who asks; say tells them how far it is.
type Handler func(ctx context.Context, by string, request json.RawMessage, say func(text string)) (answer any, err error)

// askLimit bounds a request, and how long its sender may take over it.
const (
	askSize  = 64 << 10
	askLimit = 10 * time.Second
)

// Serve answers at a socket that only the owner of its folder can open, until ctx ends. It replaces one that is there already:
// whoever calls it has the folder to itself.
func Serve(ctx context.Context, path string, log *slog.Logger, do Handler) error {
	l, err := listen(path)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "control socket %s", path)
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return errs.Wrap(errs.Unavailable, err, "control socket %s", path)
		}
		work.Go(func() {
			defer conn.Close()
			if err := answer(ctx, conn, do); err != nil && ctx.Err() == nil {
				log.Warn("somebody at the control socket was not answered", "err", err)
			}
		})
	}
}

// reach makes a path that fits into the address of a socket, which is short, of one that may not.
func reach(path string, f func(short string) error) error {
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return f("/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path))
}

func listen(path string) (l *net.UnixListener, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err = reach(path, func(short string) error {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the name may be another process's by then
	return l, os.Chmod(path, 0o600)
}

func answer(ctx context.Context, conn *net.UnixConn, do Handler) error {
	by, err := peer(conn)
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(askLimit))
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, askSize)
	if !lines.Scan() {
		return errors.Join(errors.New("no request"), lines.Err())
	}
	out := json.NewEncoder(conn)
	var mu sync.Mutex
	say := func(l line) {
		mu.Lock()
		defer mu.Unlock()
		_ = conn.SetWriteDeadline(time.Now().Add(askLimit))
		_ = out.Encode(l) // who has gone need not be told
	}
	got, err := do(ctx, by, lines.Bytes(), func(text string) { say(line{Text: text}) })
	last := line{Done: true}
	if err == nil {
		last.Answer, err = json.Marshal(got)
	}
	if err != nil {
		f := failureOf(err)
		last.Failure = &f
	}
	say(last)
	return nil
}

// peer is the user at the other end, who must be this process's own or root.
func peer(conn *net.UnixConn) (string, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return "", err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, failed); err != nil {
		return "", err
	}
	id := strconv.FormatUint(uint64(cred.Uid), 10)
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return "", errs.E(errs.Denied, "user %s may not control this process", id)
	}
	if u, err := user.LookupId(id); err == nil {
		return u.Username, nil
	}
	return id, nil
}

// ErrNobody says that no process answers at a control socket.
var ErrNobody = errors.New("nobody answers there")

// Ask asks the process at a socket and reads its answer.
func Ask(ctx context.Context, path string, request any, say func(text string), into any) error {
	var conn net.Conn
	err := reach(path, func(short string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", short)
		return err
	})
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return errs.Wrap(errs.Missing, ErrNobody, "%s", path)
		}
		return errs.Wrap(errs.Denied, err, "control socket")
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return errs.Wrap(errs.Unavailable, err, "control socket")
	}
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return errs.Wrap(errs.Internal, err, "control socket")
		}
		switch {
		case l.Text != "":
			say(l.Text)
		case l.Failure != nil:
			return l.Failure.err()
		case l.Done:
			return json.Unmarshal(l.Answer, into)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errs.E(errs.Unavailable, "the process at %s ended before it had answered", path)
}
