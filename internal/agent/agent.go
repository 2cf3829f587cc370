package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
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
	Rest(on bool)
}

// Workload keeps slots running.
type Workload interface {
	Apply(services map[string][]fleet.Slot)
	Status(service string) []fleet.SlotStatus
	Scaled(service string) *fleet.Scaled
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
	Gate     string // URL of the gateway, for who looks at services as users do
	Control  Control
	Gateway  Gateway
	Workload Workload
	Disk     Disk
	Logger   *slog.Logger
	Every    time.Duration // between reports when nothing changes; default 1s

	Flags func() []fleet.ServiceStatus // what is in force of flags, which is reported, too; may be nil

	Applied func([]fleet.Service) // told what is in force; may be nil
}

// Agent follows the control plane.
type Agent struct {
	Options
	changed chan struct{}

	tag string // of what was last wanted and is in force

	order sync.Mutex // held from saving something to its being in force, so that the disk never has what is older

	mu       sync.Mutex // held while it is applied and while it is looked at: a report is of one moment
	services []fleet.Service
	rest     rest
	since    time.Time // last answer of the control plane
	trouble  string    // why there is none since
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

// Restore applies what was last saved, as far as it can be. It is called before the gateway takes requests. What cannot
// be read or applied is said and left out: a data plane that does not start serves nobody.
func (a *Agent) Restore(ctx context.Context) {
	b, err := a.Disk.Load()
	if err == nil && b == nil {
		return
	}
	var d saved
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err == nil {
		a.rest = rest{wanted: d.Rest, phase: d.Phase, since: time.Now()}
		a.Gateway.Rest(d.Phase != fleet.Serving)
		err = a.apply(ctx, d.Services)
	}
	if err != nil {
		a.Logger.Error("what was last wanted cannot be restored in full", "err", err)
	}
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
	away, failed := "", ""
	for ctx.Err() == nil {
		d, tag, err := a.Control.Desired(ctx, a.Unit, a.tag, 20*time.Second)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			why := "the control plane does not answer"
			if errs.Is(err, errs.Conflict) { // another data plane has the unit: nothing that goes by by itself
				why = "the control plane refuses this data plane"
			}
			if why != away {
				a.Logger.Warn(why+"; serving what was last wanted", "err", err, "hint", errs.HintOf(err))
			}
			away = why
			a.heard(why)
			pause(ctx, time.Second)
			continue
		}
		if away != "" {
			a.Logger.Info("the control plane answers again")
		}
		away = ""
		a.heard("")
		if tag == a.tag {
			continue
		}
		if err := a.adopt(ctx, d); err != nil {
			if err.Error() != failed {
				a.Logger.Error("cannot apply all that is wanted; trying again", "err", err)
			}
			failed = err.Error()
			pause(ctx, time.Second)
			continue
		}
		a.tag, failed = tag, ""
		a.turn(ctx, time.Now())
		a.Changed()
	}
}

// adopt saves before it applies, so that a crash between the two ends with the newer state. A service that the
// answer leaves out is kept as it was: only a goodbye (Gone) stops it, so that no emptied database stops production.
func (a *Agent) adopt(ctx context.Context, d fleet.Desired) error {
	a.order.Lock()
	defer a.order.Unlock()
	a.mu.Lock()
	for _, s := range a.services {
		if index(d.Services, s.Name) < 0 {
			a.Logger.Warn("the control plane does not know a service; it is kept as it was", "service", s.Name)
			d.Services = append(d.Services, s)
		}
	}
	a.mu.Unlock()
	d.Services = slices.DeleteFunc(d.Services, func(s fleet.Service) bool { return s.Gone })
	a.mu.Lock()
	a.rest.wanted = d.Rest
	resting := a.rest
	a.mu.Unlock()
	if err := a.save(d.Services, resting); err != nil {
		return err
	}
	err := a.apply(ctx, d.Services)
	if err != nil && ctx.Err() == nil { // the next start finds what is in force
		err = errors.Join(err, a.save(a.services, resting))
	}
	return err
}

// saved is what a restart goes on from.
type saved struct {
	fleet.Desired
	Phase string `json:"phase,omitempty"` // of the unit's maintenance
}

func (a *Agent) save(services []fleet.Service, r rest) error {
	b, err := json.Marshal(saved{fleet.Desired{Unit: a.Unit, Services: services, Rest: r.wanted}, r.phase})
	if err != nil {
		return err
	}
	return a.Disk.Save(b)
}

// apply switches routes first: a version that leaves gets no new request before its instances are drained. When the
// whole cannot be applied, what can be of it is, and the rest stays as it was.
func (a *Agent) apply(ctx context.Context, wanted []fleet.Service) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.Gateway.Apply(ctx, wanted)
	if err != nil && ctx.Err() == nil {
		wanted, err = a.oneByOne(ctx, wanted)
	}
	if ctx.Err() != nil {
		return err
	}
	a.services = wanted
	if a.Applied != nil {
		a.Applied(wanted)
	}
	a.Workload.Apply(a.slots())
	return err
}

// oneByOne makes as much of wanted so as the gateway takes, beginning with what is in force: first what is no longer
// wanted goes, then each service is put in alone. It returns what is in force then, and what could not be.
func (a *Agent) oneByOne(ctx context.Context, wanted []fleet.Service) ([]fleet.Service, error) {
	force := slices.DeleteFunc(slices.Clone(a.services), func(s fleet.Service) bool { return index(wanted, s.Name) < 0 })
	if err := a.Gateway.Apply(ctx, force); err != nil {
		return a.services, err
	}
	var refused []error
	for _, s := range wanted {
		try := slices.Clone(force)
		if i := index(try, s.Name); i >= 0 {
			try[i] = s
		} else {
			try = append(try, s)
		}
		if err := a.Gateway.Apply(ctx, try); err != nil {
			refused = append(refused, fmt.Errorf("service %s stays as it was: %w", s.Name, err))
			continue
		}
		force = try
	}
	return force, errors.Join(refused...)
}

func index(services []fleet.Service, name string) int {
	return slices.IndexFunc(services, func(s fleet.Service) bool { return s.Name == name })
}

func (a *Agent) report(ctx context.Context) {
	tick := time.NewTicker(a.Every)
	defer tick.Stop()
	for {
		a.turn(ctx, time.Now())
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
	defer a.mu.Unlock()
	o := fleet.Observed{Unit: a.Unit, Admin: a.Admin, Gateway: a.Gate, Time: time.Now().UTC(), Rest: a.rest.phase}
	for _, s := range a.services {
		slots := a.Workload.Status(s.Name)
		for i := range slots {
			slots[i].InFlight = a.Gateway.InFlight(s.Name, slots[i].Version)
		}
		o.Services = append(o.Services, fleet.ServiceStatus{
			Name: s.Name, Generation: a.Gateway.Generation(s.Name), Slots: slots, Users: a.Gateway.Users(s.Name), Scaled: a.Workload.Scaled(s.Name),
		})
	}
	if a.Flags != nil {
		o.Services = append(o.Services, a.Flags()...)
	}
	return o
}

func (a *Agent) heard(trouble string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.trouble = trouble; trouble == "" {
		a.since = time.Now()
	}
}

// Heard returns when the control plane last answered, the zero time when it never did, and what is wrong since then.
func (a *Agent) Heard() (at time.Time, trouble string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since, a.trouble
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
