package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/handover"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/test/strict"
)

// serverRig is a control plane in a process of its own.
type serverRig struct {
	t                      *testing.T
	self, data, addr, logs string
}

func newServerRig(t *testing.T) *serverRig {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &serverRig{t: t, self: self, data: t.TempDir(), logs: filepath.Join(t.TempDir(), "log")}
	if r.addr, err = freeAddress("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(r.logs)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(self, "realserver", r.data, r.addr)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	t.Cleanup(r.close)
	await(t, "a control plane", func() bool {
		res, err := http.Get("http://" + r.addr + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return r
}

func (r *serverRig) pid() int { return lockHolder(r.data, "server") }

func (r *serverRig) close() {
	for end := time.Now().Add(time.Minute); r.pid() != 0 && time.Now().Before(end); {
		_ = syscall.Kill(r.pid(), syscall.SIGKILL)
		<-time.After(10 * time.Millisecond)
	}
	if r.t.Failed() {
		b, _ := os.ReadFile(r.logs)
		r.t.Logf("log:\n%s", b)
	}
}

// client tries once: what is not answered at the first time is an error.
func (r *serverRig) client(file string) *client.Client {
	r.t.Helper()
	token, err := access.ReadToken(filepath.Join(r.data, file))
	if err != nil {
		r.t.Fatal(err)
	}
	return client.New(client.Options{URL: "http://" + r.addr, Token: token, Patience: -1})
}

func (r *serverRig) upgrade(q UpgradeRequest) (u Upgraded, err error) {
	q.Within = max(q.Within, 3*time.Second)
	await(r.t, "a control socket", func() bool {
		err = handover.Ask(r.t.Context(), socketPath(r.data, "server"), q, func(string) {}, &u)
		return !errors.Is(err, handover.ErrNobody)
	})
	return u, err
}

// callers ask the control plane in every way that there is until stop is called, which checks that none of them noticed anything.
func (r *serverRig) callers() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	admin, plane := r.client(access.AdminFile), r.client(access.DataPlaneFile)
	token, err := access.ReadToken(filepath.Join(r.data, access.AdminFile))
	if err != nil {
		r.t.Fatal(err)
	}
	reads := &strict.Load{Addr: r.addr, Host: r.addr, Clients: 6, Fresh: 0.2, Think: 100 * time.Millisecond, Path: "/v1/services", Header: "Authorization: Bearer " + token + "\r\n"}
	work.Go(func() { reads.Run(ctx) })
	made, polls := []string{}, 0
	work.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			name := fmt.Sprint("person-", n)
			if _, err := admin.CreateToken(context.Background(), wire.NewToken{Name: name, Role: policy.Viewer}); err != nil {
				r.t.Errorf("a token: %v", err)
				continue
			}
			made = append(made, name)
			<-time.After(20 * time.Millisecond)
		}
	})
	work.Go(func() {
		tag := ""
		for ctx.Err() == nil {
			_, now, err := plane.Desired(ctx, "local", tag, 2*time.Second)
			if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
				r.t.Errorf("a long poll: %v", err)
			}
			tag = now
			polls++
		}
	})
	return func() {
		r.t.Helper()
		cancel()
		work.Wait()
		if reads.Losses() > 0 || reads.Requests.Load() < 10 {
			r.t.Errorf("%d of %d reads lost: %s", reads.Losses(), reads.Requests.Load(), reads.Why())
		}
		all, err := admin.Tokens(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		for _, name := range made {
			if !slices.ContainsFunc(all, func(t wire.Token) bool { return t.Name == name }) {
				r.t.Errorf("%s was acknowledged and is not there", name)
			}
		}
		r.t.Logf("%d reads, %d writes, %d polls", reads.Requests.Load(), len(made), polls)
	}
}

func TestAControlPlaneIsReplacedWhileItServes(t *testing.T) {
	r := newServerRig(t)
	stop := r.callers()
	for _, q := range []UpgradeRequest{{Binary: r.self}, {Back: true}} {
		was := r.pid()
		u, err := r.upgrade(q)
		if err != nil {
			t.Fatal(err)
		}
		if u.Before != was || u.PID != r.pid() || u.PID == was {
			t.Errorf("%+v, while %d had the folder and now %d has", u, was, r.pid())
		}
	}
	stop()
}

func TestAFailedReplacementOfAControlPlaneChangesNothing(t *testing.T) {
	r := newServerRig(t)
	pid := r.pid()
	stop := r.callers()
	for how, want := range map[string]string{"end": "ended before it was serving", "hang": "was not serving within", "crash": "ended just after it had taken over"} {
		if _, err := r.upgrade(UpgradeRequest{Binary: script(t, `exec "`+r.self+`" heir `+how)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", how, err)
		}
	}
	if r.pid() != pid {
		t.Errorf("process %d is %d", pid, r.pid())
	}
	stop()
}
