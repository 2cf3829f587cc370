package app

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
)

// systemd does for a test what systemd does for a unit with sockets and Type=notify.
type systemd struct {
	t    *testing.T
	at   string
	says *net.UnixConn
	all  string // it was told so far
}

func newSystemd(t *testing.T) *systemd {
	t.Helper()
	s := &systemd{t: t, at: filepath.Join(t.TempDir(), "notify")}
	var err error
	if s.says, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.at, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.says.Close() })
	return s
}

// told waits until the unit has said something.
func (s *systemd) told(what string) {
	s.t.Helper()
	b := make([]byte, 1000)
	await(s.t, what, func() bool {
		if strings.Contains(s.all, what) {
			return true
		}
		if err := s.says.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			s.t.Fatal(err)
		}
		n, err := s.says.Read(b)
		s.all += string(b[:n]) + "\n"
		return err == nil && strings.Contains(s.all, what)
	})
}

// start runs this test's binary with sockets of these names, and returns where they listen and what it prints.
func (s *systemd) start(names string, args ...string) (cmd *exec.Cmd, at []string, out string) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	// as systemd does it, the number is that of the process that reads it
	cmd = exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, self}, args...)...)
	printed, err := os.Create(filepath.Join(s.t.TempDir(), "out")) // not a pipe: whoever comes after it has it, too
	if err != nil {
		s.t.Fatal(err)
	}
	defer printed.Close()
	cmd.Stdout, cmd.Stderr = printed, printed
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+s.at, "LISTEN_FDNAMES="+names, fmt.Sprint("LISTEN_FDS=", strings.Count(names, ":")+1))
	for range strings.Split(names, ":") {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			s.t.Fatal(err)
		}
		defer f.Close()
		at = append(at, l.Addr().String())
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		_ = l.Close() // the file keeps it
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd, at, printed.Name()
}

func answers(addr, path string) bool {
	res, err := http.Get("http://" + addr + path)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode < 500
}

func TestSystemdHandsOnTheSocketOfTheControlPlane(t *testing.T) {
	s := newSystemd(t)
	cmd, at, _ := s.start("ringfence.socket", "realserver", t.TempDir(), "127.0.0.1:1") // a port that nobody may have
	s.told("READY=1")
	if !answers(at[0], "/healthz") {
		t.Errorf("nothing answers at %s", at[0])
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestSystemdHandsOnNamedSocketsAndFollowsAnUpgrade(t *testing.T) {
	s := newSystemd(t)
	r := &planeRig{t: t, data: t.TempDir(), logs: filepath.Join(t.TempDir(), "log")}
	for name, b := range map[string][]byte{"token": []byte(access.NewToken()), "desired.json": []byte(`{"unit":"local"}`)} {
		if err := writeFile(filepath.Join(r.data, name), b); err != nil {
			t.Fatal(err)
		}
	}
	cmd, at, _ := s.start("admin:gateway", "realdataplane", r.data, "127.0.0.1:1", "127.0.0.1:1")
	t.Cleanup(r.close)
	s.told("READY=1")
	await(t, "it answers at the sockets, by their names", func() bool { return answers(at[0], "/healthz") && answers(at[1], "/") })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r.self, r.admin = self, at[0]
	u, err := r.upgradeSoon(UpgradeRequest{Binary: self})
	if err != nil {
		t.Fatal(err)
	}
	s.told(fmt.Sprint("MAINPID=", u.PID))
	if err := cmd.Wait(); err != nil {
		t.Errorf("the one before: %v", err)
	}
	await(t, "the next one answers there", func() bool { return answers(at[0], "/healthz") && answers(at[1], "/") })
}

func TestSocketsOfSystemdThatNobodyKnows(t *testing.T) {
	cmd, _, out := newSystemd(t).start("web:mail", "realserver", t.TempDir(), "127.0.0.1:0")
	err := cmd.Wait()
	said, _ := os.ReadFile(out)
	if err == nil || !strings.Contains(string(said), `systemd hands on 2 sockets named ["web" "mail"], expected names among`) {
		t.Errorf("%v: %s", err, said)
	}
}
