package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/handover"
)

// carriedEnv holds what an up hands to the program that takes its place in the same process.
const carriedEnv = "RINGFENCE_UP_CARRIED"

// carried is that: descriptors that are open, and which binaries the planes run.
type carried struct {
	Lock   int            `json:"lock"`
	Doors  map[string]int `json:"doors"` // by the variable that names them for a data plane
	Former former         `json:"former"`
	Pins   map[string]pin `json:"pins"`
	Who    handover.Who   `json:"who"`
	Planes []int          `json:"planes"` // processes that the program before may have started: they are this process's children

	good atomic.Bool // the planes were found
}

// pin is the binary that a plane was upgraded to, and the one before for the time in which it may prove a mistake.
type pin struct {
	Binary string    `json:"binary"`
	Args   []string  `json:"args,omitempty"` // nil: as this up starts it
	Before *former   `json:"before,omitempty"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	From   string    `json:"from"`
	To     string    `json:"to"`
}

// probation is how long a plane that was upgraded is started again by the binary before when it dies.
const probation = time.Minute

// carriedOver returns what the program before this one in the process has left, nil when there was none.
func carriedOver() (*carried, error) {
	s := os.Getenv(carriedEnv)
	if s == "" {
		return nil, nil
	}
	before := &carried{}
	if err := json.Unmarshal([]byte(s), before); err != nil {
		return nil, errs.Wrap(errs.Internal, err, carriedEnv)
	}
	unix.CloseOnExec(before.Lock)
	for _, fd := range before.Doors {
		unix.CloseOnExec(fd)
	}
	for _, pid := range before.Planes {
		if p, err := watch(pid); err == nil {
			go func() {
				<-p.done
				_, _ = unix.Wait4(pid, nil, 0, nil) // nobody else does
			}()
		}
	}
	return before, os.Unsetenv(carriedEnv)
}

// takeLock takes the folder, or goes on having it.
func (b *carried) takeLock(data string) (*os.File, error) {
	if b == nil {
		return lockFolder(data, "up")
	}
	return os.NewFile(uintptr(b.Lock), lockPath(data, "up")), nil
}

// openDoors opens the doors that are not open yet.
func (b *carried) openDoors(all doors) error {
	for _, d := range all {
		fd, there := 0, false
		if b != nil {
			fd, there = b.Doors[d.env]
		}
		if !there {
			d.open() // before somebody else takes the address
			continue
		}
		var err error
		if d.listen, err = listenOn(fd, nil, d.addr); err != nil {
			return fmt.Errorf("socket of %s: %w", d.addr, err)
		}
	}
	return nil
}

// settled says that this program does what it is for.
func (b *carried) settled() {
	if b == nil {
		return
	}
	b.good.Store(true)
}

// upgraded is what is recorded of this program's coming.
func (b *carried) upgraded() fleet.Upgrade {
	return fleet.Upgrade{Part: "up", By: b.Who.By, From: b.Former.Version, To: cli.Version(), At: b.Who.At, Back: b.Who.Back}
}

// orBack returns to the program before when this one failed before it did anything. It does not return then.
func (b *carried) orBack(err error) error {
	if b == nil || err == nil || b.good.Load() {
		return err
	}
	fmt.Fprintln(os.Stderr, "going back to the program before:", err)
	return errors.Join(err, become(b.Former.Binary, b.Former.Args, &carried{Lock: b.Lock, Doors: b.Doors, Former: former{Binary: b.Former.Binary, Version: cli.Version(), Args: b.Former.Args}, Pins: b.Pins, Who: b.Who}))
}

// become replaces this process's program. It returns only when that is not possible, and nothing has changed then.
func become(binary string, args []string, c *carried) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	keep := []int{c.Lock}
	for _, fd := range c.Doors {
		keep = append(keep, fd)
	}
	for _, fd := range keep {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	err = syscall.Exec(binary, append([]string{binary}, args...), append(os.Environ(), carriedEnv+"="+string(b)))
	for _, fd := range keep {
		unix.CloseOnExec(fd)
	}
	return err
}

// upState is what an up knows of upgrades.
type upState struct {
	busy sync.Mutex

	mu   sync.Mutex
	pins map[string]pin
	left map[string][]*process // former processes of a plane, which end by themselves
}

func newUpState(before *carried) *upState {
	s := &upState{pins: map[string]pin{}, left: map[string][]*process{}}
	if before != nil && before.Pins != nil {
		s.pins = before.Pins
	}
	return s
}

// program is what a plane is started with.
func (c *UpConfig) program(plane string, args []string) (string, []string, error) {
	if c.state != nil {
		c.state.mu.Lock()
		defer c.state.mu.Unlock()
		if p, ok := c.state.pins[plane]; ok {
			if p.Args != nil {
				args = p.Args
			}
			return p.Binary, args, nil
		}
	}
	self, err := os.Executable()
	return self, args, err
}

// follow returns the process that has a plane's folder now, once p is no longer the one: p itself when it has ended, or ctx.
func (c *UpConfig) follow(ctx context.Context, plane string, p *process) *process {
	if p == nil || c.state == nil {
		return p
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return p
		case <-ctx.Done():
			return p
		case <-tick.C:
		}
		pid := lockHolder(folder(c.Data, plane), plane)
		if pid == 0 || pid == p.pid {
			continue
		}
		if next, err := watch(pid); err == nil {
			c.state.mu.Lock()
			c.state.left[plane] = append(slices.DeleteFunc(c.state.left[plane], ended), p)
			c.state.mu.Unlock()
			p = next
		}
	}
}

func ended(p *process) bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stopAll stops a plane: the process that has the folder, and those before it that still answer something.
func (c *UpConfig) stopAll(plane string, p *process, limit time.Duration) error {
	err := p.stop(limit)
	for { // one that was being replaced when it was told to end
		next, holderErr := holder(context.Background(), folder(c.Data, plane), plane)
		if holderErr != nil || next == nil {
			err = errors.Join(err, holderErr)
			break
		}
		err = errors.Join(err, next.stop(limit))
	}
	if c.state == nil {
		return err
	}
	c.state.mu.Lock()
	left := c.state.left[plane]
	c.state.mu.Unlock()
	for _, p := range left {
		if !ended(p) {
			err = errors.Join(err, p.stop(limit))
		}
	}
	return err
}

// fallBack makes a plane that has died soon after its upgrade start with the binary before.
func (c *UpConfig) fallBack(ctx context.Context, plane string) {
	if c.state == nil {
		return
	}
	c.state.mu.Lock()
	p, ok := c.state.pins[plane]
	if !ok || p.Before == nil || time.Now().After(p.Until) || ctx.Err() != nil {
		c.state.mu.Unlock()
		return
	}
	before := *p.Before
	c.state.pins[plane] = pin{Binary: before.Binary, Args: before.Args}
	c.state.mu.Unlock()
	c.Logger.Error(plane+" died soon after its upgrade; going back to the version before", "from", p.To, "to", p.From)
	go c.tell(ctx, fleet.Upgrade{Part: parts[plane], By: p.By, From: p.From, To: p.To, At: time.Now().UTC(), Why: "it died within a minute; " + p.From + " runs again"})
}

// tell makes the control plane record something of an upgrade.
func (c *UpConfig) tell(ctx context.Context, u fleet.Upgrade) {
	ctx, cancel := context.WithTimeout(ctx, recordLimit)
	defer cancel()
	token, err := access.ReadToken(filepath.Join(c.Data, access.DataPlaneFile))
	if err == nil {
		err = record(ctx, client.New(client.Options{URL: "http://" + c.Listen, Token: token}), c.Unit, u)
	}
	if err != nil {
		c.Logger.Warn("the upgrade is not on the record", "err", err)
	}
}

// stay serves the control socket until ctx ends.
func (c *UpConfig) stay(ctx context.Context, lock *os.File) error {
	become := make(chan func() error, 1)
	go func() {
		select { // nobody asks again while it becomes another program
		case exec := <-become:
			if err := exec(); err != nil {
				c.Logger.Error("up goes on with the program that it has", "err", err)
			}
			c.state.busy.Unlock()
		case <-ctx.Done():
		}
	}()
	err := handover.Serve(ctx, socketPath(c.Data, "up"), c.Logger, func(ctx context.Context, by string, request json.RawMessage, say func(string)) (any, error) {
		var r UpgradeRequest
		if err := json.Unmarshal(request, &r); err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "the request")
		}
		if !c.state.busy.TryLock() {
			return nil, errs.E(errs.Conflict, "ringfence is being upgraded already")
		}
		if r.Ask {
			c.state.busy.Unlock()
			return []Upgraded{{Plane: "up", To: cli.Version(), PID: os.Getpid()}}, nil
		}
		all, exec, err := c.upgrade(context.WithoutCancel(ctx), lock, by, r, say)
		if exec == nil {
			c.state.busy.Unlock()
			return all, err
		}
		time.AfterFunc(100*time.Millisecond, func() { become <- exec }) // after the answer
		return all, nil
	})
	if err != nil {
		c.Logger.Warn("up cannot be upgraded while it runs", "err", err)
	}
	return nil
}

// upgrade upgrades the planes and says how this process becomes the new program, when it is to.
func (c *UpConfig) upgrade(ctx context.Context, lock *os.File, by string, r UpgradeRequest, say func(string)) (all []Upgraded, exec func() error, err error) {
	s := &seat{plane: "up", data: c.Data, log: c.Logger}
	var to program
	if r.Only == "" || !r.Back {
		if to, err = s.choose(ctx, r); err != nil {
			return nil, nil, err
		}
	}
	for _, plane := range []string{"server", "dataplane"} {
		if r.Only != "" && r.Only != parts[plane] {
			continue
		}
		u, err := c.upgradePlane(ctx, plane, by, r, say)
		if err != nil {
			if len(all) > 0 {
				err = errs.Wrap(errs.KindOf(err), err, "the %s is at %s now", planeNames[all[0].Plane], all[0].To).
					Next("Versions next to each other work together. Go back with: ringfence upgrade --back --only control")
			}
			return all, nil, err
		}
		all = append(all, u)
	}
	if r.Only != "" {
		return all, nil, nil
	}
	was, err := keepBinary(filepath.Join(c.Data, "run"))
	if err == nil {
		err = rememberFormer(c.Data, "up", was)
	}
	if err != nil {
		return all, nil, errs.Wrap(errs.Unavailable, err, "the planes are upgraded, up itself is not")
	}
	who := handover.Who{Version: cli.Version(), By: by, At: time.Now().UTC(), Back: r.Back}
	all = append(all, Upgraded{Plane: "up", From: cli.Version(), To: to.version, Before: os.Getpid(), PID: os.Getpid(), Binary: to.binary})
	return all, func() error { return c.become(to, was, who, lock) }, nil
}

func (c *UpConfig) upgradePlane(ctx context.Context, plane, by string, r UpgradeRequest, say func(string)) (u Upgraded, err error) {
	before, _ := formerOf(folder(c.Data, plane), plane)
	r.By, r.Only = by, ""
	if err := handover.Ask(ctx, socketPath(folder(c.Data, plane), plane), r, say, &u); err != nil {
		if errors.Is(err, handover.ErrNobody) {
			err = errs.E(errs.Unavailable, "the %s cannot be asked now", planeNames[plane]).Next("It is being started, or of a version without upgrades; try again, or restart it")
		}
		return u, err
	}
	p := pin{Binary: u.Binary, By: by, From: u.From, To: u.To, Until: time.Now().Add(probation)}
	if r.Back {
		p.Args = before.Args
	}
	if now, err := formerOf(folder(c.Data, plane), plane); err == nil {
		p.Before = &now
	}
	c.state.mu.Lock()
	c.state.pins[plane] = p
	c.state.mu.Unlock()
	say(fmt.Sprintf("%s: %s took over from %s in %.1fs", planeNames[plane], u.To, u.From, u.Took.Seconds()))
	return u, nil
}

// become replaces the program of this process and leaves everything else as it is: its number, its sockets, the planes.
func (c *UpConfig) become(to program, was former, who handover.Who, lock *os.File) error {
	next := &carried{Doors: map[string]int{}, Former: was, Who: who}
	next.Lock = int(lock.Fd())
	for _, d := range c.doors {
		if d.listen == nil {
			continue // a data plane from before this up has it
		}
		f := d.file()
		if f == nil {
			continue
		}
		next.Doors[d.env] = int(f.Fd())
		defer f.Close() // when this comes to nothing
	}
	c.state.mu.Lock()
	next.Pins = map[string]pin{}
	for plane, p := range c.state.pins {
		next.Pins[plane] = p
		next.Planes = append(next.Planes, lockHolder(folder(c.Data, plane), plane))
		for _, left := range c.state.left[plane] {
			next.Planes = append(next.Planes, left.pid)
		}
	}
	c.state.mu.Unlock()
	c.Logger.Info("up becomes another program", "from", cli.Version(), "to", to.version, "asked by", who.By)
	_ = handover.Notify("RELOADING=1")
	return become(to.binary, to.args, next)
}
