package workload

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// slot is one version of one service. Its fields are guarded by Runtime.mu unless they say otherwise.
type slot struct {
	service, version string
	want             fleet.Slot
	wanted           bool // false: everything in it is on its way out
	key              string
	refused          error // why want can never run
	instances        map[int]*instance
	artifact         *pinned   // has its own lock
	config           *settings // likewise

	announcing sync.Mutex // taken before Runtime.mu; keeps announcements in order
	announced  []fleet.Endpoint
}

func (s *slot) dir(r *Runtime) string {
	return r.path("slots", folder(s.service), folder(s.version))
}

func (r *Runtime) newSlot(service string, want fleet.Slot) *slot {
	s := &slot{service: service, version: want.Version, instances: map[int]*instance{}}
	s.artifact = &pinned{dir: r.path("slots", folder(service), folder(want.Version), "bin"),
		name: folder(service), source: r.opt.Artifacts}
	s.config = &settings{dir: r.path("slots", folder(service), folder(want.Version), "config")}
	s.set(want)
	return s
}

func (s *slot) set(want fleet.Slot) {
	s.want, s.wanted, s.key, s.refused = want, true, specKey(want), checkSlot(s.service, want)
}

// reconcile takes the next steps from what is to what is wanted. Called with mu held after every change; does
// nothing until Apply has said what is wanted, so that adopted instances are not judged by an old wish.
func (r *Runtime) reconcile(s *slot) {
	if !r.applied || r.closing {
		return
	}
	want := r.count(s)
	if !s.wanted {
		want = 0
	} else if s.refused != nil {
		return
	}
	var have []seen
	for n, i := range s.instances {
		have = append(have, seen{n: n, current: i.key == s.key, ready: i.view.Ready, settled: i.settled, stopping: i.stopping})
	}
	start, stop := plan(want, have)
	for _, n := range start {
		i := r.newInstance(s, record{Service: s.service, Slot: s.want, N: n, Phase: phaseDown, Since: time.Now()})
		r.launch(i)
	}
	for _, n := range stop {
		s.instances[n].askStop()
	}
	if !s.wanted && len(s.instances) == 0 && r.slots[s.service][s.version] == s {
		r.forget(s)
	}
}

// forget removes a slot whose last instance is gone. Its logs stay.
func (r *Runtime) forget(s *slot) {
	delete(r.slots[s.service], s.version)
	if len(r.slots[s.service]) == 0 {
		delete(r.slots, s.service)
	}
	s.config.end()
	r.discard(s.dir(r))
	r.pruneLogs(s.service)
	r.changed()
}

// announce tells the gateway which instances are ready. It returns when the gateway has taken it in.
func (r *Runtime) announce(s *slot) {
	s.announcing.Lock()
	defer s.announcing.Unlock()
	r.mu.Lock()
	var eps []fleet.Endpoint
	for _, n := range s.numbers() {
		if i := s.instances[n]; i.health.ready && !i.stopping {
			eps = append(eps, i.endpoint())
		}
	}
	r.mu.Unlock()
	if slices.Equal(eps, s.announced) {
		return
	}
	s.announced = eps
	r.opt.Traffic.SetEndpoints(s.service, s.version, slices.Clone(eps))
}

func (s *slot) numbers() []int {
	ns := make([]int, 0, len(s.instances))
	for n := range s.instances {
		ns = append(ns, n)
	}
	slices.Sort(ns)
	return ns
}

// status is called with mu held; trouble names the instance whose log may say more.
func (s *slot) status(count int, now time.Time) (st fleet.SlotStatus, trouble *instance) {
	st = fleet.SlotStatus{Version: s.version}
	if s.wanted {
		st.Wanted = count
	}
	if s.wanted && s.refused != nil {
		st.Failure = s.refused.Error()
	}
	for _, n := range s.numbers() {
		i := s.instances[n]
		st.Instances = append(st.Instances, i.view)
		if i.stopping {
			continue
		}
		if i.view.Ready {
			st.Ready++
			continue
		}
		failed := i.fatal || i.rec.Attempt > 0 // it could not be started or has exited, and that says more than time does
		if st.Failure == "" && !i.health.ready && (failed || overdue(s.want.Ready, i.rec.Since, now)) {
			st.Failure, trouble = i.whyNot(now), i
		}
	}
	return st, trouble
}

// whyNot is one line on why an instance is not ready. Called with mu held.
func (i *instance) whyNot(now time.Time) string {
	line := fmt.Sprintf("%s is not ready after %s", i.view.ID, now.Sub(i.rec.Since).Round(100*time.Millisecond))
	if i.trouble != "" {
		line += ": " + i.trouble
	}
	if i.view.Restarts > 0 {
		line += fmt.Sprintf("; restarted %s", times(i.view.Restarts))
	}
	if i.view.LastExit != "" {
		line += "; last exit: " + i.view.LastExit
	}
	return line
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// permanent reports whether trying again can only help after someone changed something outside.
func permanent(err error) bool { return errs.Is(err, errs.Invalid) }
