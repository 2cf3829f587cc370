package contract

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world answers for the ports.
type world struct {
	rule     *resource.InterfaceRule
	releases map[string]*resource.Interface
	served   []string
	found    []Found
	calls    []Line
	measured bool // from the beginning of the window on
	docs     map[string]store.Doc
	events   []audit.Event
}

func newWorld() *world {
	openapi := func(digest string) *resource.Interface {
		return &resource.Interface{Format: "openapi", Digest: digest, Operations: []fleet.Operation{{Name: "GET /new"}, {Name: "GET /old", Deprecated: now.AddDate(0, -1, 0)}}}
	}
	return &world{measured: true, served: []string{"v1"}, docs: map[string]store.Doc{}, found: []Found{{Operation: "GET /old", Removed: true, Text: "is removed"}},
		releases: map[string]*resource.Interface{"v1": openapi("a"), "v2": openapi("b"), "bare": nil, "proto": {Format: "protobuf", Digest: "c"}}}
}

func (w *world) keeper() *Keeper {
	return New(Options{Store: w, Catalog: catalog{w}, Comparer: w, Metrics: w, Served: func(context.Context, string) ([]string, error) { return w.served, nil }, Now: func() time.Time { return now }})
}

func (w *world) Get(_ context.Context, kind, name string) (doc store.Doc, err error) {
	if d, ok := w.docs[kind+"/"+name]; ok {
		return d, nil
	}
	return doc, errs.E(errs.Missing, "no %s", kind)
}

func (w *world) Commit(_ context.Context, write store.Write) ([]audit.Event, error) {
	for _, d := range write.Puts {
		key := d.Kind + "/" + d.Name
		if w.docs[key].Rev != d.Rev {
			return nil, errs.E(errs.Conflict, "stale")
		}
		d.Rev++
		w.docs[key] = d
	}
	w.events = append(w.events, write.Events...)
	return nil, nil
}

// catalog is the other half of the world: the ports have methods of one name.
type catalog struct{ *world }

func (c catalog) Get(_ context.Context, _, name string) (resource.Resource, error) {
	return resource.New(name, resource.Service{Run: resource.Run{Command: []string{"{artifact}"}}, Plan: "p", Interface: c.rule})
}

func (w *world) Release(_ context.Context, service, version string) (resource.Release, error) {
	i, ok := w.releases[version]
	if !ok {
		return resource.Release{}, errs.E(errs.Missing, "no release %s", version)
	}
	return resource.Release{Service: service, Version: version, Interface: i}, nil
}

func (w *world) Breaks(context.Context, string, string, string) ([]Found, error) { return w.found, nil }

func (w *world) QueryRange(_ context.Context, expr string, from, _ time.Time, step time.Duration) ([]Line, error) {
	if strings.HasPrefix(expr, "ringfence_calls_total") {
		return w.calls, nil
	}
	if strings.HasPrefix(expr, "max_over_time(ringfence_call_last_seconds") {
		var out []Line
		for _, l := range w.calls {
			at := l.Points[1][0]
			if l.Points[0][1] == l.Points[1][1] { // it did not call in this time
				at = float64(from.Add(-time.Hour).Unix())
			}
			out = append(out, Line{Labels: l.Labels, Points: [][2]float64{{float64(now.Unix()), at}}})
		}
		return out, nil
	}
	at := from.Add(step)
	if !w.measured {
		at = from.Add(10 * step)
	}
	return []Line{{Points: [][2]float64{{float64(at.Unix()), 0}}}}, nil
}

// called are requests for an operation, in all and a minute later.
func called(operation, caller, version string, before, after float64, ago time.Duration) Line {
	at := float64(now.Add(-ago).Unix())
	return Line{Labels: map[string]string{"version": "v1", "operation": operation, "caller": caller, "caller_version": version}, Points: [][2]float64{{at - 60, before}, {at, after}}}
}

func TestWhatIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name, version string
		change        func(w *world)
		refused       string // "" when it passes
		event         string
	}{
		{"nobody calls it", "v2", func(w *world) { w.calls = []Line{called("GET /new", "cart", "v3", 0, 5, time.Hour)} }, "", ""},
		{"somebody does", "v2", func(w *world) { w.calls = []Line{called("GET /old", "cart", "v3", 0, 5, time.Hour)} }, "cart v3 called it 1h0m0s ago", "interface.refused"},
		{"somebody who does not say who", "v2", func(w *world) { w.calls = []Line{called("GET /old", "unknown", "", 0, 1, time.Minute)} }, "unknown callers called it", "interface.refused"},
		{"who has not called for long", "v2", func(w *world) { w.calls = []Line{called("GET /old", "cart", "v3", 5, 5, 7*24*time.Hour-time.Minute)} }, "", ""},
		{"what a version without an interface is asked for", "v2", func(w *world) { w.calls = []Line{called("", "cart", "v3", 0, 5, time.Hour)} }, "cart v3", "interface.refused"},
		{"whose one call the counters do not show", "v2", func(w *world) {
			w.calls = []Line{called("GET /old", "cart", "v3", 1, 1, time.Hour)}
			w.calls[0].Points[0][1] = 0.9 // the last call is in this time
			w.calls[0].Points[1][1] = 1
		}, "cart v3 called it 1h0m0s ago", "interface.refused"},
		{"it is not known", "v2", func(w *world) { w.measured = false }, "not counted over all of the last 168h", "interface.refused"},
		{"nothing is broken", "v2", func(w *world) { w.found, w.measured = nil, false }, "", ""},
		{"it is only warned of", "v2", func(w *world) {
			w.rule, w.measured = &resource.InterfaceRule{Rule: "warn"}, false
		}, "", "interface.warned"},
		{"nobody looks", "v2", func(w *world) { w.rule, w.measured = &resource.InterfaceRule{Rule: "off"}, false }, "", ""},
		{"the interface is left out", "bare", func(*world) {}, "carries no interface", "interface.refused"},
		{"another format", "proto", func(*world) {}, "the interface is protobuf", "interface.refused"},
		{"nothing was served with one", "v2", func(w *world) { w.served, w.measured = []string{"bare"}, false }, "", ""},
		{"the first release", "v2", func(w *world) { w.served = nil }, "", ""},
		{"what is served already", "v1", func(*world) {}, "", ""},
	} {
		w := newWorld()
		tc.change(w)
		err := w.keeper().Refuse(t.Context(), "user:ann", "shop", tc.version)
		if tc.refused == "" && err != nil || tc.refused != "" && (!errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), tc.refused)) {
			t.Errorf("%s: %v, expected %q", tc.name, err, tc.refused)
		}
		event := ""
		if len(w.events) > 0 {
			event = w.events[0].Type
		}
		if event != tc.event || len(w.events) > 1 {
			t.Errorf("%s: %d events, %q, expected %q", tc.name, len(w.events), event, tc.event)
		}
	}
}

func TestABreakIsApproved(t *testing.T) {
	w := newWorld()
	w.calls = []Line{called("GET /old", "cart", "v3", 0, 5, time.Hour)}
	w.found = append(w.found, Found{Operation: "GET /new", Text: "requires more"})
	w.calls = append(w.calls, called("GET /new", "cart", "v3", 0, 5, time.Hour))
	k := w.keeper()
	for _, bad := range [][3]string{{"v2", "GET /old", " "}, {"v2", "", "why"}} {
		if _, err := k.Approve(t.Context(), "user:ann", "shop", bad[0], bad[1], bad[2]); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := k.Approve(t.Context(), "user:ann", "shop", "v9", "GET /old", "why"); !errs.Is(err, errs.Missing) {
		t.Errorf("no release: %v", err)
	}
	for range 2 { // a retry changes nothing
		if _, err := k.Approve(t.Context(), "user:ann", "shop", "v2", "GET /old", "it is gone"); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.events) != 1 || w.events[0].Type != "interface.approved" || w.events[0].Subject != "release/shop/v2" {
		t.Errorf("%+v", w.events)
	}
	r, err := k.Check(t.Context(), "shop", "v2")
	if err != nil || r.Passes || len(r.Breaks) != 2 || r.Breaks[0].Stops || !r.Breaks[1].Stops {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := k.Approve(t.Context(), "user:bob", "shop", "v2", "*", "all of it"); err != nil {
		t.Fatal(err)
	}
	if err := k.Refuse(t.Context(), "user:ann", "shop", "v2"); err != nil {
		t.Errorf("approved, and refused: %v", err)
	}
}

func TestWhoCallsWhat(t *testing.T) {
	w := newWorld()
	w.calls = []Line{called("GET /old", "cart", "v3", 10, 15, time.Hour), called("GET /new", "cart", "v3", 0, 2, time.Minute), called("GET /old", "cart", "v2", 0, 1, 2*time.Hour)}
	other := called("GET /old", "cart", "v3", 0, 4, 30*time.Minute)
	other.Labels["version"] = "v0"
	w.calls = append(w.calls, other)
	k := w.keeper()
	o, err := k.Show(t.Context(), "shop")
	if err != nil || !o.Known || len(o.Versions) != 1 || o.Versions[0].Operations != 2 || len(o.Operations) != 2 {
		t.Fatalf("%+v, %v", o, err)
	}
	old := o.Operations[0]
	if old.Name != "GET /old" || old.Deprecated.IsZero() || len(old.Callers) != 2 || old.Callers[0].Version != "v3" || !old.Callers[0].Last.Equal(now.Add(-30*time.Minute)) {
		t.Errorf("%+v", old)
	}
	if n := old.Callers[0].Requests; n != 4+15 { // the counter was not there when the window began
		t.Errorf("%d requests", n)
	}
}
