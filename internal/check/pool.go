package check

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/health"
)

// Limits of a pool.
const (
	atOnce    = 32  // questions under way
	atOnceOne = 4   // of these, to the same host or command: one that hangs leaves room for the others
	keptUnask = 100 // readings that nobody took, for each key; the oldest go
)

// Timed is a reading and when it was there.
type Timed struct {
	At      time.Time
	Reading health.Reading
}

// Pool asks in the background. Ask, Take and Forget return at once.
type Pool struct {
	run    func(context.Context, Request) health.Reading
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	keys  map[string]*question
	lanes map[string]*lane
	turn  []*lane // those in which something waits, in the order in which they are served
	busy  int
}

// question is what is asked under a key.
type question struct {
	req    Request
	next   time.Time // not asked again before
	active bool      // waits or is under way
	cancel context.CancelFunc
	gone   bool
	ready  []Timed
}

// lane holds the questions to one host or command.
type lane struct {
	name    string
	waiting []*question
	busy    int
}

// NewPool makes a pool over run, which is a Runner's Run.
func NewPool(run func(context.Context, Request) health.Reading) *Pool {
	p := &Pool{run: run, keys: map[string]*question{}, lanes: map[string]*lane{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Close withdraws all questions and returns when none is under way.
func (p *Pool) Close() {
	p.mu.Lock()
	p.cancel()
	p.mu.Unlock()
	p.done.Wait()
}

// Ask sees to it that req is asked now and, as long as Ask is called, again each time every has passed. A question is
// under way once at most for a key; what changes in req counts from its next time on.
func (p *Pool) Ask(key string, every time.Duration, req Request) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.keys[key]
	if q == nil {
		q = &question{}
		p.keys[key] = q
	}
	q.req = req
	if q.active || now.Before(q.next) || p.ctx.Err() != nil {
		return
	}
	q.active, q.next = true, now.Add(every)
	name := target(req)
	l := p.lanes[name]
	if l == nil {
		l = &lane{name: name}
		p.lanes[name] = l
	}
	if l.waiting = append(l.waiting, q); len(l.waiting) == 1 {
		p.turn = append(p.turn, l)
	}
	p.start()
}

// Take returns the readings under a key that are new since the last Take, up to now, in order.
func (p *Pool) Take(key string, now time.Time) []Timed {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.keys[key]
	if q == nil {
		return nil
	}
	n := 0
	for n < len(q.ready) && !q.ready[n].At.After(now) {
		n++
	}
	taken := q.ready[:n:n]
	q.ready = q.ready[n:]
	if n == 0 {
		return nil
	}
	return taken
}

// Forget withdraws the questions whose keys begin with prefix, and drops their readings.
func (p *Pool) Forget(prefix string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, q := range p.keys {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		delete(p.keys, key)
		q.gone = true
		if q.cancel != nil {
			q.cancel()
		}
	}
}

// start gives free room to those who wait, one of each lane in turn.
func (p *Pool) start() {
	for range len(p.turn) {
		if p.busy >= atOnce {
			return
		}
		l := p.turn[0]
		p.turn = p.turn[1:]
		for len(l.waiting) > 0 && l.waiting[0].gone {
			l.waiting = l.waiting[1:]
		}
		if len(l.waiting) > 0 && l.busy < atOnceOne {
			p.begin(l, l.waiting[0])
			l.waiting = l.waiting[1:]
		}
		switch {
		case len(l.waiting) > 0:
			p.turn = append(p.turn, l)
		case l.busy == 0:
			delete(p.lanes, l.name)
		}
	}
}

func (p *Pool) begin(l *lane, q *question) {
	ctx, cancel := context.WithCancel(p.ctx)
	q.cancel = cancel
	l.busy++
	p.busy++
	req := q.req
	p.done.Go(func() {
		reading := p.run(ctx, req)
		withdrawn := ctx.Err() != nil
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		l.busy--
		p.busy--
		q.active, q.cancel = false, nil
		if !withdrawn {
			if q.ready = append(q.ready, Timed{time.Now(), reading}); len(q.ready) > keptUnask {
				q.ready = q.ready[1:]
			}
		}
		if p.ctx.Err() == nil {
			p.finish(l)
		}
	})
}

// finish lets the next begin when a question is over.
func (p *Pool) finish(l *lane) {
	if l.busy == 0 && len(l.waiting) == 0 {
		delete(p.lanes, l.name)
	}
	p.start()
}

// target is whom a request is for. Instances are one's own and stand for themselves.
func target(req Request) string {
	switch {
	case req.Webhook != nil:
		return "web " + host(put(req.Webhook.URL, req.Vars, urlEscape))
	case req.Command != nil:
		return "command " + req.Command.Name
	case req.Probe != nil && req.Probe.URL != "":
		return "web " + host(put(req.Probe.URL, req.Vars, urlEscape))
	}
	return "instances of " + req.Vars["service"]
}
