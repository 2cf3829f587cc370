package workload

import (
	"context"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Runtime runs slots. Make it with New, let it work with Run, end it with Close.
type Runtime struct {
	opt    Options
	lock   *os.File
	id     string // of the folder
	boot   string
	ports  *ports
	logs   *logs
	ctx    context.Context // ends when Close lets go of the instances
	cancel context.CancelFunc
	work   sync.WaitGroup // instances and background tasks
	once   sync.Once      // begin
	news   chan struct{}  // something changed since OnChange was called

	mu      sync.Mutex
	slots   map[string]map[string]*slot // service, version
	scaling map[string]*scaling         // by service, of those whose number of instances follows their load
	ready   []*instance                 // made, but Run has not begun
	running bool
	applied bool // Apply was called
	closing bool
}

// New opens a folder, refuses it when another runtime has it, and takes stock of what the last one left.
// Nothing is started or stopped before Run.
func New(opt Options) (*Runtime, error) {
	if err := opt.fill(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, err
	}
	opt.Dir = dir
	r := &Runtime{opt: opt, boot: bootID(), ports: newPorts(opt.PortLow, opt.PortHigh), slots: map[string]map[string]*slot{}, scaling: map[string]*scaling{}, news: make(chan struct{}, 1)}
	r.logs = newLogs(opt.LogMaxBytes, opt.LogKeep)
	for _, d := range []string{"", "slots", "logs", "trash"} {
		if err := os.MkdirAll(r.path(d), 0o700); err != nil {
			return nil, err
		}
	}
	if r.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if r.id, err = folderID(dir); err == nil {
		r.ctx, r.cancel = context.WithCancel(context.Background())
		err = r.takeStock()
	}
	if err != nil {
		_ = r.lock.Close()
		return nil, err
	}
	return r, nil
}

func (r *Runtime) path(elem ...string) string {
	return filepath.Join(append([]string{r.opt.Dir}, elem...)...)
}

func (r *Runtime) logDir(service, version string) string {
	return r.path("logs", folder(service), folder(version))
}

func (r *Runtime) token() string { return r.id + "." + randomHex(16) }

// launch begins to look after an instance, at once or when Run begins. Called with mu held.
func (r *Runtime) launch(i *instance) {
	if !r.running {
		r.ready = append(r.ready, i)
		return
	}
	r.work.Go(func() { i.run(r.ctx) })
}

// Run looks after the instances until ctx ends; they and their supervision go on until Close.
func (r *Runtime) Run(ctx context.Context) error {
	r.begin()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.ctx.Done():
			return nil
		case <-t.C:
			r.measure()
			r.lookAtConfigs()
			r.logs.rotate(r.opt.Logger)
		}
	}
}

func (r *Runtime) begin() {
	r.once.Do(func() {
		r.sweepStrange() // before anything is started, as what is left behind may hold a port
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.closing {
			return
		}
		r.running = true
		for _, i := range r.ready {
			r.work.Go(func() { i.run(r.ctx) })
		}
		r.ready = nil
		r.work.Go(r.sweepLate)
		r.work.Go(r.tell)
		r.work.Go(r.followLoad)
	})
}

// changed makes OnChange be called soon; many changes at once make one call.
func (r *Runtime) changed() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *Runtime) tell() {
	for {
		select {
		case <-r.news:
			r.opt.OnChange()
		case <-r.ctx.Done():
			return
		}
	}
}

// Apply makes the slots of every service what is given here, and returns at once. A service or version that
// is left out is drained and stopped. Doing it again with the same slots changes nothing.
func (r *Runtime) Apply(services map[string][]fleet.Slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return
	}
	r.applied = true
	for service, versions := range r.slots {
		wanted := map[string]bool{}
		for _, w := range services[service] {
			wanted[w.Version] = true
		}
		for v, s := range versions {
			s.wanted = s.wanted && wanted[v]
		}
	}
	for service, list := range services {
		for _, w := range list {
			s := r.slots[service][w.Version]
			if s == nil {
				s = r.addSlot(service, w)
			}
			s.set(w)
		}
		r.limit(service, list)
	}
	for _, versions := range r.slots {
		for _, s := range versions {
			r.reconcile(s)
		}
	}
}

// addSlot is called with mu held.
func (r *Runtime) addSlot(service string, want fleet.Slot) *slot {
	s := r.newSlot(service, want)
	if r.slots[service] == nil {
		r.slots[service] = map[string]*slot{}
	}
	r.slots[service][want.Version] = s
	return s
}

// Status is what there is of a service, by version. InFlight is the gateway's to fill in.
func (r *Runtime) Status(service string) []fleet.SlotStatus {
	now := time.Now()
	r.mu.Lock()
	var out []fleet.SlotStatus
	var logs []*logFile // of the instance that a failure is about
	for _, s := range r.slots[service] {
		st, about := s.status(r.count(s), now)
		out = append(out, st)
		logs = append(logs, nil)
		if about != nil {
			logs[len(logs)-1] = about.log
		}
	}
	r.mu.Unlock()
	for k, l := range logs {
		if l == nil {
			continue
		}
		if line := l.lastLine(); line != "" {
			out[k].Failure += "; last log line: " + line
		}
	}
	sort.Slice(out, func(a, b int) bool { return out[a].Version < out[b].Version })
	return out
}

// measure reads the resource use of every instance, without holding anyone up.
func (r *Runtime) measure() {
	pids := map[*instance]int{}
	r.mu.Lock()
	for _, versions := range r.slots {
		for _, s := range versions {
			for _, i := range s.instances {
				pids[i] = i.view.PID
			}
		}
	}
	r.mu.Unlock()
	for i, pid := range pids {
		if pid == 0 {
			continue
		}
		cpu, rss := usage(pid)
		r.mu.Lock()
		if i.view.PID == pid { // else it has ended since
			i.view.CPUSeconds, i.view.RSSBytes = cpu, rss
		}
		r.mu.Unlock()
	}
}

// Close ends the runtime. With stopInstances every instance is drained and stopped first; without, they go on
// and the next runtime on this folder adopts them.
func (r *Runtime) Close(stopInstances bool) error {
	if stopInstances {
		r.begin()
		r.Apply(nil)
		r.awaitEmpty()
	}
	r.mu.Lock()
	if r.closing {
		r.mu.Unlock()
		return nil
	}
	r.closing = true
	r.mu.Unlock()
	r.cancel()
	r.work.Wait()
	return r.lock.Close()
}

func (r *Runtime) awaitEmpty() {
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		r.mu.Lock()
		n := len(r.slots)
		r.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-t.C:
		case <-r.ctx.Done():
			return
		}
	}
}

// discard removes a folder without holding anyone up, and without a moment in which half of it is there.
func (r *Runtime) discard(dir string) {
	to := r.path("trash", randomHex(8))
	if err := os.Rename(dir, to); err != nil {
		if !os.IsNotExist(err) {
			r.opt.Logger.Warn("folder not removed", "folder", dir, "error", err)
		}
		return
	}
	r.work.Go(func() { _ = os.RemoveAll(to) })
}
