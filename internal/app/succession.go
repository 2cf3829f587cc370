package app

import (
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
	"github.com/ringfence/ringfence/internal/handover"
	"github.com/ringfence/ringfence/internal/workload"
)

// leftBehind is what a data plane says when it lets go: how many instances are ready of what, and what is in flight to each.
type leftBehind struct {
	Ready map[string]int   `json:"ready"` // by service/version
	Busy  map[string]int64 `json:"busy"`  // by address
}

// departing is what it tells while it ends.
type departing struct {
	Busy  map[string]int64 `json:"busy"`
	Quiet bool             `json:"quiet,omitempty"` // it takes no more requests
	Users json.RawMessage  `json:"users,omitempty"` // all that it has counted
}

const (
	readyLimit = 10 * time.Second // for instances that were ready before, to be found ready again
	quietLimit = 5 * time.Second  // for the process before, to take no more requests
	tellEvery  = 100 * time.Millisecond
)

// readable says what of the folder's documents this version cannot read.
func (d *dataPlane) readable() error {
	for name, into := range map[string]any{"desired.json": &fleet.Desired{}, "flags.json": &flag.Feed{}} {
		b, err := disk(filepath.Join(d.Data, name)).Load()
		if err == nil && b != nil {
			err = json.Unmarshal(b, into)
		}
		if err != nil {
			return errs.Wrap(errs.Conflict, err, "this version cannot read %s", name)
		}
	}
	if err := workload.Readable(filepath.Join(d.Data, "workload")); err != nil {
		return errs.Wrap(errs.Conflict, err, "this version cannot read the records of instances")
	}
	return nil
}

// sockets implements replaceable.
func (d *dataPlane) sockets() (all []handover.Socket, err error) {
	listeners := map[string]net.Listener{doorEnv: d.public, adminDoorEnv: d.admin.gate, flagsDoorEnv: d.flags.listener, plainDoorEnv: d.plain}
	for env, l := range listeners {
		if l == nil {
			continue
		}
		f, err := socketOf(l)
		if err != nil {
			return nil, err
		}
		all = append(all, handover.Socket{Env: env, File: f})
	}
	return all, nil
}

// letGo implements replaceable: the gateway and flags go on answering by what they know.
func (d *dataPlane) letGo(context.Context) (any, error) {
	d.admin.pause() // so that nobody reads the counters of both, now these and now those
	d.admin.leaving.Store(true)
	k := d.keeper.Load()
	left := leftBehind{Ready: k.ready(), Busy: d.gateway.Busy()}
	err := k.close(d, false)
	return left, err
}

// ready counts the instances that are.
func (k *keeper) ready() map[string]int {
	n := map[string]int{}
	for _, s := range k.agent.Observe().Services {
		for _, slot := range s.Slots {
			if slot.Ready > 0 {
				n[s.Name+"/"+slot.Version] = slot.Ready
			}
		}
	}
	return n
}

// yield implements replaceable: both answer.
func (d *dataPlane) yield(*handover.Successor) {}

// takeBack implements replaceable.
func (d *dataPlane) takeBack(ctx context.Context) error {
	k, err := d.newKeeper()
	if err != nil {
		return err
	}
	k.restore(ctx)
	now := make(chan struct{})
	close(now)
	k.run(d.working, d, now)
	d.admin.resume()
	return nil
}

// leave implements replaceable.
func (d *dataPlane) leave(next *handover.Successor) {
	d.heir = next
	d.succeeded(gateway.ErrSucceeded)
}

// stay serves the control socket, after who was here before has gone, until another process has taken over or working ends.
func (d *dataPlane) stay(working, serving context.Context) error {
	who, err := d.seat.serving(working)
	if working.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if who != nil {
		go d.seat.before.Hear(working, d.hear)
		go d.tellUpgrade(working, done("dataplane", *who))
	}
	if err := d.seat.answer(serving, d); err != nil {
		d.Logger.Warn("this data plane cannot be upgraded while it runs", "err", err)
	}
	<-serving.Done()
	if working.Err() == nil {
		d.depart(working)
	}
	return nil
}

// depart tells the next process how far this one is, until it takes no more requests; bequeath says the last of it.
func (d *dataPlane) depart(working context.Context) {
	began, told := time.Now(), false
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	go func() {
		<-working.Done()
		d.gateway.Hurry()
	}()
	for !told {
		<-tick.C
		passed := time.Since(began)
		told = passed > 2*lameDuck && d.gateway.Plain() == 0 || passed > quietLimit
		d.tell(told, told)
	}
	go func() { // the streams that are left, as long as this process lives
		for range time.Tick(tellEvery) {
			d.tell(true, false)
		}
	}()
}

func (d *dataPlane) bequeath() { d.tell(true, true) }

func (d *dataPlane) tell(quiet, users bool) {
	at := departing{Busy: d.gateway.Busy(), Quiet: quiet}
	if users {
		at.Users, _ = d.gateway.SaveUsers()
	}
	_ = d.heir.Say(handover.Tell, at) // who has died is told nothing
}

// hear takes what the process before tells.
func (d *dataPlane) hear(data json.RawMessage) {
	var at departing
	if err := json.Unmarshal(data, &at); err != nil {
		return
	}
	d.former.set(at.Busy, at.Quiet)
	if at.Users == nil {
		return
	}
	if err := d.gateway.InheritUsers(at.Users); err != nil {
		d.Logger.Warn("users that the process before has counted last are not counted", "err", err)
	}
}

// formerUse is what the process before this one still has in flight to the instances that are now this one's. The zero value is of
// none before.
type formerUse struct {
	mu    sync.Mutex
	there bool
	calm  bool
	busy  map[string]int64
}

func (f *formerUse) begin(busy map[string]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.there, f.busy = true, busy
}

func (f *formerUse) set(busy map[string]int64, quiet bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy, f.calm = busy, quiet
}

// end says that the process before has ended.
func (f *formerUse) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.there, f.calm, f.busy = false, true, nil
}

func (f *formerUse) at(address string) (there, quiet bool, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.there, f.calm, f.busy[address]
}

// settled marks the end of the process before, and returns a channel that is closed once it routes no more requests: only then is
// anything else put in force than what it routes by.
func (d *dataPlane) settled(ctx context.Context) <-chan struct{} {
	calm := make(chan struct{})
	if d.seat.before == nil {
		close(calm)
		return calm
	}
	go func() {
		defer close(calm)
		limit := time.NewTimer(quietLimit + trial)
		defer limit.Stop()
		tick := time.NewTicker(tellEvery / 2)
		defer tick.Stop()
		for {
			select {
			case <-d.seat.before.Gone():
				return
			case <-limit.C:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, quiet, _ := d.former.at(""); quiet {
				return
			}
		}
	}()
	go func() {
		select {
		case <-d.seat.before.Gone():
			d.former.end()
		case <-ctx.Done():
		}
	}()
	return calm
}

// drain waits until the process before has nothing in flight to an address any more. Its streams it ends by itself.
func (f *formerUse) drain(ctx context.Context, address string, limit time.Duration) {
	tick := time.NewTicker(tellEvery / 2)
	defer tick.Stop()
	for began := time.Now(); ; {
		there, quiet, n := f.at(address)
		if !there || quiet && n == 0 || !quiet && time.Since(began) > limit {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// traffic fits the gateway, and the one before it, to the process runtime and the agent.
type traffic struct {
	*gateway.Gateway
	former *formerUse
}

func (d *dataPlane) traffic() traffic { return traffic{d.gateway, &d.former} }

// Drain waits until an instance that was left out has answered its requests.
func (t traffic) Drain(ctx context.Context, ep fleet.Endpoint, limit time.Duration) {
	var other sync.WaitGroup
	other.Go(func() { t.former.drain(ctx, ep.Address, limit) })
	t.DrainEndpoint(ctx, ep, limit)
	other.Wait()
}

// awaitReady waits until the instances that were ready for the process before are ready for this one.
func (d *dataPlane) awaitReady(ctx context.Context, k *keeper, left leftBehind) {
	end := time.Now().Add(readyLimit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(end) {
		now, missing := k.ready(), false
		for what, n := range left.Ready {
			missing = missing || now[what] < n
		}
		if !missing {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	d.Logger.Warn("not all instances that were ready before are found ready; serving without them")
}

// until serves until ctx ends, or serving does because another process has taken over: then clients are given duck to leave.
func (f *front) until(ctx, serving context.Context, duck time.Duration, end func()) error {
	select {
	case err := <-f.ended:
		return err
	case <-ctx.Done():
		duck = 0
	case <-succeededOf(serving):
		f.pause()
	}
	end()
	return f.leave(duck, 3*time.Second)
}

// succeededOf is closed when a context ends because another process has taken over; it is never closed otherwise.
func succeededOf(serving context.Context) <-chan struct{} {
	done := make(chan struct{})
	context.AfterFunc(serving, func() {
		if context.Cause(serving) == gateway.ErrSucceeded {
			close(done)
		}
	})
	return done
}
