package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	startTimeout = time.Minute
	superuser    = "ringfence"
)

// Server is a private PostgreSQL.
type Server struct {
	bin      string
	folder   string
	durable  bool
	settings []string
	cred     *syscall.Credential
	process  *os.Process
	exited   chan struct{}
	log      bytes.Buffer
}

// Binaries is the folder of PostgreSQL's programs, empty when there is none; tests want NeedBinaries.
func Binaries() string { return findBinaries() }

func findBinaries() string {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(folders, func(a, b string) int { return majorOf(b) - majorOf(a) }) // the newest first
	if path, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	for _, f := range folders {
		_, err1 := os.Stat(filepath.Join(f, "initdb"))
		_, err2 := os.Stat(filepath.Join(f, "postgres"))
		if err1 == nil && err2 == nil {
			return f
		}
	}
	return ""
}

func majorOf(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

// Start makes and starts a server from the programs in bin and returns when it answers, with settings such as
// shared_buffers=1GB beside those of a small server. Most tests want URL.
func Start(bin string, durable bool, settings ...string) (*Server, error) {
	s := &Server{bin: bin, durable: durable, settings: settings}
	if err := s.initialise(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.folder))
	}
	if err := s.Launch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.folder))
	}
	return s, nil
}

// initialise makes the data folder, short of name since a socket's path has at most 107 bytes.
func (s *Server) initialise() error {
	var err error
	if s.folder, err = os.MkdirTemp("/tmp", "ringfence-pg-"); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if s.cred, err = nobody(); err != nil {
			return err
		}
		if err := os.Chown(s.folder, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := s.command(ctx, "initdb", "--pgdata", s.data(), "--username", superuser, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func nobody() (*syscall.Credential, error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.folder
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	dieWithUs(cmd.SysProcAttr)
	return cmd
}

// Launch starts the server, again after Stop or Kill, and returns when it answers.
func (s *Server) Launch() error {
	args := []string{"-D", s.data(), "-k", s.folder, "-c", "listen_addresses=", "-c", "shared_buffers=32MB", "-c", "max_connections=60", "-c", "log_min_messages=fatal"}
	if !s.durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := s.command(context.Background(), "postgres", args...)
	s.log.Reset()
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	exited, started := make(chan struct{}), make(chan error)
	go func() {
		runtime.LockOSThread() // the signal at the parent's death is sent at the death of this thread
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // killed on purpose
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process, s.exited = cmd.Process, exited
	return s.awaitReady()
}

func (s *Server) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.Address(""))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			return fmt.Errorf("postgres ended at its start: %s", s.log.String())
		case <-ctx.Done():
			s.Kill()
			return fmt.Errorf("postgres does not answer: %w", err)
		case <-time.After(10 * time.Millisecond): // poll: it has no other sign of being ready
		}
	}
}

// Address returns the address of a schema.
func (s *Server) Address(schema string) string {
	settings := url.Values{"host": {s.folder}, "sslmode": {"disable"}}
	if schema != "" {
		settings.Set("schema", schema)
	}
	return (&url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/postgres", RawQuery: settings.Encode()}).String()
}

// Kill ends the server at once, as a crash of its machine would, and keeps its data.
func (s *Server) Kill() {
	_ = s.process.Signal(syscall.SIGQUIT) // it may have ended by itself
	<-s.exited
}

// Stop ends the server and removes its data.
func (s *Server) Stop() {
	s.Kill()
	_ = os.RemoveAll(s.folder)
}

// Replica makes and starts a server that follows this one. It is stopped before this one is.
func (s *Server) Replica() (*Server, error) {
	r := &Server{bin: s.bin, cred: s.cred}
	var err error
	if r.folder, err = os.MkdirTemp("/tmp", "ringfence-pg-"); err != nil {
		return nil, err
	}
	if s.cred != nil {
		err = os.Chown(r.folder, int(s.cred.Uid), int(s.cred.Gid))
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		cmd := r.command(ctx, "pg_basebackup", "--pgdata", r.data(), "--host", s.folder, "--username", superuser, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("pg_basebackup: %w\n%s", err, out)
		}
	}
	if err == nil {
		err = r.Launch()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.folder))
	}
	return r, nil
}
