package lab_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

var start = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

// memory keeps documents and events as a store does.
type memory struct {
	mu     sync.Mutex
	docs   map[string]store.Doc // by kind/name
	events []audit.Event
	before func(w store.Write) error // what happens before a write
}

func (m *memory) Get(_ context.Context, kind, name string) (store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.docs[kind+"/"+name]
	if !ok {
		return d, errs.E(errs.Missing, "no %s %s", kind, name)
	}
	return d, nil
}

func (m *memory) List(_ context.Context, p store.Page) ([]store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []store.Doc
	for _, key := range slices.Sorted(maps.Keys(m.docs)) {
		if d := m.docs[key]; d.Kind == p.Kind && d.Name > p.After && len(out) < 2 { // small pages: there is more than one
			out = append(out, d)
		}
	}
	return out, nil
}

func (m *memory) Commit(_ context.Context, w store.Write) ([]audit.Event, error) {
	if m.before != nil {
		if err := m.before(w); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range w.Puts {
		if m.docs[d.Kind+"/"+d.Name].Rev != d.Rev {
			return nil, errs.E(errs.Conflict, "%s %s is not at revision %d", d.Kind, d.Name, d.Rev)
		}
	}
	for _, d := range w.Puts {
		d.Rev++
		m.docs[d.Kind+"/"+d.Name] = d
	}
	m.events = append(m.events, w.Events...)
	return w.Events, nil
}

// told are the types of what was recorded of an experiment, with who did it.
func (m *memory) told() []string {
	var out []string
	for _, e := range m.events {
		out = append(out, e.Type+" "+e.Actor)
	}
	return out
}

// declared is what people declared.
type declared map[string]resource.Resource

func (d declared) Get(_ context.Context, kind, name string) (resource.Resource, error) {
	r, ok := d[resource.Key(kind, name)]
	if !ok {
		return r, errs.E(errs.Missing, "there is no %s %q", kind, name)
	}
	return r, nil
}

func (d declared) List(_ context.Context, kind, after string, _ int) ([]resource.Resource, error) {
	var out []resource.Resource
	for _, key := range slices.Sorted(maps.Keys(d)) {
		if r := d[key]; r.Kind == kind && r.Metadata.Name > after {
			out = append(out, r)
		}
	}
	return out, nil
}

// apply declares resources in canonical form.
func (d declared) apply(t testing.TB, text string) {
	t.Helper()
	for one := range strings.SplitSeq(text, "\n---\n") {
		var tree any
		if err := yaml.Unmarshal([]byte(one), &tree); err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(tree)
		r, problems := resource.Decode(raw, func(rule json.RawMessage) error {
			_, err := exposure.CompileRule(rule, exposure.Options{Strict: true})
			return err
		})
		if err := resource.Refuse(problems); err != nil {
			t.Fatal(err)
		}
		d[r.Key()] = r
	}
}

// user is one who was given a variant and did things.
type user struct {
	key     string
	country string
	variant string
	several bool
	at      time.Time
	did     map[string]float64
}

// crowd are all users of a flag.
type crowd struct {
	users []user
	asked int
	err   error
	step  time.Duration
}

func (c *crowd) Sum(ctx context.Context, q lab.Question) (lab.Answer, error) {
	c.asked++
	if err := cmp.Or(c.err, ctx.Err()); err != nil {
		return lab.Answer{}, err
	}
	a := lab.Answer{Exposed: map[string]int64{}}
	sums := map[string]*experiment.Sums{}
	for _, u := range c.users {
		if u.at.Before(q.Since) || !u.at.Before(q.Until) || !q.Take(u.key, map[string]any{"country": u.country}) {
			continue
		}
		if u.several {
			a.Several++
			continue
		}
		a.Exposed[u.variant]++
		if sums[u.variant] == nil {
			sums[u.variant] = &experiment.Sums{}
		}
		sums[u.variant].Add([4]float64{u.did[q.Metric.Event]})
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		a.Variants = append(a.Variants, sums[name].Summary(name, experiment.Kind(q.Metric.Kind), false))
	}
	if c.step = q.Step; q.Step > 0 {
		a.Series = []lab.Point{{At: q.Since.Add(q.Step), Variants: a.Variants}, {At: q.Until, Variants: a.Variants}}
	}
	return a, nil
}

// showing are the rollouts of flags.
type showing struct {
	variant, inFlight string
	exposed           []rollout.Order
	err               error
}

func (s *showing) Shown(context.Context, string) (string, string, error) {
	return s.variant, s.inFlight, nil
}

func (s *showing) Expose(_ context.Context, actor string, o rollout.Order, _ time.Time) (rollout.State, error) {
	if s.err != nil {
		return rollout.State{}, s.err
	}
	s.exposed = append(s.exposed, o)
	return rollout.State{ID: "r1", To: o.Version, By: actor}, nil
}

const flags = `apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: shop}
spec:
  environments: [production, staging]
  flags:
    button:
      state: ENABLED
      variants: {blue: b, green: g, red: r}
      defaultVariant: blue
      exposure: {plan: ramp, variant: green}
    other: {state: ENABLED, variants: {"on": true, "off": false}, defaultVariant: "off"}
    dark: {state: DISABLED, variants: {"on": true, "off": false}, defaultVariant: "off"}
---
apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: pay}
spec:
  flags:
    button: {state: ENABLED, variants: {blue: b, green: g}, defaultVariant: blue}
---
apiVersion: ringfence.dev/v1
kind: Segment
metadata: {name: germans}
spec: {audience: {rule: {"==": [{var: country}, DE]}}}
`

// asking is an experiment on the button, with what is given besides.
func asking(name, more string) string {
	return fmt.Sprintf(`apiVersion: ringfence.dev/v1
kind: Experiment
metadata: {name: %s}
spec:
  flag: shop/button
  hypothesis: green is seen better
  variants: [{variant: blue}, {variant: green}]
  primary: {event: order}
  guardrails: [{event: failure, direction: decrease, margin: 0.2}]
%s`, name, strings.ReplaceAll("\n"+more, "\n", "\n  "))
}

type world struct {
	*lab.Lab
	t       *testing.T
	store   *memory
	catalog declared
	crowd   *crowd
	flags   *showing
	now     time.Time
}

func begin(t *testing.T) *world {
	w := &world{t: t, store: &memory{docs: map[string]store.Doc{}}, catalog: declared{}, crowd: &crowd{}, flags: &showing{}, now: start}
	w.catalog.apply(t, flags)
	w.catalog.apply(t, asking("colour", ""))
	w.Lab = w.another()
	return w
}

// another is a control plane on the same store.
func (w *world) another() *lab.Lab {
	return lab.New(lab.Options{Store: w.store, Catalog: w.catalog, Events: w.crowd, Flags: w.flags, Choices: "Choices", Now: func() time.Time { return w.now }})
}

func (w *world) begin(name string) lab.Run {
	w.t.Helper()
	run, err := w.Start(w.t.Context(), "user:ann", name, nil, w.now)
	if err != nil || run.Phase != lab.Running {
		w.t.Fatalf("start %s: %v, %v", name, run.Phase, err)
	}
	return run
}

// come makes n users of each variant's part come a minute after the start, as the assignment has it; rate says how many of a
// variant's users do a thing.
func (w *world) come(run lab.Run, n int, rates map[string]map[string]float64) {
	w.t.Helper()
	who, err := run.Assignment.Compile("button", run.Bucketing)
	if err != nil {
		w.t.Fatal(err)
	}
	w.now = run.Started.Add(time.Hour)
	seen := map[string]float64{}
	for i := range n {
		u := user{key: fmt.Sprint("user", i), at: run.Started.Add(time.Minute), country: []string{"DE", "FR"}[i%2], did: map[string]float64{}, variant: "blue"}
		variant, in := who.Of(&exposure.Context{TargetingKey: u.key, Attributes: map[string]any{"country": u.country}})
		if in {
			u.variant = variant
		}
		for event, rate := range rates[u.variant] {
			if seen[u.variant+event] += rate; seen[u.variant+event] >= 1 {
				seen[u.variant+event]--
				u.did[event] = 1
			}
		}
		w.crowd.users = append(w.crowd.users, u)
	}
}

// look reads as the loop does.
func (w *world) look(name string) {
	w.t.Helper()
	if err := w.Look(w.t.Context(), name, w.now); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(name string) lab.Report {
	w.t.Helper()
	r, err := w.Read(w.t.Context(), name, 0, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// edit changes one flag's state in a set.
func (w *world) edit(old, now string) {
	w.t.Helper()
	text := strings.Replace(flags, old, now, 1)
	if text == flags {
		w.t.Fatalf("there is no %q", old)
	}
	w.catalog.apply(w.t, text)
}
