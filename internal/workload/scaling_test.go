package workload

import (
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/scale"
)

func scaled(s fleet.Slot, most int, inFlight float64, down time.Duration) fleet.Slot {
	s.Scale = &fleet.Scale{Max: most, InFlight: inFlight, Down: fleet.Dur(down)}
	return s
}

// TestFollowsTheLoad: real instances are started for what is in flight, of every version, and stopped when it is over.
func TestFollowsTheLoad(t *testing.T) {
	g := newRig(t).open()
	g.rt.Apply(shop(scaled(g.slot("v1", 1), 4, 10, time.Second), scaled(g.slot("v2", 1), 4, 10, time.Second)))
	first := g.awaitReady("v1", 1)
	g.awaitReady("v2", 1)
	g.traffic.inFlight.Store(28)
	g.awaitReady("v1", 3)
	g.awaitReady("v2", 3)
	if s := g.rt.Scaled("shop"); s == nil || s.Instances != 3 || s.Min != 1 || s.Max != 4 || !strings.Contains(s.Reason, "requests at a time, 10 for each instance") {
		t.Errorf("scaled: %+v", s)
	}
	if st := g.status("v1"); st.Wanted != 3 {
		t.Errorf("%d wanted, expected 3", st.Wanted)
	}
	g.traffic.inFlight.Store(0)
	st := g.awaitReady("v1", 1)
	if st.Instances[0].PID != first.Instances[0].PID {
		t.Error("the instance of the beginning was not the one that stayed")
	}
	g.awaitReady("v2", 1)
	g.rt.Apply(shop(g.slot("v1", 2)))
	g.awaitReady("v1", 2)
	if s := g.rt.Scaled("shop"); s != nil {
		t.Errorf("a fixed number is %+v", s)
	}
}

// TestKeepsTheNumberItFinds: a runtime that takes over does not stop what its predecessor had started for the load.
func TestKeepsTheNumberItFinds(t *testing.T) {
	g := newRig(t).open()
	want := shop(scaled(g.slot("v1", 1), 4, 10, time.Hour))
	g.rt.Apply(want)
	g.traffic.inFlight.Store(30)
	before := pids(g.awaitReady("v1", 3))
	g.leave()
	g.traffic.inFlight.Store(0)
	g.open()
	g.rt.Apply(want)
	for id, pid := range pids(g.awaitReady("v1", 3)) {
		if before[id] != pid {
			t.Errorf("%s has pid %d, had %d", id, pid, before[id])
		}
	}
}

func TestSample(t *testing.T) {
	s, now := &scaling{limits: scale.Limits{Min: 1, Max: 9, Rate: 10}}, time.Now()
	for k := range 300 {
		s.sample(7, int64(1000+k*5), now.Add(time.Duration(k)*sampleEvery))
	}
	if s.load.InFlight < 6.99 || s.load.InFlight > 7.01 || s.load.Rate < 49.9 || s.load.Rate > 50.1 {
		t.Errorf("steady load of 7 and 50/s measured as %+v", s.load)
	}
	s.sample(7, 3, now.Add(300*sampleEvery)) // a version was forgotten, and its count with it
	if s.load.Rate < 0 {
		t.Errorf("a negative rate: %+v", s.load)
	}
}

// TestHangingInstanceIsStartedAnew: one that answers no readiness check any more is replaced; the one beside it stays.
func TestHangingInstanceIsStartedAnew(t *testing.T) {
	g := newRig(t).open()
	s := g.slot("v1", 2)
	s.Ready.Interval, s.Ready.Restart, s.Drain = fleet.Dur(20*time.Millisecond), fleet.Dur(200*time.Millisecond), fleet.Dur(time.Second)
	g.rt.Apply(shop(s))
	before := g.awaitReady("v1", 2)
	get(t, before.Instances[0].Address, "/hang")
	g.await("the hanging one started anew", func() bool {
		st := g.status("v1")
		return st.Ready == 2 && st.Instances[0].Restarts == 1
	})
	after := g.status("v1")
	if after.Instances[0].PID == before.Instances[0].PID || after.Instances[1].PID != before.Instances[1].PID {
		t.Errorf("before %v, after %v", pids(before), pids(after))
	}
	if exit := after.Instances[0].LastExit; !strings.Contains(exit, "given up, as it was not ready") || !strings.Contains(exit, "answered 503") {
		t.Errorf("last exit: %q", exit)
	}
}

// TestWhatAilsAllIsTriedOnOne: when no instance is ready, one is started anew; the others wait for what becomes of it.
func TestWhatAilsAllIsTriedOnOne(t *testing.T) {
	g := newRig(t).open()
	s := g.slot("v1", 3)
	s.Ready.Interval, s.Ready.Restart, s.Ready.Within, s.Drain = fleet.Dur(20*time.Millisecond), fleet.Dur(100*time.Millisecond), fleet.Dur(time.Hour), fleet.Dur(time.Second)
	g.rt.Apply(shop(s))
	before := g.awaitReady("v1", 3)
	note(g.control+"/unready", "")
	restarts := func() (n int) {
		for _, i := range g.status("v1").Instances {
			n += i.Restarts
		}
		return n
	}
	g.await("one started anew", func() bool { return restarts() == 1 })
	g.await("it runs, not ready", func() bool {
		for _, i := range g.status("v1").Instances {
			if i.Restarts == 1 && i.PID != 0 {
				return true
			}
		}
		return false
	})
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); <-time.After(20 * time.Millisecond) { // five times Restart: none may follow
		if n := restarts(); n != 1 {
			t.Fatalf("%d were started anew: %v, before %v", n, pids(g.status("v1")), pids(before))
		}
	}
}
