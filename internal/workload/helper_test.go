package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// The test binary is also the service that the tests run, and a runtime that the tests kill.
func TestMain(m *testing.M) {
	switch os.Getenv("HELPER") {
	case "":
		os.Exit(m.Run())
	case "serve":
		helperServe()
	case "sleep":
		helperSleep()
	case "runtime":
		helperRuntime()
	}
}

// helperServe is a service whose faults are chosen by its environment and switched by files in CONTROL.
func helperServe() {
	control := os.Getenv("CONTROL")
	if os.Getenv("IGNORE_TERM") != "" {
		signal.Ignore(syscall.SIGTERM)
	}
	if os.Getenv("CRASH") != "" {
		note(control+"/starts", fmt.Sprintln(os.Getenv("ADDRESS"), time.Now().UnixNano()))
		fmt.Println("cannot open the database")
		os.Exit(3)
	}
	switch os.Getenv("CHILD") {
	case "group": // found by its group alone
		spawnSleeper(control, []string{"HELPER=sleep"}, false)
	case "token": // found by its token alone
		spawnSleeper(control, append(os.Environ(), "HELPER=sleep"), true)
	}
	if os.Getenv("SPAM") != "" {
		go func() {
			for n := 0; ; n++ {
				fmt.Printf("line %08d\n", n)
				if n%100 == 99 {
					time.Sleep(time.Millisecond) // a pace, not a wait
				}
			}
		}()
	}
	var hangs atomic.Bool
	http.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) { hangs.Store(true) })
	http.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(control + "/unready"); err == nil || hangs.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(os.Environ())
	})
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(4) })
	http.HandleFunc("/say", func(_ http.ResponseWriter, r *http.Request) { fmt.Println(r.URL.Query().Get("line")) })
	http.HandleFunc("/burn", func(http.ResponseWriter, *http.Request) {
		for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
		}
	})
	fmt.Println("listening on", os.Getenv("LISTEN_ADDR"))
	fmt.Println(http.ListenAndServe(os.Getenv("LISTEN_ADDR"), nil))
	os.Exit(1)
}

func spawnSleeper(control string, env []string, session bool) {
	c := exec.Command(os.Args[0])
	c.Env, c.SysProcAttr = env, &syscall.SysProcAttr{Setsid: session}
	if err := c.Start(); err != nil {
		panic(err)
	}
	if err := os.WriteFile(control+"/child", fmt.Appendf(nil, "%d", c.Process.Pid), 0o600); err != nil {
		panic(err)
	}
}

func helperSleep() {
	signal.Ignore(syscall.SIGTERM)
	time.Sleep(5 * time.Minute) // ended by the test
}

type helperJob struct {
	Dir, Artifact, Digest string
	Services              map[string][]fleet.Slot
}

// helperRuntime runs a Runtime until it is killed.
func helperRuntime() {
	var job helperJob
	if err := json.NewDecoder(os.Stdin).Decode(&job); err != nil {
		panic(err)
	}
	r, err := New(Options{Dir: job.Dir, Traffic: newTraffic(), Artifacts: files{job.Digest: job.Artifact},
		PortLow: testPortLow, PortHigh: testPortHigh})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r.Apply(job.Services)
	_ = r.Run(context.Background())
}

const testPortLow, testPortHigh = 17000, 18999

type files map[string]string

func (f files) Fetch(_ context.Context, digest string) (string, error) {
	if p, ok := f[digest]; ok {
		return p, nil
	}
	return "", fmt.Errorf("no artifact %s", digest)
}

// rig is a runtime with what it needs around it.
type rig struct {
	t       *testing.T
	dir     string // the runtime's
	control string // the helper service's
	binary  string
	digest  string
	traffic *traffic
	rt      *Runtime
	cancel  func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, dir: t.TempDir(), control: t.TempDir(), binary: binary, digest: hashFile(binary), traffic: newTraffic()}
}

// open starts a runtime on the rig's folder; the test's end stops it with all instances.
func (g *rig) open(change ...func(*Options)) *rig {
	g.t.Helper()
	opt := Options{Dir: g.dir, Traffic: g.traffic, Artifacts: files{g.digest: g.binary}, PortLow: testPortLow, PortHigh: testPortHigh}
	if testing.Verbose() {
		opt.Logger = slog.New(slog.NewTextHandler(g.t.Output(), nil))
	}
	for _, f := range change {
		f(&opt)
	}
	rt, err := New(opt)
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = rt.Run(ctx)
	}()
	g.rt, g.cancel = rt, func() { cancel(); <-done }
	g.t.Cleanup(func() {
		g.cancel()
		if err := rt.Close(true); err != nil {
			g.t.Error(err)
		}
	})
	return g
}

// leave closes the runtime but not its instances.
func (g *rig) leave() {
	g.t.Helper()
	g.cancel()
	if err := g.rt.Close(false); err != nil {
		g.t.Fatal(err)
	}
}

// slot is a healthy one; env are NAME=value pairs.
func (g *rig) slot(version string, instances int, env ...string) fleet.Slot {
	s := fleet.Slot{Version: version, Digest: g.digest, Command: []string{"{artifact}"}, Instances: instances,
		Env: map[string]string{"HELPER": "serve", "CONTROL": g.control}, Ready: fleet.Ready{HTTP: "/readyz"},
		StopGrace: fleet.Dur(5 * time.Second), Drain: fleet.Dur(5 * time.Second)}
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		s.Env[k] = v
	}
	return s
}

func shop(slots ...fleet.Slot) map[string][]fleet.Slot { return map[string][]fleet.Slot{"shop": slots} }

// status of one version; zero when there is none.
func (g *rig) status(version string) fleet.SlotStatus {
	for _, s := range g.rt.Status("shop") {
		if s.Version == version {
			return s
		}
	}
	return fleet.SlotStatus{}
}

func (g *rig) awaitReady(version string, n int) fleet.SlotStatus {
	g.t.Helper()
	g.await(fmt.Sprintf("%d instances of %s ready", n, version), func() bool {
		s := g.status(version)
		return s.Ready == n && len(s.Instances) == n
	})
	return g.status(version)
}

// await polls until cond holds.
func (g *rig) await(what string, cond func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); {
		if time.Now().After(deadline) {
			g.t.Fatalf("not within a minute: %s\nstatus: %+v\ntraffic: %v", what, g.rt.Status("shop"), g.traffic.all())
		}
		<-time.After(5 * time.Millisecond)
	}
}

func get(t *testing.T, address, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func pids(s fleet.SlotStatus) map[string]int {
	out := map[string]int{}
	for _, i := range s.Instances {
		out[i.ID] = i.PID
	}
	return out
}

func alive(pid int) bool {
	st, err := readStat(pid)
	return err == nil && st.state != 'Z' && st.state != 'X'
}

// crash makes an instance exit; the request gets no answer.
func crash(address string) {
	if resp, err := http.Get("http://" + address + "/exit"); err == nil {
		_ = resp.Body.Close()
	}
}

// child is the process that an instance with CHILD has started.
func (g *rig) child() (pid int) {
	g.t.Helper()
	b, err := os.ReadFile(g.control + "/child")
	if err != nil || json.Unmarshal(b, &pid) != nil || !alive(pid) {
		g.t.Fatalf("no child: %q, %v", b, err)
	}
	return pid
}

func itoa(n int) string { return fmt.Sprint(n) }

// note appends a line to a file, for the test to read.
func note(path, line string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, _ = f.WriteString(line)
		_ = f.Close()
	}
}
