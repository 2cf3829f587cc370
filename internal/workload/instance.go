package workload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// instance is one process of a slot, with the goroutine that looks after it. The fields in the second group
// are guarded by Runtime.mu; only the goroutine writes them, except stopping.
type instance struct {
	rt   *Runtime
	slot *slot
	dir  string
	log  *logFile
	proc *process // the goroutine's own; nil while there is none
	stop chan struct{}

	key      string
	rec      record
	view     fleet.Instance
	health   readiness // as checked; view.Ready follows when the gateway knows
	settled  bool      // readiness is known
	late     bool      // not ready for so long that people should hear why
	served   bool      // the present process was ready once
	stopping bool
	fatal    bool   // the last start failed for a reason that does not go away by itself
	trouble  string // the last failure to start or be ready
	given    string // why the present process was given up, when it was
	readyAt  time.Time
}

// newInstance is called with mu held.
func (r *Runtime) newInstance(s *slot, rec record) *instance {
	n := strconv.Itoa(rec.N)
	i := &instance{rt: r, slot: s, dir: filepath.Join(s.dir(r), n), stop: make(chan struct{}), key: specKey(rec.Slot), rec: rec}
	i.log = r.logs.get(filepath.Join(r.logDir(s.service, s.version), n+".log"))
	i.view = fleet.Instance{ID: s.service + "/" + s.version + "/" + n, Restarts: rec.Restarts, LastExit: rec.LastExit}
	s.instances[rec.N] = i
	return i
}

func (i *instance) endpoint() fleet.Endpoint {
	return fleet.Endpoint{Service: i.slot.service, Version: i.slot.version, ID: i.view.ID, Address: i.view.Address}
}

// askStop is called with mu held.
func (i *instance) askStop() {
	if !i.stopping {
		i.stopping = true
		close(i.stop)
	}
}

// run looks after the instance until it was stopped or the runtime closes.
func (i *instance) run(ctx context.Context) {
	for ctx.Err() == nil {
		if i.proc == nil && !i.asked() {
			if err := i.start(ctx); err != nil {
				i.failed(err)
			}
		}
		if i.proc != nil && !i.asked() {
			i.watch(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case i.asked():
			i.end(ctx)
			return
		}
		if i.proc != nil {
			i.exited()
		}
		i.pause(ctx)
	}
}

func (i *instance) asked() bool {
	select {
	case <-i.stop:
		return true
	default:
		return false
	}
}

// change updates guarded fields, then tells the gateway, the plan and the listener.
func (i *instance) change(f func()) {
	i.rt.mu.Lock()
	f()
	i.rt.mu.Unlock()
	i.rt.announce(i.slot)
	i.rt.mu.Lock()
	i.rt.reconcile(i.slot)
	i.rt.mu.Unlock()
	i.rt.changed()
}

// save writes the record as it is now.
func (i *instance) save(f func(*record)) error {
	i.rt.mu.Lock()
	f(&i.rec)
	rec := i.rec
	i.rt.mu.Unlock()
	return saveRecord(i.dir, rec)
}

func (i *instance) wish() fleet.Slot {
	i.rt.mu.Lock()
	defer i.rt.mu.Unlock()
	return i.slot.want
}

// start records the intent, starts the process and records which one it is, in this order: after a crash at
// any point the next runtime finds what there is.
func (i *instance) start(ctx context.Context) error {
	i.rt.mu.Lock()
	rec, service := i.rec, i.slot.service
	i.rt.mu.Unlock()
	l := launch{service: service, slot: resource.SlotOf(rec.Slot.Version), id: i.view.ID, token: i.rt.token(), work: filepath.Join(i.dir, "work")}
	err := errors.Join(os.MkdirAll(filepath.Join(l.work, "tmp"), 0o700), os.MkdirAll(filepath.Dir(i.log.path), 0o700))
	if err != nil {
		return err
	}
	if l.artifact, err = i.fetch(ctx, rec.Slot.Digest); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	l.schema = rec.Slot.Schema
	if i.rt.opt.Env != nil {
		l.offered = i.rt.opt.Env()
	}
	if needsFolder(rec.Slot) {
		if l.config, err = i.slot.config.put(rec.Slot.Files); err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	if l.port, err = i.rt.ports.take(rec.Port); err != nil {
		return err
	}
	fail := func(err error) error {
		i.rt.ports.put(l.port)
		return err
	}
	if err := i.save(func(r *record) {
		r.Phase, r.Token, r.Port, r.PID, r.StartTicks = phaseIntent, l.token, l.port, 0, 0
	}); err != nil {
		return fail(err)
	}
	dir := l.work
	if rec.Slot.Dir != "" {
		dir = rec.Slot.Dir
	}
	env := l.environ(rec.Slot.Env)
	given, err := i.secrets(ctx, rec.Slot, service)
	if err != nil {
		return fail(fmt.Errorf("secrets: %w", err))
	}
	for _, f := range given {
		defer f.Close() // the process has its own by then
		env = append(env, secretsVar)
	}
	p, err := spawn(l.expand(rec.Slot.Command), env, dir, i.log.path, l.token, given...)
	if err != nil {
		return fail(startError(err, l.artifact))
	}
	i.proc = p
	i.rt.work.Go(func() { p.await(ctx) })
	err = i.save(func(r *record) {
		r.Phase, r.PID, r.StartTicks, r.Boot, r.Started = phaseRunning, p.pid, p.startTicks, i.rt.boot, time.Now()
	})
	if err != nil { // not recorded, so not used
		p.stop(ctx, 0)
		i.proc = nil
		return fail(err)
	}
	i.rt.opt.Logger.Info("instance started", "instance", l.id, "pid", p.pid, "address", l.address())
	i.change(i.present)
	return nil
}

// fetch is given up when the instance is no longer wanted: a download may take long.
func (i *instance) fetch(ctx context.Context, digest string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-i.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return i.slot.artifact.path(ctx, digest)
}

// present shows a process that was just started or adopted.
func (i *instance) present() {
	i.view.PID, i.view.Started, i.view.Address = i.rec.PID, i.rec.Started, launch{port: i.rec.Port}.address()
	i.view.CPUSeconds, i.view.RSSBytes = 0, 0
	i.served, i.fatal, i.trouble = false, false, "no readiness check has passed yet"
}

// startError makes failures that only a change outside can mend permanent, and speaks of the artifact instead of where
// its verified copy is.
func startError(err error, artifact string) error {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, syscall.ENOEXEC) {
		return err
	}
	var at *fs.PathError
	if artifact != "" && errors.As(err, &at) && at.Path == artifact {
		switch {
		case errors.Is(err, syscall.ENOEXEC):
			err = errors.New("the artifact is no program that this machine can run (" + at.Err.Error() + ")")
		case errors.Is(err, fs.ErrNotExist): // the artifact itself was there a moment ago
			err = errors.New("the artifact needs an interpreter or loader that this machine does not have")
		default:
			err = fmt.Errorf("the artifact: %w", at.Err)
		}
	}
	return errs.Wrap(errs.Invalid, err, "cannot start the command")
}

// watch checks readiness until the process exits, a stop is asked for, or the runtime closes.
func (i *instance) watch(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-i.stop:
		case <-i.proc.exited:
		case <-ctx.Done():
		}
		cancel()
	}()
	everReady := false
	for {
		want := i.wish()
		err := check(ctx, want.Ready, i.view.Address)
		if ctx.Err() != nil {
			return
		}
		i.observe(err)
		if err != nil && i.giveUp(time.Now()) {
			i.restart(ctx)
			return
		}
		everReady = everReady || err == nil
		t := time.NewTimer(checkPause(everReady, want.Ready.Interval.D(defaultInterval)))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// observe takes in one check.
func (i *instance) observe(err error) {
	now := time.Now()
	i.rt.mu.Lock()
	was, settled := i.health.ready, i.settled
	i.health = i.health.observe(err == nil, i.slot.want.Ready.Failures)
	is := i.health.ready
	if err != nil {
		i.trouble = err.Error()
	}
	if is {
		i.trouble, i.served = "", true
	}
	late := !is && overdue(i.slot.want.Ready, i.rec.Since, now)
	news := late && !i.late
	i.late = late
	i.rt.mu.Unlock()
	switch {
	case is && !was:
		i.note(func(r *record) { r.WasReady = true })
		i.rt.opt.Logger.Info("instance ready", "instance", i.view.ID)
		i.rt.announce(i.slot) // first the gateway: whoever reads that it is ready may route to it
		i.change(func() { i.view.Ready, i.settled, i.readyAt = true, true, now })
	case was && !is:
		i.rt.opt.Logger.Warn("instance no longer ready", "instance", i.view.ID, "error", err)
		i.change(func() { i.view.Ready = false })
		i.note(func(r *record) { r.Since, r.WasReady = now, false })
	case !settled:
		i.change(func() { i.settled = true })
	case news: // whoever gives up on it hears why before that, not with the next report
		i.rt.changed()
	}
}

// exited takes in that the process is gone. The port is kept for the next start, unless the process was never
// ready on it: then someone else may have it.
func (i *instance) exited() {
	p, now := i.proc, time.Now()
	status := p.status
	if i.given != "" {
		status, i.given = i.given+"; "+status, ""
	}
	i.change(func() {
		healthy := time.Duration(0)
		if i.health.ready {
			healthy, i.rec.Since, i.rec.WasReady = now.Sub(i.readyAt), now, false
		}
		i.rec.Attempt, i.rec.LastExit = nextAttempt(i.rec.Attempt, healthy), status
		i.rec.Restarts++
		i.health, i.settled = readiness{}, true
		i.view.Ready, i.view.PID, i.view.LastExit, i.view.Restarts = false, 0, status, i.rec.Restarts
		i.view.CPUSeconds, i.view.RSSBytes = 0, 0
	})
	i.rt.opt.Logger.Warn("instance exited", "instance", i.view.ID, "status", status)
	select {
	case <-p.cleaned: // nothing of it holds the port any more
	case <-i.rt.ctx.Done():
		return
	}
	i.proc = nil
	i.rt.ports.put(i.rec.Port)
	i.note(func(r *record) {
		r.Phase, r.PID, r.StartTicks = phaseDown, 0, 0
		if !i.served {
			r.Port = 0
		}
	})
}

// failed takes in that no process could be started.
func (i *instance) failed(err error) {
	i.rt.opt.Logger.Warn("instance not started", "instance", i.view.ID, "error", err)
	i.change(func() {
		i.trouble, i.fatal, i.settled = err.Error(), permanent(err), true
		i.rec.Attempt = nextAttempt(i.rec.Attempt, 0)
	})
	i.note(func(r *record) { r.Phase, r.PID, r.StartTicks = phaseDown, 0, 0 })
}

// note saves what is good to have on disk but need not hold anything up.
func (i *instance) note(f func(*record)) {
	if err := i.save(f); err != nil {
		i.rt.opt.Logger.Warn("record not written", "instance", i.view.ID, "error", err)
	}
}

// pause waits before the next start, a stop or the end of ctx.
func (i *instance) pause(ctx context.Context) {
	t := time.NewTimer(backoff(i.rec.Attempt, rand.Float64()))
	defer t.Stop()
	select {
	case <-t.C:
	case <-i.stop:
	case <-ctx.Done():
	}
}

// end stops the instance in the order that loses no request, and forgets it.
func (i *instance) end(ctx context.Context) {
	i.rt.mu.Lock()
	ep := i.endpoint()
	i.rt.mu.Unlock()
	want := i.wish()
	if i.proc != nil {
		i.note(func(r *record) { r.Phase = phaseStopping })
	}
	i.change(func() { i.health, i.view.Ready = readiness{}, false }) // returns when the gateway has let go
	if i.proc != nil {
		if i.served {
			i.drain(ctx, ep, want.Drain.D(defaultDrain))
		}
		i.proc.stop(ctx, want.StopGrace.D(defaultStopGrace))
	}
	if ctx.Err() != nil {
		return // the next runtime finishes it
	}
	i.rt.discard(i.dir)
	i.change(func() {
		if i.rec.Port != 0 && i.proc != nil {
			i.rt.ports.put(i.rec.Port)
		}
		delete(i.slot.instances, i.rec.N)
	})
	i.rt.opt.Logger.Info("instance stopped", "instance", i.view.ID)
}

func (i *instance) drain(ctx context.Context, ep fleet.Endpoint, limit time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	exited := i.proc.exited // the process may be gone, and this still wait for its turn
	go func() {
		select {
		case <-exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	i.rt.opt.Traffic.Drain(ctx, ep, limit)
}
