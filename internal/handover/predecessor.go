package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/errs"
)

// Predecessor is the process that goes, seen from the one that comes. Its methods do nothing on nil, which is nobody.
type Predecessor struct {
	Who
	pipe *pipe
}

// helloLimit is how long a predecessor may take for its first words.
const helloLimit = 10 * time.Second

// Inherit returns the predecessor that started this process, nil when it was started by somebody else.
func Inherit() (*Predecessor, error) {
	s := os.Getenv(pipeEnv)
	if s == "" {
		return nil, nil
	}
	fd, err := strconv.Atoi(s)
	if err != nil || fd < firstInherited {
		return nil, fmt.Errorf("%s is %q, expected the number of an open socket", pipeEnv, s)
	}
	unix.CloseOnExec(fd) // instances have no business with it
	if err := os.Unsetenv(pipeEnv); err != nil {
		return nil, err
	}
	p := &Predecessor{}
	if p.pipe, err = newPipe(os.NewFile(uintptr(fd), "predecessor")); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), helloLimit)
	defer cancel()
	if err := p.pipe.await(ctx, Hello, &p.Who); err != nil && !errors.Is(err, ErrGone) {
		return nil, err
	}
	if p.Protocol > Protocol+1 { // one version apart is what is tried
		err := errs.E(errs.Conflict, "the process to be replaced speaks version %d of the hand-over, this binary %d", p.Protocol, Protocol)
		p.Failed(err)
		return nil, err
	}
	return p, nil
}

// Say tells the predecessor a step.
func (p *Predecessor) Say(step string) error {
	if p == nil {
		return nil
	}
	if err := p.pipe.say(step, nil); err != nil && !p.gone() {
		return err
	}
	return nil
}

// Failed tells the predecessor why this process cannot take over.
func (p *Predecessor) Failed(err error) {
	if p != nil && err != nil {
		_ = p.pipe.say(failed, failureOf(err))
	}
}

// Await waits for a step of the predecessor's and reads what comes with it. One that has ended has left everything: that is no
// error, and orphaned is true.
func (p *Predecessor) Await(ctx context.Context, step string, into any) (orphaned bool, err error) {
	if p == nil {
		return false, nil
	}
	err = p.pipe.await(ctx, step, into)
	if errors.Is(err, ErrGone) {
		return true, nil
	}
	return false, err
}

// Hear calls f with everything that the predecessor tells, until it has ended or ctx has.
func (p *Predecessor) Hear(ctx context.Context, f func(data json.RawMessage)) {
	if p == nil {
		return
	}
	for {
		var data json.RawMessage
		if orphaned, err := p.Await(ctx, Tell, &data); orphaned || err != nil {
			return
		}
		f(data)
	}
}

// Gone is closed once the predecessor has ended; it is nil, and never closed, for nobody.
func (p *Predecessor) Gone() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.pipe.gone
}

func (p *Predecessor) gone() bool {
	select {
	case <-p.pipe.gone:
		return true
	default:
		return false
	}
}
