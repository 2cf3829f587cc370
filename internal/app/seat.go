package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/handover"
)

// seat is a plane's place in its folder: the lock, the socket by which it can be asked to make room for another binary, and the
// process before it, if there was one that made room.
type seat struct {
	plane, data string
	log         *slog.Logger
	before      *handover.Predecessor // nil: nobody

	lock *os.File
	busy sync.Mutex // one replacement at a time
}

// takeSeat takes a plane's folder. A process that succeeds another one gets the folder later, by settle.
func takeSeat(plane, data string, log *slog.Logger) (*seat, error) {
	s := &seat{plane: plane, data: data, log: log}
	var err error
	if s.before, err = handover.Inherit(); err != nil {
		return nil, err
	}
	if s.before == nil {
		s.lock, err = lockFolder(data, plane)
	}
	return s, err
}

// give ends it. What went wrong before this process served is told to the one before.
func (s *seat) give(err error) error {
	s.before.Failed(err)
	if s.lock != nil {
		_ = s.lock.Close()
	}
	return err
}

// settle waits until everything is this process's. Nothing may have been written before. left is what the process before says it
// leaves; nil when it was killed before it could.
func (s *seat) settle(ctx context.Context, left any) error {
	if s.before == nil {
		return nil
	}
	if err := s.before.Say(handover.Prepared); err != nil {
		return err
	}
	if orphaned, err := s.before.Await(ctx, handover.Release, left); err != nil {
		return err
	} else if orphaned {
		s.log.Warn("the process before this one has ended in the middle of the hand-over; this one goes on")
	}
	return s.relock(ctx)
}

// lockPatience is how long a lock is waited for that is about to be free: the other process was just killed, or somebody looks.
const lockPatience = 10 * time.Second

func (s *seat) relock(ctx context.Context) (err error) {
	for end := time.Now().Add(lockPatience); ; {
		if s.lock, err = lockFolder(s.data, s.plane); !errs.Is(err, errs.Conflict) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// serving tells everybody who waits for it that this process serves: the process before it, which then goes, and systemd. It returns
// whose work this is when there was one before it.
func (s *seat) serving(ctx context.Context) (*handover.Who, error) {
	if s.before == nil {
		return nil, handover.Notify("READY=1")
	}
	if err := s.before.Say(handover.Serving); err != nil {
		return nil, err
	}
	if _, err := s.before.Await(ctx, handover.Yours, nil); err != nil {
		return nil, err
	}
	who := s.before.Who
	s.log.Info("took over", "from", who.Version, "to", cli.Version(), "asked by", who.By)
	return &who, handover.Notify("READY=1")
}

// replaceable is a plane that can make room while it serves.
type replaceable interface {
	// sockets are those that it listens on.
	sockets() ([]handover.Socket, error)
	// letGo stops everything that writes and frees all locks but the folder's, and says what is left. It goes on answering.
	letGo(ctx context.Context) (left any, err error)
	// yield is called when the other process serves, but may still fail.
	yield(s *handover.Successor)
	// takeBack is letGo undone: the plane goes on as if nothing had been.
	takeBack(ctx context.Context) error
	// leave makes the plane answer what it has in flight, and end. It returns at once.
	leave(s *handover.Successor)
	// refusedUpgrade records what came of an upgrade that was none.
	refusedUpgrade(u fleet.Upgrade)
}

// UpgradeRequest is what a running process is asked at its control socket.
type UpgradeRequest struct {
	Binary string        `json:"binary,omitempty"` // absolute
	Back   bool          `json:"back,omitempty"`   // to the binary before, instead
	Only   string        `json:"only,omitempty"`   // control or data, of an up
	Within time.Duration `json:"within"`           // in which the new process has to serve
	Ask    bool          `json:"ask,omitempty"`    // do nothing, say what runs
	By     string        `json:"by,omitempty"`     // who asked the up that asks; believed, as who may ask at all is the same user or root
}

// Upgraded is what came of it, for one process.
type Upgraded struct {
	Plane  string        `json:"plane"`
	From   string        `json:"from"`
	To     string        `json:"to"`
	Before int           `json:"pidBefore"`
	PID    int           `json:"pid"`
	Took   time.Duration `json:"took"`
	Binary string        `json:"binary"`
}

const (
	// upgradeLimit is how long a new process has to serve when nobody says otherwise.
	upgradeLimit = 2 * time.Minute
	// trial is how long a new process has to live before the one before it goes for good.
	trial = time.Second
)

// socketPath is where a process of a folder can be asked.
func socketPath(data, plane string) string { return filepath.Join(data, "run", plane+".sock") }

// answer serves the control socket until ctx ends.
func (s *seat) answer(ctx context.Context, p replaceable) error {
	return handover.Serve(ctx, socketPath(s.data, s.plane), s.log, func(ctx context.Context, by string, request json.RawMessage, say func(string)) (any, error) {
		var r UpgradeRequest
		if err := json.Unmarshal(request, &r); err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "the request")
		}
		if r.By != "" {
			by = r.By
		}
		if !s.busy.TryLock() {
			return nil, errs.E(errs.Conflict, "the %s is being upgraded already", planeNames[s.plane])
		}
		defer s.busy.Unlock()
		done, err := s.replace(context.WithoutCancel(ctx), p, by, r, say)
		return done, err
	})
}

// replace puts another process in this one's place.
func (s *seat) replace(ctx context.Context, p replaceable, by string, r UpgradeRequest, say func(string)) (Upgraded, error) {
	began := time.Now()
	to, err := s.choose(ctx, r)
	if err != nil {
		return Upgraded{}, err
	}
	u := Upgraded{Plane: s.plane, From: cli.Version(), To: to.version, Before: os.Getpid(), Binary: to.binary}
	former, err := keepBinary(filepath.Join(s.data, "run"))
	if err != nil {
		return u, errs.Wrap(errs.Unavailable, err, "the present binary cannot be kept to go back to")
	}
	sockets, err := p.sockets()
	if err != nil {
		return u, err
	}
	who := handover.Who{Protocol: handover.Protocol, Version: cli.Version(), By: by, At: began.UTC(), Back: r.Back}
	refused := func(err error) error {
		f := done(s.plane, who)
		f.To, f.Why = u.To, err.Error()
		p.refusedUpgrade(f)
		return s.refused(err)
	}
	next, err := handover.Begin(handover.Plan{Binary: to.binary, Args: to.args, Sockets: sockets, Who: who})
	if err != nil {
		return u, refused(err)
	}
	s.log.Info("being replaced", "from", u.From, "to", u.To, "process", next.PID(), "asked by", by)
	say(planeNames[s.plane] + ": " + to.version + " is starting")
	if err := next.Await(ctx, handover.Prepared, r.Within); err != nil {
		next.Kill()
		return u, refused(err)
	}
	if err := s.handOver(ctx, p, next, r.Within); err != nil {
		return u, refused(err)
	}
	u.PID, u.Took = next.PID(), time.Since(began)
	if err := rememberFormer(s.data, s.plane, former); err != nil {
		s.log.Warn("which binary to go back to is not kept", "err", err)
	}
	p.leave(next)
	return u, nil
}

// handOver gives everything to a process that is prepared for it. On an error this process has it again.
func (s *seat) handOver(ctx context.Context, p replaceable, next *handover.Successor, within time.Duration) error {
	left, err := p.letGo(ctx)
	if err == nil {
		err = s.lock.Close()
	}
	if err == nil {
		err = next.Say(handover.Release, left)
	}
	if err == nil {
		err = next.Await(ctx, handover.Serving, within)
	}
	if err == nil {
		p.yield(next)
		err = next.Lives(ctx, trial)
	}
	if err == nil {
		err = next.Say(handover.Yours, nil)
	}
	if err == nil {
		if err := handover.Notify("MAINPID=" + pidText(next.PID())); err != nil {
			s.log.Warn("systemd is not told of the new process", "err", err)
		}
		return nil
	}
	next.Kill() // and with it its locks
	for {
		back := s.relock(ctx)
		if back == nil {
			back = p.takeBack(ctx)
		}
		if back == nil {
			return err
		}
		s.log.Error("what was let go of cannot be taken back; trying again", "err", back)
		if s.lock != nil {
			_ = s.lock.Close()
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, back)
		case <-time.After(time.Second):
		}
	}
}

// refused is the error of a replacement that was none.
func (s *seat) refused(err error) error {
	s.log.Error("not replaced; going on as before", "err", err)
	hint := errs.HintOf(err)
	if hint == "" {
		hint = "Nothing has changed; the log of the " + planeNames[s.plane] + " may say more."
	}
	return errs.Wrap(errs.KindOf(err), err, "the new %s was not taken", planeNames[s.plane]).Next("%s", hint)
}
