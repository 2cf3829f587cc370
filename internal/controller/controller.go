package controller

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
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

// Catalog holds what people declared. Errors: errs.Missing.
type Catalog interface {
	Resolve(ctx context.Context, service string) (resource.Resolved, error)
	Release(ctx context.Context, service, version string) (resource.Release, error)
}

// The kinds of documents that the controller owns.
const (
	KindLive    = "Live"    // by service
	KindRollout = "Rollout" // by service/number
	KindDesired = "Desired" // by unit/service
)

// Options configure a controller.
type Options struct {
	Store    Store
	Fleet    Fleet
	Metrics  Metrics
	Catalog  Catalog
	Logger   *slog.Logger
	Interval time.Duration // between steps of a rollout; default 1s
}

// Controller carries the rollouts of all services.
type Controller struct {
	Options
	wake chan struct{}

	mu    sync.Mutex
	cases map[string]*stageCase // evidence so far, by rollout; a cache of what the metrics hold
}

// New makes a controller; Run starts it.
func New(o Options) *Controller {
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	return &Controller{Options: o, wake: make(chan struct{}, 1), cases: map[string]*stageCase{}}
}

// Run steps every service at each interval, and sooner when woken, until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
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

func (c *Controller) stepAll(ctx context.Context) {
	lives, err := c.lives(ctx)
	if err != nil {
		c.Logger.Error("cannot read the services", "err", err)
		return
	}
	for _, l := range lives {
		if err := c.settle(ctx, l.Service); err != nil && ctx.Err() == nil {
			c.Logger.Error("rollout step failed; it is tried again", "service", l.Service, "err", err)
		}
	}
}

// settle takes steps of one service until there is nothing left to do now.
func (c *Controller) settle(ctx context.Context, service string) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for range 100 {
		moved, err := c.step(ctx, service, time.Now().UTC())
		if errs.Is(err, errs.Conflict) {
			continue // another was faster: decide again on the new state
		}
		if err != nil || !moved {
			return err
		}
	}
	return errs.E(errs.Internal, "service %s does not settle", service)
}
