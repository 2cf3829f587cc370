package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// beat is how often the controller steps and the gateway is scraped; soon is when what was asked for is done.
const (
	beat = 5 * time.Minute
	soon = 4 * beat
)

// memory is a store that keeps its promises in memory.
type memory struct {
	mu     sync.Mutex
	docs   map[string]store.Doc
	events []audit.Event
	fail   error                                        // what Commit answers, when set
	before func(ctx context.Context, kind string) error // called before each Get, when set
}

func (m *memory) Get(ctx context.Context, kind, name string) (store.Doc, error) {
	m.mu.Lock()
	before := m.before
	m.mu.Unlock()
	if before != nil {
		if err := before(ctx, kind); err != nil {
			return store.Doc{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.docs[kind+"|"+name]
	if !ok {
		return d, errs.E(errs.Missing, "no %s %s", kind, name)
	}
	return d, nil
}

func (m *memory) List(_ context.Context, p store.Page) ([]store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []store.Doc
	for _, d := range m.docs {
		if d.Kind == p.Kind && strings.HasPrefix(d.Name, p.Prefix) && d.Name > p.After {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b store.Doc) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (m *memory) Commit(_ context.Context, w store.Write) ([]audit.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	for _, d := range slices.Concat(w.Puts, w.Deletes) {
		if m.docs[d.Kind+"|"+d.Name].Rev != d.Rev {
			return nil, errs.E(errs.Conflict, "%s %s", d.Kind, d.Name)
		}
	}
	for _, d := range w.Puts {
		d.Rev++
		m.docs[d.Kind+"|"+d.Name] = d
	}
	for _, d := range w.Deletes {
		delete(m.docs, d.Kind+"|"+d.Name)
	}
	m.events = append(m.events, w.Events...)
	return w.Events, nil
}

// world is a unit that does what it is told, and users of versions that fail at given rates.
type world struct {
	*memory
	look    sync.Mutex         // guards what follows
	bad     map[string]float64 // share of bad requests, by version
	never   map[string]bool    // versions that never become ready
	perSec  float64
	silent  bool         // the unit does not report
	blind   bool         // the metrics are empty
	away    [2]time.Time // nothing is scraped between these
	ahead   int64        // what the unit has in force is so much newer than what it shall run
	dark    string       // a unit in which nothing becomes ready
	gone    string       // a unit that does not report
	astray  bool         // more users get the first ring's version than should
	rnd     *rand.Rand
	deleted bool

	understands map[string][]string // versions of the schema, by version

	calendar Calendar
	outside  *outside
	spec     resource.Resolved
}

func newWorld() *world {
	percent := func(p float64) resource.Audience { return resource.Audience{Percent: &p} }
	spec := resource.Resolved{Name: "shop", Plan: "standard", Salt: "standard",
		Service: resource.Service{Unit: "local", Run: resource.Run{Command: []string{"{artifact}"}, Instances: 2}},
		Rings: []resource.Ring{{Name: "early", Audience: percent(5), Bake: fleet.Dur(24 * time.Hour)},
			{Name: "broad", Audience: percent(50), Bake: fleet.Dur(24 * time.Hour)}, {Name: "all", Bake: fleet.Dur(24 * time.Hour), HotfixBake: fleet.Dur(2 * time.Hour)}},
		Exposure: []fleet.Ring{{Name: "early", Percent: 5}, {Name: "broad", Percent: 50}, {Name: "all"}},
		Gates:    []resource.Gate{{Signal: "errors", MaxRatio: 1.2, MinRequests: 500}}}
	return &world{memory: &memory{docs: map[string]store.Doc{}}, bad: map[string]float64{}, never: map[string]bool{}, perSec: 4,
		rnd: rand.New(rand.NewPCG(1, 2)), spec: spec}
}

func (w *world) controller() *Controller {
	o := Options{Store: w.memory, Fleet: w, Metrics: w, Catalog: w, Logger: slog.New(slog.DiscardHandler), Interval: beat, Calendar: w.calendar}
	if w.outside != nil {
		o.Further, o.Checks = w.outside, w.outside
	}
	return New(o)
}

// change lets the test change the world while a controller runs in it.
func (w *world) change(f func()) {
	w.look.Lock()
	defer w.look.Unlock()
	f()
}

func (w *world) Resolve(context.Context, string) (resource.Resolved, error) {
	w.look.Lock()
	defer w.look.Unlock()
	if w.deleted {
		return resource.Resolved{}, errs.E(errs.Missing, "no service")
	}
	return w.spec, nil
}

func (w *world) Release(_ context.Context, service, version string) (resource.Release, error) {
	rel := resource.Release{Service: service, Version: version, Digest: "sha256:" + version}
	if known := w.understands[version]; known != nil {
		rel.Schema = &resource.SchemaUse{Database: "shop", Understands: known}
	}
	return rel, nil
}

func (w *world) Config(_ context.Context, service, version string) (resource.Config, error) {
	return resource.Config{Service: service, Version: version, Env: map[string]string{"CONFIG": version}}, nil
}

func (w *world) desired() (s fleet.Service) { return w.desiredIn("local") }

func (w *world) desiredIn(unit string) (s fleet.Service) {
	if d, err := w.Get(context.Background(), KindDesired, unit+"/shop"); err == nil {
		_ = json.Unmarshal(d.Body, &s)
	}
	return s
}

func (w *world) Publish(string) {}

func (w *world) Observe(unit, _ string) (fleet.ServiceStatus, time.Time) {
	d := w.desiredIn(unit)
	w.look.Lock()
	defer w.look.Unlock()
	if w.silent || unit == w.gone {
		return fleet.ServiceStatus{}, time.Time{}
	}
	st := fleet.ServiceStatus{Name: "shop", Generation: d.Generation + w.ahead}
	for i, r := range d.Rings {
		n := map[string]int64{"early": 500, "broad": 4500, "all": 5000}[r.Name]
		if w.astray && i == 0 {
			n = 900
		}
		st.Users = append(st.Users, fleet.UserCount{Ring: r.Name, Version: d.Exposure[i], Users: n, Recent: n})
	}
	for _, slot := range d.Slots {
		s := fleet.SlotStatus{Version: slot.Version, Wanted: slot.Instances, Ready: slot.Instances}
		if w.never[slot.Version] || w.dark == unit {
			s.Ready, s.Failure = 0, "GET /readyz: 503"
		}
		st.Slots = append(st.Slots, s)
	}
	if d.Ramp != nil { // all that is served can be
		for _, v := range append(slices.Clone(d.Exposure), d.Ramp.From, d.Ramp.To) {
			st.Slots = append(st.Slots, fleet.SlotStatus{Version: v, Wanted: 1, Ready: 1})
		}
	}
	return st, time.Now()
}

// Counts makes up a sample a beat from the exposure of now.
func (w *world) Counts(_ context.Context, _, canary, stable, _ string, from, to time.Time) ([]health.Sample, []time.Time, error) {
	d := w.desired()
	w.look.Lock()
	defer w.look.Unlock()
	if w.blind {
		return nil, nil, nil
	}
	share := map[string]float64{}
	before := 0.0
	for i, r := range d.Rings {
		upTo := r.Percent / 100
		if i == len(d.Rings)-1 {
			upTo = 1
		}
		share[d.Exposure[i]] += upTo - before
		before = upTo
	}
	var samples []health.Sample
	var ends []time.Time
	for at := from.Truncate(beat).Add(beat); !at.After(to); at = at.Add(beat) {
		if at.After(w.away[0]) && at.Before(w.away[1]) {
			continue
		}
		samples = append(samples, health.Sample{Canary: w.counts(canary, share[canary]), Stable: w.counts(stable, share[stable])})
		ends = append(ends, at)
	}
	return samples, ends, nil
}

func (w *world) counts(version string, share float64) *health.Counts {
	c := health.Counts{Requests: int64(w.perSec * beat.Seconds() * share)}
	for range c.Requests {
		if w.rnd.Float64() < w.bad[version] {
			c.Bad++
		}
	}
	return &c
}

// hook makes every Get of the controller come by f first.
func (w *world) hook(f func(ctx context.Context, kind string) error) {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	w.memory.before = f
}

func (w *world) types(prefix string) []string {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	var all []string
	for _, e := range w.events {
		if strings.HasPrefix(e.Type, prefix) {
			all = append(all, e.Type)
		}
	}
	return all
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
