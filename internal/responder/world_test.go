package responder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// world is a control plane without the rest: a store, declared things, rollouts and counts, on a clock of its own.
type world struct {
	t *testing.T
	*sqlite.Store
	mu        sync.Mutex
	clock     time.Time
	resources map[string]resource.Resource
	rollouts  map[string]rollout.State
	lines     func(expr string, from, to time.Time, step time.Duration) []Line
	commands  []string
	fails     int // commits that fail after they were written: the process died
}

var morning = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	s, err := sqlite.Open(t.Context(), t.TempDir()+"/db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w := &world{t: t, Store: s, clock: morning, resources: map[string]resource.Resource{}, rollouts: map[string]rollout.State{}}
	w.declare("shop", resource.Service{Owner: "team-shop", Plan: "quick", DependsOn: []string{"cart"}, Runbook: "https://wiki.example/shop"})
	w.declare("cart", resource.Service{Owner: "team-cart", Plan: "quick"})
	w.declare("mail", resource.Service{Owner: "team-mail", Plan: "quick"})
	return w
}

func (w *world) declare(name string, spec resource.Service) { w.put(resource.New(name, spec)) }

func (w *world) put(r resource.Resource, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	w.resources[r.Kind+"/"+r.Metadata.Name] = r
}

// catalog is the world as a Catalog, whose methods are named as the store's.
type catalog struct{ w *world }

func (c catalog) Get(_ context.Context, kind, name string) (resource.Resource, error) {
	r, ok := c.w.resources[kind+"/"+name]
	if !ok {
		return r, errs.E(errs.Missing, "there is no %s %s", kind, name)
	}
	return r, nil
}

func (c catalog) List(_ context.Context, kind, after string, _ int) ([]resource.Resource, error) {
	var all []resource.Resource
	for _, r := range c.w.resources {
		if r.Kind == kind && r.Metadata.Name > after {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b resource.Resource) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	return all, nil
}

// changes are the world's rollouts.
type changes struct{ w *world }

func (c changes) Find(_ context.Context, which string) (rollout.State, error) {
	s, ok := c.w.rollouts[which]
	for _, o := range c.w.rollouts {
		if !ok && o.Service == which && o.Created.After(s.Created) {
			s = o
		}
	}
	if s.ID == "" {
		return s, errs.E(errs.Missing, "there is no rollout %s", which)
	}
	return s, nil
}

func (c changes) List(context.Context, string) ([]rollout.State, error) {
	var all []rollout.State
	for _, s := range c.w.rollouts {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b rollout.State) int { return strings.Compare(b.ID, a.ID) })
	return all, nil
}

func (c changes) Command(_ context.Context, verb rollout.Verb, actor, which, reason string, now time.Time) (rollout.State, error) {
	s := c.w.rollouts[which]
	events, err := rollout.Command(s, verb, actor, reason, now)
	if err != nil {
		return s, err
	}
	c.w.commands = append(c.w.commands, fmt.Sprintf("%s %s: %s", verb, which, reason))
	s = rollout.FoldAll(s, events)
	c.w.rollouts[which] = s
	c.w.record(events, which)
	return s, nil
}

func (c changes) Redeploy(_ context.Context, _, service, why string, _ time.Time) (rollout.State, error) {
	c.w.commands = append(c.w.commands, "redeploy "+service+": "+why)
	return rollout.State{}, nil
}

// record writes events of a rollout.
func (w *world) record(events []rollout.Event, id string) {
	w.t.Helper()
	var all []audit.Event
	for _, e := range events {
		actor := e.Actor
		if actor == "" {
			actor = "system:controller"
		}
		a, err := audit.New(e.Time, e.Type, actor, "rollout/"+id, e)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, a)
	}
	if _, err := w.Store.Commit(w.t.Context(), store.Write{Events: all}); err != nil {
		w.t.Fatal(err)
	}
}

// happen lets events happen to a rollout.
func (w *world) happen(id string, events ...rollout.Event) {
	w.t.Helper()
	s := w.rollouts[id]
	for i := range events {
		if events[i].Time.IsZero() {
			events[i].Time = w.clock
		}
	}
	w.rollouts[id] = rollout.FoldAll(s, events)
	w.record(events, id)
}

// release begins a rollout and shows it to its first ring.
func (w *world) release(id, service, from, to string) {
	w.t.Helper()
	s, e := rollout.Start(rollout.State{ID: id, Service: service, From: from, To: to, Plan: "quick", By: "user:ann", Rings: []rollout.Ring{{Name: "canary"}, {Name: "all"}}}, w.clock)
	w.rollouts[id] = s
	w.record([]rollout.Event{e}, id)
	w.happen(id, rollout.Event{Type: rollout.EvReady}, rollout.Event{Type: rollout.EvExposed, Ring: "canary"}, rollout.Event{Type: rollout.EvBaking, Ring: "canary"})
}

// crashing is a store whose process dies right after a write.
type crashing struct{ *world }

func (c crashing) Commit(ctx context.Context, wr store.Write) ([]audit.Event, error) {
	events, err := c.world.Store.Commit(ctx, wr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails > 0 && err == nil {
		c.fails--
		return nil, errs.E(errs.Unavailable, "the process died")
	}
	return events, err
}

// process is one control plane of the world.
func (w *world) process() *Responder {
	return New(Options{Store: crashing{w}, Catalog: catalog{w}, Rollouts: changes{w}, Metrics: w, Now: func() time.Time { return w.clock }, Every: time.Second,
		LastGood: func(context.Context, string) (string, error) { return "v0", nil },
		Known:    func(context.Context) (map[string]bool, error) { return map[string]bool{"ann": true}, nil }})
}

func (w *world) QueryRange(_ context.Context, expr string, from, to time.Time, step time.Duration) ([]Line, error) {
	if w.lines == nil {
		return nil, nil
	}
	return w.lines(expr, from, to, step), nil
}

// bad lets a share of a version's requests fail from a time until another; the rest of the traffic is well.
func (w *world) bad(service, version string, share float64, since, until time.Time) {
	w.lines = func(expr string, from, to time.Time, step time.Duration) []Line {
		if expr != fmt.Sprintf("ringfence_requests_total{service=%q}", service) {
			return nil
		}
		var all []Line
		for _, v := range []struct {
			version, ring string
			perSecond     float64
		}{{"v1", "all", 20}, {version, "canary", 5}} {
			ok := Line{Labels: map[string]string{"version": v.version, "ring": v.ring, "code": "200"}}
			broken := Line{Labels: map[string]string{"version": v.version, "ring": v.ring, "code": "500"}}
			for at := from; !at.After(to); at = at.Add(step) {
				t := float64(at.UnixMilli()) / 1000
				hurt := 0.0
				if v.version == version {
					hurt = max(0, min(at.Sub(since).Seconds(), until.Sub(since).Seconds())) * v.perSecond * share
				}
				all := max(0, at.Sub(morning.Add(-24*time.Hour)).Seconds()) * v.perSecond
				ok.Points = append(ok.Points, [2]float64{t, float64(int(all - hurt))})
				broken.Points = append(broken.Points, [2]float64{t, float64(int(hurt))})
			}
			all = append(all, ok, broken)
		}
		return all
	}
}

func page(key, service string, at time.Time) alert.Page {
	return alert.Page{Key: key, Status: alert.Firing, Severity: alert.Paging, Service: service, Owner: "team-" + service, Started: at, At: at,
		Labels: map[string]string{"alertname": "ErrorsHigh", "service": service}, Annotations: map[string]string{"summary": service + " fails", "impact": "orders are lost"},
		Alerts: []alert.Alert{{Labels: map[string]string{"alertname": "ErrorsHigh", "service": service}, StartsAt: at}}}
}

func (w *world) look(r *Responder, times ...time.Duration) {
	w.t.Helper()
	for _, d := range append([]time.Duration{0}, times...) {
		w.clock = w.clock.Add(d)
		if err := r.Look(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) incidents(r *Responder) []incident.State {
	w.t.Helper()
	all, err := r.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// told are the events of incidents, as type and people.
func (w *world) told(typ string) []string {
	w.t.Helper()
	events, err := w.Store.Events(w.t.Context(), store.EventQuery{Type: typ})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, ev := range events {
		var e incident.Event
		if err := json.Unmarshal(ev.Data, &e); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s → %s", ev.Time.Format("15:04"), strings.Join(e.People, ","), strings.Join(e.To, ",")))
	}
	return all
}

func (w *world) rotation() {
	none := 1
	w.put(resource.New("shop-oncall", resource.Rotation{Owners: []string{"team-shop"}, Repeat: &none,
		People: []resource.OnCall{{Name: "ann", Notifiers: []string{"ann-phone"}}, {Name: "bob", Notifiers: []string{"bob-phone", "bob-mail"}}},
		Layers: []resource.RotationLayer{{Name: "first", People: []string{"ann", "bob"}, Start: "2026-11-02T00:00"}},
		Steps:  []resource.CallStep{{Call: []string{"first"}}, {Call: []string{"bob"}}}}))
}

var failedGate = []health.Judgement{{Gate: health.Gate{Signal: health.SignalErrors}, Verdict: health.Fail, Reasons: []string{"errors 20 times those of v1, e-value 812"}}}
