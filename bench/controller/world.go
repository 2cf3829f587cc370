package main

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// shortest and longest are the bakes of the first ring, which differ by service so that their ends are spread.
const (
	shortest = 30 * time.Second
	longest  = 10 * time.Minute

	scrape = 5 * time.Second
	unit   = "local"
)

// world is a unit that does at once what it is told, users who are well, and a store that is looked at.
type world struct {
	*sqlite.Store
	spec resource.Resolved

	mu        sync.Mutex
	desired   map[string]fleet.ServiceStatus
	measuring bool
	lags      []time.Duration
	decisions int
	done      map[string]bool // rollouts that are in a ring, or out
}

func newWorld(base *sqlite.Store) *world {
	five, fifty := 5.0, 50.0
	rings := []resource.Ring{{Name: "early", Audience: resource.Audience{Percent: &five}, Bake: fleet.Dur(longest)},
		{Name: "broad", Audience: resource.Audience{Percent: &fifty}, Bake: fleet.Dur(longest)}, {Name: "more", Bake: fleet.Dur(longest)}, {Name: "all", Bake: fleet.Dur(10 * time.Hour)}}
	ninety := 90.0
	rings[2].Audience.Percent = &ninety
	return &world{Store: base, desired: map[string]fleet.ServiceStatus{}, done: map[string]bool{}, spec: resource.Resolved{Plan: "p", Salt: "p", Rings: rings,
		Service:  resource.Service{Run: resource.Run{Command: []string{"{artifact}"}, Instances: 1}}.Defaults(),
		Exposure: []fleet.Ring{{Name: "early", Percent: 5}, {Name: "broad", Percent: 50}, {Name: "more", Percent: 90}, {Name: "all"}},
		Gates:    []resource.Gate{resource.Gate{Signal: "errors"}.Defaults(), resource.Gate{Signal: "latency", Over: fleet.Dur(300 * time.Millisecond)}.Defaults()}}}
}

// Commit notes what is decided and how late.
func (w *world) Commit(ctx context.Context, write store.Write) ([]audit.Event, error) {
	events, err := w.Store.Commit(ctx, write)
	if err != nil {
		return events, err
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range write.Puts {
		switch d.Kind {
		case controller.KindDesired:
			w.obey(d.Body)
		case controller.KindRollout:
			w.late(d.Body, write.Events, now)
		}
	}
	return events, nil
}

func (w *world) obey(body []byte) {
	var d fleet.Service
	if json.Unmarshal(body, &d) != nil {
		return
	}
	st := fleet.ServiceStatus{Name: d.Name, Generation: d.Generation}
	for _, s := range d.Slots {
		st.Slots = append(st.Slots, fleet.SlotStatus{Version: s.Version, Ready: s.Instances, Wanted: s.Instances})
	}
	w.desired[d.Name] = st
}

// late measures a ring's leaving against the end of its bake.
func (w *world) late(body []byte, events []audit.Event, now time.Time) {
	for _, e := range events {
		if e.Type == rollout.EvSucceeded || e.Type == rollout.EvBaking {
			w.done[strings.TrimPrefix(e.Subject, "rollout/")] = true
		}
		if !w.measuring {
			continue
		}
		w.decisions++
		if e.Type != rollout.EvPassed {
			continue
		}
		var s rollout.State
		if json.Unmarshal(body, &s) != nil || s.From == "" {
			continue
		}
		for _, st := range s.Stages[:1] {
			if st.Left.Truncate(time.Microsecond).Equal(e.Time.Truncate(time.Microsecond)) {
				w.lags = append(w.lags, now.Sub(st.Baking.Add(time.Duration(s.Rings[0].Bake))))
			}
		}
	}
}

func (w *world) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.measuring = true
}

func (w *world) end() ([]time.Duration, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.measuring = false
	return sorted(w.lags), w.decisions
}

// baking waits until n rollouts, of those so far, are in a ring.
func (w *world) baking(ctx context.Context, n int) error {
	for {
		w.mu.Lock()
		done := len(w.done)
		w.mu.Unlock()
		if done >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Publish is not needed: what is written is obeyed.
func (w *world) Publish(string) {}

// Observe says that everything is as wanted.
func (w *world) Observe(_, service string) (fleet.ServiceStatus, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.desired[service], time.Now()
}

// Counts are of a hundred requests a second, scraped each five seconds.
func (w *world) Counts(_ context.Context, _, _, _, _ string, from, to time.Time) ([]health.Sample, []time.Time, error) {
	var samples []health.Sample
	var ends []time.Time
	for at := from.Truncate(scrape).Add(scrape); !at.After(to); at = at.Add(scrape) {
		samples = append(samples, health.Sample{Canary: &health.Counts{Requests: 100}, Stable: &health.Counts{Requests: 400}})
		ends = append(ends, at)
	}
	return samples, ends, nil
}

// Resolve gives every service the same plan.
func (w *world) Resolve(_ context.Context, service string) (resource.Resolved, error) {
	spec := w.spec
	spec.Name = service
	spec.Rings = slices.Clone(spec.Rings)
	spec.Rings[0].Bake = fleet.Dur(bakeOf(service))
	return spec, nil
}

// bakeOf is how long a service bakes in the first ring.
func bakeOf(service string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(service))
	return shortest + time.Duration(h.Sum32()%10_000)*(longest-shortest)/10_000
}

// Release is of any version.
func (w *world) Release(_ context.Context, service, version string) (resource.Release, error) {
	return resource.Release{Service: service, Version: version, Digest: "sha256:" + version}, nil
}

// Config is of any version.
func (w *world) Config(_ context.Context, service, version string) (resource.Config, error) {
	return resource.Config{Service: service, Version: version}, nil
}
