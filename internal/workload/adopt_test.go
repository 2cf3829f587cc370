package workload

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/fleet"
)

// elsewhere runs a Runtime on the rig's folder in another process and returns how to kill it.
func (g *rig) elsewhere(services map[string][]fleet.Slot) (kill func()) {
	g.t.Helper()
	job, err := json.Marshal(helperJob{Dir: g.dir, Artifact: g.binary, Digest: g.digest, Services: services})
	if err != nil {
		g.t.Fatal(err)
	}
	cmd := exec.Command(g.binary)
	cmd.Env = append(os.Environ(), "HELPER=runtime")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(job), os.Stderr
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	g.t.Cleanup(kill)
	return kill
}

// records on disk, by instance number.
func (g *rig) records() map[int]record {
	list, err := loadRecords(filepath.Join(g.dir, "slots"), func(path string, err error) { g.t.Error(path, err) })
	if err != nil {
		g.t.Fatal(err)
	}
	out := map[int]record{}
	for _, r := range list {
		out[r.N] = r
	}
	return out
}

func (g *rig) edit(n int, f func(*record)) {
	g.t.Helper()
	r := g.records()[n]
	f(&r)
	if err := saveRecord(filepath.Join(g.dir, "slots", "shop", r.Slot.Version, itoa(n)), r); err != nil {
		g.t.Fatal(err)
	}
}

func TestAdoptsAfterKill(t *testing.T) {
	g := newRig(t)
	wanted := shop(g.slot("v1", 2))
	wanted["shop"][0].Env["CHILD"] = "group"
	kill := g.elsewhere(wanted)
	g.await("two recorded ready", func() bool {
		r := g.records()
		return r[1].WasReady && r[2].WasReady
	})
	kill()
	child := g.child()
	before := g.records()
	g.open()
	g.rt.Apply(wanted)
	st := g.awaitReady("v1", 2)
	for k, i := range st.Instances {
		if r := before[k+1]; i.PID != r.PID || i.Restarts != 0 || i.Address != (launch{port: r.Port}).address() || !i.Started.Equal(r.Started) {
			t.Errorf("instance %+v was %+v", i, r)
		}
	}
	crash(st.Instances[0].Address)
	g.await("the adopted one restarted", func() bool {
		s := g.status("v1")
		return s.Ready == 2 && s.Instances[0].Restarts == 1 && s.Instances[0].PID != st.Instances[0].PID
	})
	g.rt.Apply(nil)
	g.await("stopped", func() bool { return len(g.rt.Status("shop")) == 0 })
	for _, i := range st.Instances {
		if alive(i.PID) {
			t.Errorf("%s still runs", i.ID)
		}
	}
	g.await("the child of an adopted one ended", func() bool { return !alive(child) }) // it was killed; its end may take a moment
}

func TestRestartsWhatDiedMeanwhile(t *testing.T) {
	g := newRig(t)
	wanted := shop(g.slot("v1", 2, "CHILD=token"))
	kill := g.elsewhere(wanted)
	g.await("two recorded ready", func() bool { r := g.records(); return r[1].WasReady && r[2].WasReady })
	kill()
	dead := g.records()[1]
	if err := syscall.Kill(dead.PID, syscall.SIGKILL); err != nil { // its child lives on
		t.Fatal(err)
	}
	g.await("dead", func() bool { return !alive(dead.PID) })
	if left := scanMarked(dead.Token); len(left) != 1 {
		t.Fatalf("the child should be left, there is %v", left)
	}
	g.open()
	g.rt.Apply(wanted)
	st := g.awaitReady("v1", 2)
	if st.Instances[0].Restarts != 1 || st.Instances[0].LastExit == "" || st.Instances[1].Restarts != 0 {
		t.Errorf("got %+v", st.Instances)
	}
	if left := scanMarked(dead.Token); len(left) != 0 {
		t.Errorf("the dead one's child lives: %v", left)
	}
}

// The runtime died between starting a process and recording which one it is.
func TestIntentIsRecovered(t *testing.T) {
	g := newRig(t).open()
	wanted := shop(g.slot("v1", 2))
	g.rt.Apply(wanted)
	before := pids(g.awaitReady("v1", 2))
	g.leave()
	for n := range g.records() {
		g.edit(n, func(r *record) { r.Phase, r.PID, r.StartTicks, r.Boot = phaseIntent, 0, 0, "" })
	}
	g.open()
	g.rt.Apply(wanted)
	if diff := cmp.Diff(before, pids(g.awaitReady("v1", 2))); diff != "" {
		t.Errorf("not adopted:\n%s", diff)
	}
}

// The intent is on disk before there is a process. A log that is a pipe without a reader holds the start up in
// between, so that it can be looked at.
func TestIntentIsRecordedFirst(t *testing.T) {
	g := newRig(t)
	logs := filepath.Join(g.dir, "logs/shop/v1")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(logs, "1.log"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.open()
	t.Cleanup(func() { // a start that still hangs must not hold up closing
		if f, err := os.OpenFile(filepath.Join(logs, "1.log"), os.O_RDWR, 0); err == nil {
			defer f.Close()
			g.rt.Apply(nil)
			g.rt.awaitEmpty()
		}
	})
	g.rt.Apply(shop(g.slot("v1", 1)))
	g.await("the intent", func() bool { r := g.records()[1]; return r.Phase == phaseIntent && r.Token != "" && r.Port != 0 })
	if there := scanMarked(g.rt.id + "."); len(there) != 0 {
		t.Errorf("already started: %v", there)
	}
	reader, err := os.OpenFile(filepath.Join(logs, "1.log"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	g.awaitReady("v1", 1)
	if r := g.records()[1]; r.Phase != phaseRunning || r.PID == 0 {
		t.Errorf("recorded as %+v", r)
	}
}

// An intent without a process, and processes without a record: the first is started, the others are stopped.
func TestIntentAndOrphan(t *testing.T) {
	g := newRig(t).open()
	wanted := shop(g.slot("v1", 3))
	g.rt.Apply(wanted)
	before := pids(g.awaitReady("v1", 3))
	g.leave()
	g.edit(1, func(r *record) {
		r.Phase, r.PID, r.StartTicks, r.Boot, r.Token = phaseIntent, 0, 0, "", strings.Repeat("0", 32)
	})
	if err := os.WriteFile(filepath.Join(g.dir, "slots/shop/v1/2", recordFile), []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.open()
	g.rt.Apply(wanted)
	after := pids(g.awaitReady("v1", 3))
	if alive(before["shop/v1/1"]) || alive(before["shop/v1/2"]) {
		t.Errorf("orphans live on")
	}
	if after["shop/v1/3"] != before["shop/v1/3"] {
		t.Errorf("the good one was lost: %v, then %v", before, after)
	}
}

// A process that has the recorded number but is another is neither adopted nor harmed.
func TestReusedPidIsLeftAlone(t *testing.T) {
	for name, f := range map[string]func(*record){
		"other start time": func(r *record) { r.StartTicks++ },
		"other boot":       func(r *record) { r.Boot = "earlier" },
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			stranger := exec.Command(g.binary)
			stranger.Env = []string{"HELPER=sleep"}
			if err := stranger.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = stranger.Wait() }()
			defer func() { _ = stranger.Process.Kill() }()
			st, err := readStat(stranger.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			rec := record{Service: "shop", Slot: g.slot("v1", 1), N: 1, Phase: phaseRunning, Token: "old", PID: stranger.Process.Pid,
				StartTicks: st.startTicks, Boot: bootID(), Port: testPortLow, Since: time.Now()}
			f(&rec)
			dir := filepath.Join(g.dir, "slots/shop/v1/1")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := saveRecord(dir, rec); err != nil {
				t.Fatal(err)
			}
			g.open()
			g.rt.Apply(shop(g.slot("v1", 1)))
			if i := g.awaitReady("v1", 1).Instances[0]; i.PID == stranger.Process.Pid || i.Restarts != 1 {
				t.Errorf("got %+v", i)
			}
			g.rt.Apply(nil)
			g.await("stopped", func() bool { return len(g.rt.Status("shop")) == 0 })
			if !alive(stranger.Process.Pid) {
				t.Error("the stranger was killed")
			}
		})
	}
}

// What was on its way out goes on leaving, and never gets an endpoint again.
func TestStoppingIsFinished(t *testing.T) {
	g := newRig(t).open()
	g.rt.Apply(shop(g.slot("v1", 2)))
	before := pids(g.awaitReady("v1", 2))
	g.leave()
	g.edit(2, func(r *record) { r.Phase = phaseStopping })
	g.traffic = newTraffic()
	g.open() // without Apply: the first is kept, the second goes
	g.await("one left", func() bool { s := g.status("v1"); return s.Ready == 1 && len(s.Instances) == 1 })
	if !alive(before["shop/v1/1"]) || alive(before["shop/v1/2"]) {
		t.Errorf("first alive: %v, second alive: %v", alive(before["shop/v1/1"]), alive(before["shop/v1/2"]))
	}
	if slices.Contains(g.traffic.all(), "endpoints v1 2") {
		t.Errorf("it was announced: %v", g.traffic.all())
	}
}

// A roll that waits on adopted instances must not take them for broken before they were looked at.
func TestRollOfAdopted(t *testing.T) {
	g := newRig(t).open()
	g.rt.Apply(shop(g.slot("v1", 2, "GENERATION=1")))
	before := pids(g.awaitReady("v1", 2))
	g.leave()
	g.traffic = newTraffic()
	enough := false
	g.traffic.onSet = func(_ string, eps []fleet.Endpoint) {
		if enough = enough || len(eps) >= 2; enough && len(eps) < 2 {
			t.Errorf("%d endpoints during the roll", len(eps))
		}
	}
	g.open()
	g.rt.Apply(shop(g.slot("v1", 2, "GENERATION=2")))
	g.await("both replaced", func() bool {
		s := g.status("v1")
		return s.Ready == 2 && len(s.Instances) == 2 && !slices.ContainsFunc(s.Instances, func(i fleet.Instance) bool {
			return i.PID == before["shop/v1/1"] || i.PID == before["shop/v1/2"]
		})
	})
	g.traffic.mu.Lock()
	g.traffic.onSet = nil
	g.traffic.mu.Unlock()
}

// Killed at any moment of starting and rolling, the runtime leaves nothing that the next one does not find.
func TestKilledAtRandom(t *testing.T) {
	g := newRig(t)
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		kill := g.elsewhere(shop(g.slot("v1", 3, "GENERATION="+itoa(round/2))))
		<-time.After(time.Duration(rand.IntN(250)) * time.Millisecond) // the moment, not a wait
		kill()
	}
	g.open()
	g.rt.Apply(shop(g.slot("v1", 3, "GENERATION=last")))
	var id string
	g.await("three of the last generation and no other process", func() bool {
		s := g.status("v1")
		if s.Ready != 3 || len(s.Instances) != 3 {
			return false
		}
		b, err := os.ReadFile(filepath.Join(g.dir, "id"))
		if id = string(b); err != nil || len(scanMarked(id+".")) != 3 {
			return false
		}
		return !slices.ContainsFunc(s.Instances, func(i fleet.Instance) bool {
			b, err := os.ReadFile("/proc/" + itoa(i.PID) + "/environ")
			return err != nil || !strings.Contains(string(b), "GENERATION=last")
		})
	})
	ports := map[string]bool{}
	for _, i := range g.status("v1").Instances {
		ports[i.Address] = true
	}
	if len(ports) != 3 {
		t.Errorf("ports are shared: %v", ports)
	}
}
