package handover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Protocol is the version of what the two say. A binary names the one that it speaks in its answer to "version --json".
const Protocol = 1

// The steps.
const (
	Hello    = "hello"
	Prepared = "prepared"
	Release  = "release"
	Serving  = "serving"
	Yours    = "yours"
	Tell     = "tell"
	failed   = "failed"
)

// Who says hello.
type Who struct {
	Protocol int       `json:"protocol"`
	Version  string    `json:"version"`
	By       string    `json:"by"` // who asked
	At       time.Time `json:"at"`
	Back     bool      `json:"back,omitempty"`
}

type message struct {
	Step string          `json:"step"`
	Data json.RawMessage `json:"data,omitempty"`
}

// failure is an error on its way to the other process.
type failure struct {
	Kind errs.Kind `json:"kind"`
	Why  string    `json:"why"`
	Hint string    `json:"hint,omitempty"`
}

func failureOf(err error) failure {
	return failure{Kind: errs.KindOf(err), Why: err.Error(), Hint: errs.HintOf(err)}
}

func (f failure) err() error {
	if f.Kind > errs.Unavailable {
		f.Kind = errs.Internal
	}
	return errs.E(f.Kind, "%s", f.Why).Next("%s", f.Hint)
}

// ErrGone says that the other process has ended.
var ErrGone = errors.New("the other process has ended")

const (
	writeLimit = 10 * time.Second
	longest    = 64 << 20 // of a line: it may hold the sets of users
)

// pipe is one end of the socket pair.
type pipe struct {
	conn net.Conn
	in   chan message
	gone chan struct{} // closed when the other end is
	mu   sync.Mutex    // writes
}

func newPipe(f *os.File) (*pipe, error) {
	conn, err := net.FileConn(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	p := &pipe{conn: conn, in: make(chan message, 64), gone: make(chan struct{})}
	go p.read()
	return p, nil
}

func (p *pipe) read() {
	defer close(p.gone)
	lines := bufio.NewScanner(p.conn)
	lines.Buffer(make([]byte, 0, 64<<10), longest)
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			return
		}
		p.in <- m
	}
}

func (p *pipe) say(step string, data any) error {
	m := message{Step: step}
	var err error
	if data != nil {
		if m.Data, err = json.Marshal(data); err != nil {
			return err
		}
	}
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeLimit))
	_, err = p.conn.Write(append(line, '\n'))
	return err
}

// await reads up to a step, and passes over others. What was said before the other end closed is heard all the same.
func (p *pipe) await(ctx context.Context, step string, into any) error {
	for {
		select {
		case m := <-p.in:
			if done, err := m.is(step, into); done {
				return err
			}
			continue
		default:
		}
		select {
		case m := <-p.in:
			if done, err := m.is(step, into); done {
				return err
			}
		case <-p.gone:
			if len(p.in) == 0 {
				return ErrGone
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m message) is(step string, into any) (bool, error) {
	switch {
	case m.Step == failed:
		var f failure
		if err := json.Unmarshal(m.Data, &f); err != nil {
			return true, errs.Wrap(errs.Internal, err, "why the other process failed")
		}
		return true, f.err()
	case m.Step != step:
		return false, nil
	case into == nil || m.Data == nil:
		return true, nil
	}
	return true, json.Unmarshal(m.Data, into)
}
