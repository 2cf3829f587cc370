package workload

import (
	"math"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/scale"
)

const (
	sampleEvery = 100 * time.Millisecond
	decideEvery = time.Second
	// smoothing is the time over which samples of the load are averaged, with more weight on the later ones.
	smoothing = 3 * time.Second
)

// scaling is a service whose number of instances follows its load. Guarded by Runtime.mu.
type scaling struct {
	limits scale.Limits
	state  scale.State
	load   scale.Load

	sampled time.Time
	begun   int64
}

// limit takes in how many instances a service may have. What runs already when it is first heard of is kept. Called with mu held.
func (r *Runtime) limit(service string, slots []fleet.Slot) {
	now, wish := time.Now(), (*fleet.Scale)(nil)
	least, running := 0, 0
	for _, s := range slots {
		if s.Scale != nil {
			wish, least = s.Scale, s.Instances
		}
	}
	if wish == nil {
		delete(r.scaling, service)
		return
	}
	limits := scale.Limits{Min: least, Max: max(least, wish.Max), InFlight: wish.InFlight, Rate: wish.Requests, Down: wish.Down.D(scale.DefaultDown)}
	if s := r.scaling[service]; s != nil {
		s.limits = limits
		return
	}
	for _, s := range r.slots[service] {
		running = max(running, len(s.instances))
	}
	r.scaling[service] = &scaling{limits: limits, state: scale.Begin(limits, running, now)}
}

// count is how many instances a slot shall have. Called with mu held.
func (r *Runtime) count(s *slot) int {
	if sc := r.scaling[s.service]; sc != nil && s.want.Scale != nil {
		return sc.state.Target
	}
	return s.want.Instances
}

// Scaled is the number of instances that a service has by its load; nil when it is a fixed one.
func (r *Runtime) Scaled(service string) *fleet.Scaled {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.scaling[service]
	if s == nil {
		return nil
	}
	return &fleet.Scaled{Instances: s.state.Target, Min: s.limits.Min, Max: s.limits.Max, Since: s.state.Since.UTC(), Reason: s.state.Reason}
}

// followLoad samples the load of services and starts and stops instances by it, until the runtime closes.
func (r *Runtime) followLoad() {
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	decided := time.Now()
	for {
		select {
		case <-r.ctx.Done():
			return
		case now := <-t.C:
			r.sampleLoad(now)
			if now.Sub(decided) >= decideEvery {
				decided = now
				r.rescale(now)
			}
		}
	}
}

func (r *Runtime) sampleLoad(now time.Time) {
	for _, service := range r.scaled() {
		inFlight, begun := r.opt.Traffic.Load(service)
		r.mu.Lock()
		if s := r.scaling[service]; s != nil {
			s.sample(inFlight, begun, now)
		}
		r.mu.Unlock()
	}
}

func (r *Runtime) scaled() (services []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for service := range r.scaling {
		services = append(services, service)
	}
	return services
}

// sample averages exponentially. The first sample only says where the count of requests stands.
func (s *scaling) sample(inFlight, begun int64, now time.Time) {
	if !s.sampled.IsZero() && now.After(s.sampled) {
		passed := now.Sub(s.sampled).Seconds()
		weight := 1 - math.Exp(-passed/smoothing.Seconds())
		s.load.InFlight += weight * (float64(inFlight) - s.load.InFlight)
		s.load.Rate += weight * (float64(max(0, begun-s.begun))/passed - s.load.Rate)
	}
	s.sampled, s.begun = now, begun
}

// rescale decides for every service, and brings its slots to what was decided.
func (r *Runtime) rescale(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for service, s := range r.scaling {
		before := s.state.Target
		s.state = s.state.Next(s.limits, s.load, now)
		if s.state.Target == before {
			continue
		}
		r.opt.Logger.Info("instances follow the load", "service", service, "before", before, "now", s.state.Target, "why", s.state.Reason)
		for _, slot := range r.slots[service] {
			r.reconcile(slot)
		}
		r.changed()
	}
}
