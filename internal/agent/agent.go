package agent

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Control is the control plane. Desired waits up to wait for something that differs from have.
type Control interface {
	Desired(ctx context.Context, unit, have string, wait time.Duration) (fleet.Desired, string, error)
	Report(ctx context.Context, o fleet.Observed) error
}

// Gateway routes requests. Apply returns when no new request goes by the earlier routes.
type Gateway interface {
	Apply(ctx context.Context, services []fleet.Service) error
	Generation(service string) int64
	InFlight(service, version string) int64
	Users(service string) []fleet.UserCount
}

// Workload keeps slots running.
type Workload interface {
	Apply(services map[string][]fleet.Slot)
	Status(service string) []fleet.SlotStatus
}

// Disk keeps the last Desired. Load returns nil when there is none.
type Disk interface {
	Save(b []byte) error
	Load() ([]byte, error)
}

// Options configure an agent.
type Options struct {
	Unit     string
	Admin    string
	Control  Control
	Gateway  Gateway
	Workload Workload
	Disk     Disk
	Logger   *slog.Logger
	Every    time.Duration // between reports when nothing changes; default 1s
}

// Agent follows the control plane.
type Agent struct {
	Options
	changed chan struct{}

	mu      sync.Mutex
	desired fleet.Desired
	tag     string
	since   time.Time // last answer of the control plane
}

// New makes an agent; Run starts it.
func New(o Options) *Agent {
	if o.Every == 0 {
		o.Every = time.Second
	}
	return &Agent{Options: o, changed: make(chan struct{}, 1)}
}

// Changed asks for a report soon; it never blocks.
func (a *Agent) Changed() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// Restore applies what was last saved. It is called before the gateway takes requests.
func (a *Agent) Restore(ctx context.Context) error {
	b, err := a.Disk.Load()
	if err != nil || b == nil {
		return err
	}
	var d fleet.Desired
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	return a.apply(ctx, d)
}

// Run follows and reports until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { a.follow(ctx) })
	wg.Go(func() { a.report(ctx) })
	wg.Wait()
	return nil
}

func (a *Agent) follow(ctx context.Context) {
	for ctx.Err() == nil {
		d, tag, err := a.Control.Desired(ctx, a.Unit, a.tag, 20*time.Second)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.Logger.Warn("the control plane does not answer; serving what was last wanted", "err", err)
			pause(ctx, time.Second)
			continue
		}
		a.heard()
		if tag == a.tag {
			continue
		}
		if err := a.adopt(ctx, d); err != nil {
			a.Logger.Error("cannot apply what is wanted; trying again", "err", err)
			pause(ctx, time.Second)
			continue
		}
		a.tag = tag
		a.Changed()
	}
}

// adopt saves before it applies, so that a crash between the two ends with the newer state. A service that the
// answer leaves out is kept as it was: only a goodbye (Gone) stops it, so that no emptied database stops production.
func (a *Agent) adopt(ctx context.Context, d fleet.Desired) error {
	a.mu.Lock()
	for _, s := range a.desired.Services {
		if !slices.ContainsFunc(d.Services, func(n fleet.Service) bool { return n.Name == s.Name }) {
			a.Logger.Warn("the control plane does not know a service; it is kept as it was", "service", s.Name)
			d.Services = append(d.Services, s)
		}
	}
	a.mu.Unlock()
	d.Services = slices.DeleteFunc(d.Services, func(s fleet.Service) bool { return s.Gone })
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := a.Disk.Save(b); err != nil {
		return err
	}
	return a.apply(ctx, d)
}

// apply switches routes first: a version that leaves gets no new request before its instances are drained.
func (a *Agent) apply(ctx context.Context, d fleet.Desired) error {
	if err := a.Gateway.Apply(ctx, d.Services); err != nil {
		return err
	}
	slots := make(map[string][]fleet.Slot, len(d.Services))
	for _, s := range d.Services {
		slots[s.Name] = s.Slots
	}
	a.Workload.Apply(slots)
	a.mu.Lock()
	a.desired = d
	a.mu.Unlock()
	return nil
}

func (a *Agent) report(ctx context.Context) {
	tick := time.NewTicker(a.Every)
	defer tick.Stop()
	for {
		send, cancel := context.WithTimeout(ctx, 5*time.Second)
		if err := a.Control.Report(send, a.Observe()); err != nil && ctx.Err() == nil {
			a.Logger.Debug("cannot report", "err", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.changed:
		}
	}
}

// Observe returns what is seen of the unit now.
func (a *Agent) Observe() fleet.Observed {
	a.mu.Lock()
	services := a.desired.Services
	a.mu.Unlock()
	o := fleet.Observed{Unit: a.Unit, Admin: a.Admin, Time: time.Now().UTC()}
	for _, s := range services {
		slots := a.Workload.Status(s.Name)
		for i := range slots {
			slots[i].InFlight = a.Gateway.InFlight(s.Name, slots[i].Version)
		}
		o.Services = append(o.Services, fleet.ServiceStatus{
			Name: s.Name, Generation: a.Gateway.Generation(s.Name), Slots: slots, Users: a.Gateway.Users(s.Name),
		})
	}
	return o
}

func (a *Agent) heard() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = time.Now()
}

// Heard returns when the control plane last answered; the zero time when it never did.
func (a *Agent) Heard() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since
}

// pause waits for about d, spread so that many agents do not come back at once.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
