package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/handover"
	"github.com/ringfence/ringfence/test/strict"
)

// realDataPlane is a data plane in a process of its own, as a test starts it: data, gateway, admin.
func realDataPlane(ctx context.Context, args []string) error {
	return DataPlane(ctx, DataPlaneConfig{Data: args[0], Unit: "local", Server: "http://127.0.0.1:1", TokenFile: filepath.Join(args[0], "token"),
		Gateway: args[1], Admin: args[2], Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
}

// web is an instance: it echoes what it is sent after its process number, and streams when asked for it.
func web(ctx context.Context, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return serveHTTP(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := 0; r.Context().Err() == nil; i++ {
				if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				<-time.After(20 * time.Millisecond)
			}
			return
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%d %s", os.Getpid(), b)
	}), nil)
}

// planeRig is a data plane with two instances.
type planeRig struct {
	t                    *testing.T
	self, data           string
	gateway, admin, logs string
}

func newPlaneRig(t *testing.T) *planeRig {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &planeRig{t: t, self: self, data: t.TempDir(), logs: filepath.Join(t.TempDir(), "log")}
	desired, err := json.Marshal(fleet.Desired{Unit: "local", Services: []fleet.Service{{Name: "shop", Generation: 4,
		Rings: []fleet.Ring{{Name: "all"}}, Exposure: []string{"v1"}, Route: fleet.Route{Host: "shop.localhost", TargetingKey: fleet.Source{Header: "X-User-ID"}},
		Slots: []fleet.Slot{{Version: "v1", Command: []string{self, "web", "{address}"}, Instances: 2, Ready: fleet.Ready{TCP: true}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"token": []byte(access.NewToken()), "desired.json": desired} {
		if err := writeFile(filepath.Join(r.data, name), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []*string{&r.gateway, &r.admin} {
		if *at, err = freeAddress("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	t.Cleanup(r.close)
	await(t, "two instances that are ready", func() bool { return r.ready() == 2 })
	return r
}

func (r *planeRig) start() *exec.Cmd {
	log, err := os.OpenFile(r.logs, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(r.self, "realdataplane", r.data, r.gateway, r.admin)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	return cmd
}

// close ends whatever is there, and the instances.
func (r *planeRig) close() {
	pids := r.instances()
	if err := Down(filepath.Dir(r.data)); err != nil && !errs.Is(err, errs.Missing) {
		r.t.Log(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		pid := lockHolder(r.data, "dataplane")
		if pid == 0 {
			break
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		<-time.After(10 * time.Millisecond)
	}
	for _, pid := range pids {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	if r.t.Failed() {
		b, _ := os.ReadFile(r.logs)
		r.t.Logf("log:\n%s", b)
	}
}

func (r *planeRig) observed() fleet.Observed {
	res, err := http.Get("http://" + r.admin + "/healthz")
	if err != nil {
		return fleet.Observed{}
	}
	defer res.Body.Close()
	var page struct{ Observed fleet.Observed }
	_ = json.NewDecoder(res.Body).Decode(&page)
	return page.Observed
}

func (r *planeRig) instances() (pids []int) {
	for _, s := range r.observed().Services {
		for _, slot := range s.Slots {
			for _, in := range slot.Instances {
				if in.Ready {
					pids = append(pids, in.PID)
				}
			}
		}
	}
	return pids
}

func (r *planeRig) ready() int { return len(r.instances()) }

func (r *planeRig) pid() int { return lockHolder(r.data, "dataplane") }

// upgrade asks for one, to a binary.
func (r *planeRig) upgrade(q UpgradeRequest) (Upgraded, error) {
	if q.Within == 0 {
		q.Within = time.Minute
	}
	var u Upgraded
	err := handover.Ask(r.t.Context(), socketPath(r.data, "dataplane"), q, func(string) {}, &u)
	return u, err
}

// upgradeSoon is upgrade of a process that may have taken over just now.
func (r *planeRig) upgradeSoon(q UpgradeRequest) (u Upgraded, err error) {
	await(r.t, "a control socket", func() bool {
		u, err = r.upgrade(q)
		return !errors.Is(err, handover.ErrNobody)
	})
	return u, err
}

// load sends requests until stop is called, which checks that nothing was lost.
func (r *planeRig) load() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	loads := []*strict.Load{
		{Addr: r.gateway, Host: "shop.localhost", Clients: 4, Posts: 0.3, Think: 5 * time.Millisecond, Path: "/"},
		{Addr: r.gateway, Host: "shop.localhost", Clients: 2, Fresh: 1, Posts: 0.3, Think: 5 * time.Millisecond, Path: "/"},
		{Addr: r.gateway, Host: "shop.localhost", Clients: 2, Fresh: 0.2, Posts: 0.3, Path: "/"},
	}
	done := make(chan struct{}, len(loads))
	for _, l := range loads {
		go func() {
			l.Run(ctx)
			done <- struct{}{}
		}()
	}
	return func() {
		r.t.Helper()
		cancel()
		for range loads {
			<-done
		}
		for i, name := range []string{"kept", "new each", "20 % new"} {
			if loads[i].Losses() > 0 || loads[i].Requests.Load() < 10 {
				r.t.Errorf("connections %s: %d of %d requests lost: %s", name, loads[i].Losses(), loads[i].Requests.Load(), loads[i].Why())
			}
			r.t.Logf("connections %s: %d requests on %d connections, %d lost", name, loads[i].Requests.Load(), loads[i].Connections.Load(), loads[i].Losses())
		}
	}
}

func TestADataPlaneIsReplacedWhileItServes(t *testing.T) {
	r := newPlaneRig(t)
	before := r.instances()
	stream, err := http.DefaultClient.Do(shopRequest(t, r.gateway, "/stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	stop := r.load()
	seen := map[int]bool{r.pid(): true}
	for _, q := range []UpgradeRequest{{Binary: r.self}, {Back: true}, {Binary: r.self}} {
		was := r.pid()
		u, err := r.upgradeSoon(q)
		if err != nil {
			t.Fatal(err)
		}
		if u.Before != was || u.PID != r.pid() || seen[u.PID] {
			t.Errorf("%+v, while %d had the folder and now %d has", u, was, r.pid())
		}
		seen[u.PID] = true
	}
	stop()
	if after := r.instances(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("instances were %v and are %v", before, after)
	}
	for n, lines := 0, bufio.NewScanner(stream.Body); n < 100; n++ { // that began three processes ago
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
	}
	if _, err := os.Stat(filepath.Join(r.data, "run", "dataplane.former.json")); err != nil {
		t.Error(err)
	}
}

func shopRequest(t *testing.T, addr, path string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.localhost"
	req.Header.Set("X-User-ID", "ann")
	return req
}

// script is a binary that says that it is Ringfence, and then does something else.
func script(t *testing.T, then string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ringfence")
	text := "#!/bin/sh\nif [ \"$1\" = version ]; then echo '{\"version\":\"broken\",\"handover\":1}'; exit 0; fi\n" + then + "\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFailedReplacementChangesNothing(t *testing.T) {
	r := newPlaneRig(t)
	pid, before := r.pid(), r.instances()
	stop := r.load()
	for name, c := range map[string]struct {
		binary string
		kind   errs.Kind
		text   string
	}{
		"is not there":              {filepath.Join(r.data, "none"), errs.Invalid, "does not say what it is"},
		"is something else":         {"/bin/true", errs.Invalid, "no binary of Ringfence"},
		"ends":                      {script(t, "exit 3"), errs.Internal, "ended before it was prepared (exit status 3)"},
		"hangs":                     {script(t, "exec sleep 600"), errs.Unavailable, "was not prepared within"},
		"refuses":                   {script(t, `exec "`+r.self+`" heir refuse`), errs.Conflict, "cannot read the state"},
		"ends when it is let":       {script(t, `exec "`+r.self+`" heir end`), errs.Internal, "ended before it was serving"},
		"hangs when it is let":      {script(t, `exec "`+r.self+`" heir hang`), errs.Unavailable, "was not serving within"},
		"crashes after taking over": {script(t, `exec "`+r.self+`" heir crash`), errs.Internal, "ended just after it had taken over"},
	} {
		_, err := r.upgrade(UpgradeRequest{Binary: c.binary, Within: 3 * time.Second})
		if !errs.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("a binary that %s: %v (%s)", name, err, errs.KindOf(err))
		}
	}
	if _, err := r.upgrade(UpgradeRequest{Back: true}); !errs.Is(err, errs.Missing) {
		t.Errorf("back to nothing: %v", err)
	}
	stop()
	await(t, "both instances", func() bool { return r.ready() == 2 })
	if r.pid() != pid || fmt.Sprint(r.instances()) != fmt.Sprint(before) {
		t.Errorf("process %d is %d, instances %v are %v", pid, r.pid(), before, r.instances())
	}
	killed := before[0] // and are still looked after
	_ = syscall.Kill(-killed, syscall.SIGKILL)
	await(t, "another instance", func() bool { return r.ready() == 2 && fmt.Sprint(r.instances()) != fmt.Sprint(before) })
}

// heir is a successor that goes wrong.
func heir(how string) error {
	p, err := handover.Inherit()
	if err != nil {
		return err
	}
	if how == "refuse" {
		err := errs.E(errs.Conflict, "cannot read the state")
		p.Failed(err)
		return err
	}
	if err := p.Say(handover.Prepared); err != nil {
		return err
	}
	if _, err := p.Await(context.Background(), handover.Release, nil); err != nil || how == "end" {
		return err
	}
	if how == "crash" {
		return p.Say(handover.Serving)
	}
	select {}
}

// realServer is a control plane in a process of its own, as a test starts it: data, address.
func realServer(ctx context.Context, args []string) error {
	return Server(ctx, ServerConfig{Data: args[0], Listen: args[1], Scrape: time.Second, Step: 100 * time.Millisecond,
		LogLimits: LogLimits{LogRetention: time.Hour, LogDisk: 64}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
}
