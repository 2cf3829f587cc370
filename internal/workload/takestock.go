package workload

import (
	"os"
	"path/filepath"
	"time"
)

// takeStock reads the records and finds out which of their processes live. An intent without a pid is looked
// for by its token: the runtime may have died between starting a process and recording it.
func (r *Runtime) takeStock() error {
	records, err := loadRecords(r.path("slots"), func(path string, err error) {
		r.opt.Logger.Error("record not read, its process will be stopped", "record", path, "error", err)
	})
	if err != nil {
		return err
	}
	leaders := map[string]marked{}
	for _, m := range scanMarked(r.id + ".") {
		if m.group == m.pid {
			leaders[m.token] = m
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range records {
		r.takeOver(rec, leaders)
	}
	r.work.Go(r.emptyTrash)
	return nil
}

// takeOver is called with mu held.
func (r *Runtime) takeOver(rec record, leaders map[string]marked) {
	s := r.slots[rec.Service][rec.Slot.Version]
	if s == nil {
		s = r.addSlot(rec.Service, rec.Slot)
	}
	if m, ok := leaders[rec.Token]; ok && rec.Phase == phaseIntent {
		rec.Phase, rec.PID, rec.StartTicks, rec.Boot, rec.Started = phaseRunning, m.pid, m.startTicks, r.boot, time.Now()
	}
	now := time.Now()
	if rec.WasReady || rec.Since.After(now) {
		rec.Since, rec.WasReady = now, false
	}
	i := r.newInstance(s, rec)
	if rec.Phase == phaseStopping {
		i.askStop()
	}
	if rec.PID != 0 && rec.Boot == r.boot {
		if p, alive := adopt(rec.PID, rec.StartTicks, rec.Token); alive {
			i.proc = p
			r.ports.claim(rec.Port)
			i.present()
			r.work.Go(func() { p.await(r.ctx) })
			r.opt.Logger.Info("instance adopted", "instance", i.view.ID, "pid", p.pid)
		}
	}
	if i.proc == nil {
		i.settled = true
		i.rec.Token = "" // whatever still carries it is a stranger, see sweepStrange
		if rec.Phase == phaseRunning {
			i.rec.Restarts++
			i.rec.LastExit = "gone while no data plane was running"
			i.view.Restarts, i.view.LastExit = i.rec.Restarts, i.rec.LastExit
		}
	}
	r.launch(i)
}

// sweepStrange kills processes of this folder that no instance knows: those whose record was lost, and what an
// instance left behind that died while no runtime was there.
func (r *Runtime) sweepStrange() {
	if n := sweep(r.id+".", r.strange); n > 0 {
		r.opt.Logger.Warn("processes of no known instance killed", "processes", n)
	}
}

// sweepLate looks again for a process that was still between fork and exec, without its token, at the first.
func (r *Runtime) sweepLate() {
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-t.C:
		r.sweepStrange()
	case <-r.ctx.Done():
	}
}

func (r *Runtime) strange(token string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, versions := range r.slots {
		for _, s := range versions {
			for _, i := range s.instances {
				if i.rec.Token == token {
					return false
				}
			}
		}
	}
	return true
}

func (r *Runtime) emptyTrash() {
	old, _ := os.ReadDir(r.path("trash"))
	for _, e := range old {
		_ = os.RemoveAll(filepath.Join(r.path("trash"), e.Name()))
	}
}
