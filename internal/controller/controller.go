package controller

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Store keeps documents and events. Errors: errs.Missing from Get, errs.Conflict from Commit when another was faster.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Fleet is the way to the data planes. Observe returns what a unit last reported of a service and when,
// the zero time when it never did. Publish tells a unit that its Desired has changed; it may be lost.
type Fleet interface {
	Observe(unit, service string) (fleet.ServiceStatus, time.Time)
	Publish(unit string)
}

// Metrics counts requests between scrapes: one sample for each interval in (from, to], and its end.
// Bad are answers of 500 and above when over is "", else those slower than over seconds.
type Metrics interface {
	Counts(ctx context.Context, service, canary, stable, over string, from, to time.Time) ([]health.Sample, []time.Time, error)
}

// Distributions tell more of what was measured. Histograms are the latencies in the same intervals as Counts. Values are those of a PromQL expression that gives one
// series, at from, from+step and so on up to to, NaN where there is none.
type Distributions interface {
	Histograms(ctx context.Context, service, canary, stable string, from, to time.Time) ([]health.HistogramSample, []time.Time, error)
	Values(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]float64, error)
}

// Catalog holds what people declared, and what was made. Errors: errs.Missing.
type Catalog interface {
	Resolve(ctx context.Context, service string) (resource.Resolved, error)
	Release(ctx context.Context, service, version string) (resource.Release, error)
	Config(ctx context.Context, service, version string) (resource.Config, error)
}

// Calendar knows when a window is: whether now, and until when; whether one whole occurrence lies in [from, to]; and
// when the next one begins and ends.
type Calendar interface {
	Active(w resource.Window, now time.Time) (until time.Time, ok bool)
	Covered(w resource.Window, from, to time.Time) bool
	Next(w resource.Window, now time.Time) (start, end time.Time, ok bool)
}

// Checks ask what is outside. Ask says what to ask under a key and how often, and never blocks; Take returns what was
// answered since it was taken last; Forget ends everything under keys with a prefix.
type Checks interface {
	Ask(key string, every time.Duration, q Question)
	Take(key string) []Answer
	Forget(prefix string)
}

// Question is what a webhook, command or probe gate asks.
type Question struct {
	Gate      rollout.Gate
	Vars      map[string]string // service, version, stable, ring, rollout, unit
	Instances []string          // host:port of ready instances of the new version
}

// Answer is what came of a question.
type Answer struct {
	At      time.Time
	Reading health.Reading
}

// The kinds of documents that the controller owns.
const (
	KindLive    = "Live"    // by service
	KindRollout = "Rollout" // by service/number
	KindDesired = "Desired" // by unit/service

	KindRestraint = "Restraint" // by service: what low error budgets ask, written by who watches them
)

// Options configure a controller.
type Options struct {
	Store    Store
	Fleet    Fleet
	Metrics  Metrics
	Further  Distributions // nil: gates that need it hold
	Catalog  Catalog
	Calendar Calendar                                                                                    // nil: there are no freezes, and no declared peaks
	Checks   Checks                                                                                      // nil: gates that need it hold
	Admitted func(ctx context.Context, service, label string, rings []string) (map[string]string, error) // by ring, why it may not get a version; nil: all may
	Logger   *slog.Logger
	Interval time.Duration // between steps of a rollout; default 1s
}

// Controller carries the rollouts of all services.
type Controller struct {
	Options
	wake chan struct{}

	mu     sync.Mutex
	cases  map[string]*stageCase      // evidence so far, by service; a cache of what the metrics hold
	before map[string]*stageCase      // likewise, of gates that are asked before a ring
	rests  map[string]rest            // services with nothing to do, by name
	known  map[string]remembered      // what was read of services, by name
	dues   map[string]time.Time       // when the bakes of services end, as far as that is known
	lived  map[string]versioned[Live] // Live documents as last decoded, by name
	told   int                        // calls of Declared
}

// rest says that a service had nothing to do when its Live had a revision; every write of it gives it another one.
type rest struct {
	rev   int64
	until time.Time // a change of what is declared is not seen before
}

// recallFor is for how many intervals what was read of a rollout in flight is gone by. Its own writes, those of others
// and what this process declares end it sooner.
const recallFor = 60

// restFor is for how many intervals a service rests. Declared tells of changes sooner, but for other processes'.
const restFor = 10

// New makes a controller; Run starts it.
func New(o Options) *Controller {
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	return &Controller{Options: o, wake: make(chan struct{}, 1), cases: map[string]*stageCase{}, before: map[string]*stageCase{}, rests: map[string]rest{},
		known: map[string]remembered{}, dues: map[string]time.Time{}, lived: map[string]versioned[Live]{}}
}

// Run steps every service at each interval, and sooner when woken, until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	var punctual sync.WaitGroup
	punctual.Go(func() { c.runDue(ctx) })
	defer punctual.Wait()
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	for {
		c.stepAll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.wake:
		}
	}
}

// Wake asks for a step of every service soon; it never blocks.
func (c *Controller) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// stepLimit is how long the steps of one service may hold up those of the others.
const stepLimit = 15 * time.Second

// stepAll lets every service take its steps, as many at once as there are processors.
func (c *Controller) stepAll(ctx context.Context) {
	lives, err := c.lives(ctx)
	if err != nil {
		c.Logger.Error("cannot read the services", "err", err)
		return
	}
	line, err := c.Line(ctx)
	if err != nil {
		c.Logger.Error("cannot read whether the line is stopped", "err", err)
		return
	}
	work := make(chan versioned[Live])
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(lives)) {
		workers.Go(func() {
			for l := range work {
				c.stepOne(ctx, l, line)
			}
		})
	}
	for _, l := range lives {
		work <- l
	}
	close(work)
	workers.Wait()
}

func (c *Controller) stepOne(ctx context.Context, l versioned[Live], line rollout.Line) {
	resting, told := c.resting(l)
	if resting {
		return
	}
	out, err := c.settle(ctx, l, line)
	if err != nil && ctx.Err() == nil {
		c.Logger.Error("rollout step failed; it is tried again", "service", l.value.Service, "err", err)
	}
	if err == nil && out == idle {
		c.rest(l, told)
	}
}

func (c *Controller) resting(l versioned[Live]) (resting bool, told int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rests[l.value.Service]
	return r.rev == l.rev && time.Now().Before(r.until), c.told
}

// rest lets a service be that had nothing to do after told calls of Declared.
func (c *Controller) rest(l versioned[Live], told int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told == told {
		c.rests[l.value.Service] = rest{l.rev, time.Now().Add(restFor * c.Interval)}
	}
}

// Declared tells that what people declared has changed: every service is looked at soon.
func (c *Controller) Declared() {
	c.mu.Lock()
	clear(c.rests)
	c.told++
	c.mu.Unlock()
	c.Wake()
}

// settle takes steps of one service until there is nothing left to do now. The first one goes by what is remembered:
// should another have been faster, its write is refused.
func (c *Controller) settle(ctx context.Context, l versioned[Live], line rollout.Line) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	sit, still := c.recall(l, line)
	for range 100 {
		now := time.Now().UTC()
		if !still {
			var err error
			if sit, err = c.situation(ctx, l.value.Service); errs.Is(err, errs.Missing) {
				return idle, c.retire(ctx, sit.live, now)
			} else if err != nil {
				return waiting, err
			}
		}
		told := c.toldSoFar()
		out, err := c.step(ctx, sit, still, now)
		switch {
		case errs.Is(err, errs.Conflict) || err == nil && out == moved:
			still = false // decide again, on the new state
			continue
		case err == nil && !still && out == waiting:
			c.remember(sit, told)
		}
		return out, err
	}
	return waiting, errs.E(errs.Internal, "service %s does not settle", l.value.Service)
}

// remembered is a situation in which there was nothing to write but what the evidence may lead to.
type remembered struct {
	sit   situation
	told  int
	until time.Time // what other processes declare is not seen before
}

// recall returns what was read when a service's Live had the revision that it still has: every write replaces it.
func (c *Controller) recall(l versioned[Live], line rollout.Line) (situation, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.known[l.value.Service]
	if !ok || r.sit.live.rev != l.rev || r.told != c.told || time.Now().After(r.until) {
		return situation{}, false
	}
	r.sit.line = line
	return r.sit, true
}

func (c *Controller) remember(sit situation, told int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[sit.live.value.Service] = remembered{sit, told, time.Now().Add(recallFor * c.Interval)}
}

func (c *Controller) toldSoFar() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told
}
