package workload

import (
	"context"
	"fmt"

	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

func TestStartsReadyThenEndpoint(t *testing.T) {
	g := newRig(t)
	g.traffic.onSet = func(_ string, eps []fleet.Endpoint) {
		for _, e := range eps {
			if got := get(t, e.Address, "/readyz"); got != "" {
				t.Errorf("endpoint %s announced, but it answers %q", e.ID, got)
			}
		}
		if n := g.status("v1").Ready; len(eps) > 0 && n >= len(eps) {
			t.Errorf("%d shown ready while the gateway is being told of %d", n, len(eps))
		}
	}
	g.open()
	g.rt.Apply(shop(g.slot("v1", 2)))
	st := g.awaitReady("v1", 2)
	if st.Wanted != 2 || st.Failure != "" {
		t.Errorf("status %+v", st)
	}
	before := pids(st)
	g.rt.Apply(shop(g.slot("v1", 2)))
	if after := pids(g.awaitReady("v1", 2)); len(before) != 2 || before["shop/v1/1"] != after["shop/v1/1"] || before["shop/v1/2"] != after["shop/v1/2"] {
		t.Errorf("applying the same again changed instances: %v, then %v", before, after)
	}
	g.rt.Apply(nil)
	g.await("no slot", func() bool { return len(g.rt.Status("shop")) == 0 })
	if want := "endpoints v1 0"; !slices.Contains(g.traffic.all(), want) {
		t.Errorf("%q is not in %v", want, g.traffic.all())
	}
	for id, pid := range before {
		if alive(pid) {
			t.Errorf("%s still runs", id)
		}
	}
}

func TestNeverReady(t *testing.T) {
	g := newRig(t).open()
	if err := os.WriteFile(g.control+"/unready", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	slow, crash, bad, gone := g.slot("slow", 1), g.slot("crash", 1, "CRASH=1"), g.slot("bad", 1), g.slot("gone", 1)
	slow.Ready.Within, crash.Ready.Within = fleet.Dur(300*time.Millisecond), fleet.Dur(300*time.Millisecond)
	bad.Command = nil
	gone.Command = []string{"/no/such/program"}
	g.rt.Apply(shop(slow, crash, bad, gone))
	for version, wants := range map[string][]string{
		"slow":  {"shop/slow/1 is not ready after", "GET /readyz answered 503", "last log line: listening on 127.0.0.1:"},
		"crash": {"shop/crash/1 is not ready after", "connection refused", "restarted", "last exit: exit status 3", "last log line: cannot open the database"},
		"bad":   {"the command is empty"},
		"gone":  {"cannot start the command", "/no/such/program"},
	} {
		g.await("failure of "+version, func() bool {
			f := g.status(version).Failure
			return f != "" && !slices.ContainsFunc(wants, func(w string) bool { return !strings.Contains(f, w) })
		})
		if f := g.status(version).Failure; strings.ContainsAny(f, "\n\r") {
			t.Errorf("more than one line: %q", f)
		}
	}
	if notes := g.traffic.all(); len(notes) != 0 {
		t.Errorf("nothing was ready, yet: %v", notes)
	}
	if err := os.Remove(g.control + "/unready"); err != nil {
		t.Fatal(err)
	}
	if st := g.awaitReady("slow", 1); st.Failure != "" {
		t.Errorf("ready, with failure %q", st.Failure)
	}
}

func TestAnArtifactThatIsNoProgram(t *testing.T) {
	from := files{}
	g := newRig(t)
	g.open(func(o *Options) { o.Artifacts = from })
	var slots []fleet.Slot
	wants := map[string]string{}
	for version, c := range map[string]struct{ content, says string }{
		"text":        {"hello, I am a text\n", "the artifact is no program that this machine can run (exec format error)"},
		"cut":         {"\x7fELF", "the artifact is no program that this machine can run (exec format error)"},
		"interpreter": {"#!/no/such/interpreter\n", "the artifact needs an interpreter or loader that this machine does not have"},
	} {
		path := filepath.Join(t.TempDir(), version)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		s := g.slot(version, 1)
		s.Digest, s.Command = hashFile(path), []string{"{artifact}"}
		from[s.Digest] = path
		slots = append(slots, s)
		wants[version] = "cannot start the command: " + c.says
	}
	g.rt.Apply(shop(slots...))
	for version, want := range wants {
		g.await(version+": "+want, func() bool { return strings.HasSuffix(g.status(version).Failure, ": "+want) })
	}
}

func TestAFailureIsToldOnceThereIsOne(t *testing.T) {
	g := newRig(t).open()
	if err := os.WriteFile(g.control+"/unready", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.rt.Apply(shop(g.slot("slow", 1), g.slot("crash", 1, "CRASH=1"))) // with the default minute
	g.await("why the second exited", func() bool { return strings.Contains(g.status("crash").Failure, "last exit: exit status 3") })
	g.await("a process of the first", func() bool { s := g.status("slow"); return len(s.Instances) == 1 && s.Instances[0].PID != 0 })
	if f := g.status("slow").Failure; f != "" {
		t.Errorf("failure before its time: %q", f)
	}
}

// Whoever gives up on a version does so at a moment of its own: the reason must not wait for the next report.
func TestWhyOneIsLateIsNewsOfItsOwn(t *testing.T) {
	g := newRig(t)
	told := make(chan struct{}, 1)
	g.open(func(o *Options) {
		o.OnChange = func() {
			if g.status("slow").Failure != "" {
				select {
				case told <- struct{}{}:
				default:
				}
			}
		}
	})
	if err := os.WriteFile(g.control+"/unready", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	slow := g.slot("slow", 1)
	slow.Ready.Within = fleet.Dur(time.Second)
	g.rt.Apply(shop(slow))
	select {
	case <-told:
	case <-time.After(time.Minute):
		t.Error("nobody is told why it is not ready")
	}
}

func TestCrashIsRestarted(t *testing.T) {
	g := newRig(t)
	var changes atomic.Int64
	g.open(func(o *Options) { o.OnChange = func() { changes.Add(1) } })
	g.rt.Apply(shop(g.slot("v1", 2)))
	before := g.awaitReady("v1", 2)
	seen, notes := changes.Load(), len(g.traffic.all())
	crash(before.Instances[0].Address)
	g.await("one endpoint withdrawn", func() bool { return slices.Contains(g.traffic.all()[notes:], "endpoints v1 1") })
	g.await("back again", func() bool {
		s := g.status("v1")
		return s.Ready == 2 && s.Instances[0].Restarts == 1
	})
	after := g.status("v1")
	if i := after.Instances[0]; i.LastExit != "exit status 4" || i.PID == before.Instances[0].PID || i.Address != before.Instances[0].Address {
		t.Errorf("restarted as %+v, was %+v", i, before.Instances[0])
	}
	if after.Instances[1].PID != before.Instances[1].PID {
		t.Error("the other instance was touched")
	}
	if changes.Load() == seen {
		t.Error("nobody was told of the changes")
	}
}

// A minute of health makes an instance start again from the shortest pause.
func TestHealthResetsBackoff(t *testing.T) {
	g := newRig(t).open()
	s := g.slot("v1", 1)
	s.Ready.Interval = fleet.Dur(5 * time.Millisecond)
	g.rt.Apply(shop(s))
	st := g.awaitReady("v1", 1)
	g.rt.mu.Lock()
	i := g.rt.slots["shop"]["v1"].instances[1]
	i.rec.Attempt, i.readyAt = 8, time.Now().Add(-time.Hour)
	g.rt.mu.Unlock()
	for range 3 { // further checks do not make its health younger
		get(t, st.Instances[0].Address, "/burn")
	}
	crash(st.Instances[0].Address)
	g.await("back", func() bool { s := g.status("v1"); return s.Ready == 1 && s.Instances[0].Restarts == 1 })
	if n := g.records()[1].Attempt; n != 1 {
		t.Errorf("it is at attempt %d of the back-off", n)
	}
}

func TestCrashLoopBacksOffAndMovesPort(t *testing.T) {
	g := newRig(t).open()
	g.rt.Apply(shop(g.slot("v1", 1, "CRASH=1")))
	type run struct {
		addr string
		at   int64
	}
	var runs []run
	g.await("four starts", func() bool { // as the processes noted them: they end too soon to be seen
		b, _ := os.ReadFile(g.control + "/starts")
		runs = nil
		for line := range strings.Lines(string(b)) {
			var r run
			if n, _ := fmt.Sscan(line, &r.addr, &r.at); n == 2 {
				runs = append(runs, r)
			}
		}
		return len(runs) >= 4
	})
	for k, least := range []time.Duration{160 * time.Millisecond, 320 * time.Millisecond, 640 * time.Millisecond} {
		if gap := time.Duration(runs[k+1].at - runs[k].at); gap < least {
			t.Errorf("start %d came %s after the one before, want at least %s", k+2, gap, least)
		}
		if runs[k+1].addr == runs[k].addr {
			t.Errorf("start %d got port of a start that never became ready: %s", k+2, runs[k].addr)
		}
	}
}

func TestReadinessLostAndRegained(t *testing.T) {
	g := newRig(t).open()
	s := g.slot("v1", 1)
	s.Ready.Interval = fleet.Dur(20 * time.Millisecond)
	g.rt.Apply(shop(s))
	pid := g.awaitReady("v1", 1).Instances[0].PID
	if err := os.WriteFile(g.control+"/unready", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.await("withdrawn", func() bool { return g.status("v1").Ready == 0 && len(g.traffic.of("v1")) == 0 })
	if err := os.Remove(g.control + "/unready"); err != nil {
		t.Fatal(err)
	}
	g.await("back", func() bool { return len(g.traffic.of("v1")) == 1 })
	if st := g.awaitReady("v1", 1); st.Instances[0].PID != pid || st.Instances[0].Restarts != 0 {
		t.Errorf("not the same process: %+v, was %d", st, pid)
	}
}

func TestScale(t *testing.T) {
	g := newRig(t).open()
	g.rt.Apply(shop(g.slot("v1", 1)))
	first := pids(g.awaitReady("v1", 1))
	g.rt.Apply(shop(g.slot("v1", 3)))
	three := pids(g.awaitReady("v1", 3))
	g.rt.Apply(shop(g.slot("v1", 1)))
	one := pids(g.awaitReady("v1", 1))
	if three["shop/v1/1"] != first["shop/v1/1"] || one["shop/v1/1"] != first["shop/v1/1"] {
		t.Errorf("the first instance did not stay: %v, %v, %v", first, three, one)
	}
}

// A changed environment replaces every process, with no moment in which fewer are ready than were.
func TestRoll(t *testing.T) {
	g := newRig(t)
	g.open()
	g.rt.Apply(shop(g.slot("v1", 2, "GENERATION=1")))
	before := pids(g.awaitReady("v1", 2))
	g.traffic.mu.Lock()
	g.traffic.onSet = func(_ string, eps []fleet.Endpoint) {
		if len(eps) < 2 || len(eps) > 3 {
			t.Errorf("%d endpoints during the roll", len(eps))
		}
	}
	g.traffic.mu.Unlock()
	g.rt.Apply(shop(g.slot("v1", 2, "GENERATION=2")))
	g.await("both replaced", func() bool {
		s := g.status("v1")
		for _, pid := range pids(s) {
			if pid == before["shop/v1/1"] || pid == before["shop/v1/2"] {
				return false
			}
		}
		return s.Ready == 2 && len(s.Instances) == 2
	})
	for _, i := range g.status("v1").Instances {
		if env := get(t, i.Address, "/env"); !strings.Contains(env, "GENERATION=2") {
			t.Errorf("%s runs with %s", i.ID, env)
		}
	}
	g.traffic.mu.Lock()
	g.traffic.onSet = nil
	g.traffic.mu.Unlock()
}

// The order that loses no request: endpoint withdrawn, drained, SIGTERM, SIGKILL to what is left.
func TestStopOrder(t *testing.T) {
	for _, kind := range []string{"group", "token"} {
		t.Run("child known by its "+kind, func(t *testing.T) {
			g := newRig(t)
			g.open()
			s := g.slot("v1", 1, "IGNORE_TERM=1", "CHILD="+kind)
			s.StopGrace = fleet.Dur(200 * time.Millisecond)
			var leader int
			g.traffic.drain = func(context.Context, fleet.Endpoint) {
				if n := len(g.traffic.of("v1")); n != 0 || !alive(leader) {
					t.Errorf("during drain %d endpoints, process alive: %v", n, alive(leader))
				}
				<-time.After(50 * time.Millisecond) // time in which it would be seen to stop
				if !alive(leader) {
					t.Error("stopped before it was drained")
				}
				g.traffic.note("drained")
			}
			g.rt.Apply(shop(s))
			leader = g.awaitReady("v1", 1).Instances[0].PID
			child := g.child()
			g.rt.Apply(nil)
			g.await("stopped", func() bool { return len(g.rt.Status("shop")) == 0 })
			if alive(leader) {
				t.Error("the leader is alive")
			}
			g.await("its child ended", func() bool { return !alive(child) }) // it was killed; its end may take a moment
			want := []string{"endpoints v1 1", "endpoints v1 0", "drain shop/v1/1", "drained"}
			if got := g.traffic.all(); !slices.Equal(got, want) {
				t.Errorf("order %v, want %v", got, want)
			}
			if _, err := os.Stat(filepath.Join(g.dir, "slots", "shop", "v1")); !os.IsNotExist(err) {
				t.Errorf("its folder is still there: %v", err)
			}
		})
	}
}

func TestDrainIsLimited(t *testing.T) {
	g := newRig(t)
	g.open()
	g.traffic.drain = func(ctx context.Context, _ fleet.Endpoint) { <-ctx.Done() }
	s := g.slot("v1", 1)
	s.Drain = fleet.Dur(50 * time.Millisecond)
	g.rt.Apply(shop(s))
	g.awaitReady("v1", 1)
	g.rt.Apply(nil)
	g.await("stopped", func() bool { return len(g.rt.Status("shop")) == 0 })
}

// A version that is wanted again while it leaves gets new instances and keeps them.
func TestWantedAgainWhileStopping(t *testing.T) {
	g := newRig(t)
	g.open()
	release := make(chan struct{})
	g.traffic.drain = func(ctx context.Context, _ fleet.Endpoint) {
		select {
		case <-release:
		case <-ctx.Done():
		}
	}
	g.rt.Apply(shop(g.slot("v1", 1)))
	g.awaitReady("v1", 1)
	g.rt.Apply(nil)
	g.await("draining", func() bool { return slices.Contains(g.traffic.all(), "drain shop/v1/1") })
	g.rt.Apply(shop(g.slot("v1", 1)))
	g.await("a second instance", func() bool { return g.status("v1").Ready == 1 })
	close(release)
	st := g.awaitReady("v1", 1)
	if st.Instances[0].ID != "shop/v1/2" {
		t.Errorf("left with %+v", st.Instances)
	}
}

func TestEnvironmentIsOwn(t *testing.T) {
	t.Setenv("RINGFENCE_DATABASE_PASSWORD", "hunter2")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter3")
	g := newRig(t).open()
	g.rt.Apply(shop(g.slot("v1", 1, "GREETING=hello")))
	i := g.awaitReady("v1", 1).Instances[0]
	env := get(t, i.Address, "/env")
	if strings.Contains(env, "hunter") {
		t.Errorf("a secret of the runtime is in %s", env)
	}
	for _, want := range []string{"GREETING=hello", "LISTEN_ADDR=" + i.Address, "RINGFENCE_INSTANCE=shop/v1/1"} {
		if !strings.Contains(env, want) {
			t.Errorf("%s is not in %s", want, env)
		}
	}
	if cwd, err := os.Readlink(filepath.Join("/proc", itoa(i.PID), "cwd")); err != nil || cwd != filepath.Join(g.dir, "slots/shop/v1/1/work") {
		t.Errorf("works in %q, %v", cwd, err)
	}
}

func TestUsage(t *testing.T) {
	g := newRig(t).open()
	g.rt.Apply(shop(g.slot("v1", 1, "CHILD=group")))
	i := g.awaitReady("v1", 1).Instances[0]
	own, err := readStat(i.PID)
	if err != nil {
		t.Fatal(err)
	}
	g.await("CPU time and the child's memory", func() bool {
		get(t, i.Address, "/burn")
		now := g.status("v1").Instances[0]
		return now.CPUSeconds >= i.CPUSeconds+0.2 && now.RSSBytes > own.residentPgs*int64(os.Getpagesize())*5/4
	})
}

func TestSecondRuntimeIsRefused(t *testing.T) {
	g := newRig(t).open()
	_, err := New(Options{Dir: g.dir, Traffic: g.traffic})
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), g.dir) {
		t.Errorf("got %v", err)
	}
}

// A child that the killed runtime was forking may hold the lock for a moment longer.
func TestLockIsWaitedFor(t *testing.T) {
	g := newRig(t)
	held, err := lockDir(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = held.Close() })
	g.open()
}

// hanging is a source whose download never ends by itself.
type hanging struct{ begun chan struct{} }

func (h hanging) Fetch(ctx context.Context, _ string) (string, error) {
	select {
	case h.begun <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return "", ctx.Err()
}

func TestStopsDuringDownload(t *testing.T) {
	h := hanging{make(chan struct{}, 1)}
	g := newRig(t).open(func(o *Options) { o.Artifacts = h })
	g.rt.Apply(shop(g.slot("v1", 2)))
	<-h.begun
	g.rt.Apply(nil)
	g.await("no slot", func() bool { return len(g.rt.Status("shop")) == 0 })
}

// Closing in the pause between two starts starts nothing more, and the next runtime goes on with the count.
func TestCloseDuringBackoff(t *testing.T) {
	g := newRig(t).open()
	g.rt.Apply(shop(g.slot("v1", 1, "CRASH=1")))
	g.await("a pause", func() bool {
		s := g.status("v1")
		return len(s.Instances) == 1 && s.Instances[0].Restarts >= 2 && g.records()[1].Phase == phaseDown
	})
	g.leave()
	rec := g.records()[1]
	if rec.Phase != phaseDown || len(scanMarked(g.rt.id+".")) != 0 {
		t.Errorf("left as %+v, with %v", rec, scanMarked(g.rt.id+"."))
	}
	g.open()
	if i := g.status("v1").Instances[0]; i.Restarts < 2 || i.LastExit != "exit status 3" {
		t.Errorf("forgotten: %+v", i)
	}
}

func TestTCPReadiness(t *testing.T) {
	g := newRig(t).open()
	s := g.slot("v1", 1)
	s.Ready = fleet.Ready{}
	g.rt.Apply(shop(s))
	g.awaitReady("v1", 1)
}
