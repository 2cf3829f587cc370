package lab_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Two control planes look at a guardrail that is harmed: the run ends once, by nobody's hand, with what it was ended for.
func TestGuardrailEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		w.now = time.Now()
		run := w.begin("colour")
		w.come(run, 20000, worse)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 2 {
			l := lab.New(lab.Options{Store: w.store, Catalog: w.catalog, Events: &crowd{users: w.crowd.users}, Flags: w.flags})
			all.Go(func() { _ = l.Run(ctx) })
		}
		time.Sleep(10 * time.Minute)
		cancel()
		all.Wait()
		told := strings.Join(w.store.told(), ", ")
		if strings.Count(told, "experiment.ended system:lab") != 1 || !strings.HasSuffix(told, "experiment.ended system:lab") {
			t.Fatal(told)
		}
		r := w.read("colour")
		if r.Run.Phase != lab.Ended || r.Run.EndedBy != lab.Actor || r.Run.Ended.Sub(run.Started) > 2*time.Minute || len(w.flags.exposed) != 0 ||
			r.Run.Reason != "guardrail failure is harmed by variant green: everyone has what the flag gives without the experiment" {
			t.Errorf("%+v", r.Run)
		}
		if all, _, _ := w.Assignments(t.Context()); len(all) != 0 {
			t.Errorf("still assigned: %v", all)
		}
		evidenceOf(t, w.store.events[len(w.store.events)-1])
	})
}

func evidenceOf(t *testing.T, e audit.Event) {
	t.Helper()
	var data struct {
		Run    int
		Reason string
		Report experiment.Report
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		t.Fatal(err)
	}
	g := data.Report.Metrics[1]
	if data.Run != 1 || !strings.Contains(data.Reason, "failure") || g.Role != experiment.Guardrail || g.Treatments[0].State != experiment.Harmed || *g.Treatments[0].Value < 0.07 {
		t.Errorf("the record says %s", e.Data)
	}
}

// A flag that no longer gives what is compared ends the run.
func TestPulled(t *testing.T) {
	for why, pull := range map[string]func(w *world){
		"the flag was switched off":              func(w *world) { w.edit("state: ENABLED\n", "state: DISABLED\n") },
		"the flag has no variant green any more": func(w *world) { w.edit("green: g, red: r", "lime: g, red: r") },
		"the flag is not there any more":         func(w *world) { delete(w.catalog, resource.Key(resource.KindFlagSet, "shop")) },
		"the flag's set places users anew": func(w *world) {
			w.edit("environments: [production, staging]\n", "environments: [production, staging]\n  bucketing: v3\n")
		},
		"the flag is not there any more, in production": func(w *world) { w.edit("[production, staging]", "[staging]") },
	} {
		t.Run(why, func(t *testing.T) {
			w := begin(t)
			run := w.begin("colour")
			w.come(run, 1000, alike)
			w.look("colour")
			pull(w)
			w.look("colour")
			r := w.read("colour")
			want, _, _ := strings.Cut(why, ", in")
			if r.Run.Phase != lab.Ended || r.Run.EndedBy != lab.Actor || !strings.HasPrefix(r.Run.Reason, want) || r.Report.Progress.Users != 1000 {
				t.Errorf("%s, %q", r.Run.Phase, r.Run.Reason)
			}
		})
	}
}

func TestStopAndShip(t *testing.T) {
	w := begin(t)
	if _, err := w.Stop(t.Context(), "user:ann", "colour", "", "", w.now); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "has not begun") {
		t.Errorf("a draft: %v", err)
	}
	run := w.begin("colour")
	w.come(run, 60000, better)
	for ship, kind := range map[string]errs.Kind{"pink": errs.Invalid, "red": errs.Invalid} {
		if _, err := w.Stop(t.Context(), "user:ann", "colour", ship, "", w.now); !errs.Is(err, kind) || w.read("colour").Run.Phase != lab.Running {
			t.Errorf("ship %s: %v", ship, err)
		}
	}
	run, err := w.Stop(t.Context(), "user:ann", "colour", "green", "orders grow", w.now)
	if err != nil || run.Phase != lab.Ended || run.Shipped != "green" || run.EndedBy != "user:ann" || run.Reason != "orders grow" || run.Reading.Decision != experiment.Ship {
		t.Errorf("%+v, %v", run, err)
	}
	for range 2 { // asked again, nothing more is done
		if _, err := w.Stop(t.Context(), "user:ann", "colour", "green", "", w.now); err != nil {
			t.Error(err)
		}
	}
	if len(w.flags.exposed) != 1 || w.flags.exposed[0].Service != "flag:shop:button" || w.flags.exposed[0].Version != "green" {
		t.Errorf("exposed %+v", w.flags.exposed)
	}
	want := []string{"experiment.started user:ann", "experiment.ended user:ann", "experiment.shipped user:ann"}
	if diff := cmp.Diff(want, w.store.told()); diff != "" {
		t.Error(diff)
	}
}

// What cannot be shipped by rings ends nothing.
func TestShipNeedsAPlan(t *testing.T) {
	w := begin(t)
	w.catalog.apply(t, strings.NewReplacer("shop/button", "shop/other", "blue", `"off"`, "variant: green", `variant: "on"`).Replace(asking("x", "")))
	w.begin("x")
	_, err := w.Stop(t.Context(), "user:ann", "x", "on", "", w.now)
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "is not exposed by rings") || w.read("x").Run.Phase != lab.Running {
		t.Errorf("%v; it is %s", err, w.read("x").Run.Phase)
	}
}

// A rollout that is refused after the run has ended is told, and asked for again it is shipped.
func TestShipIsTriedAgain(t *testing.T) {
	w := begin(t)
	w.begin("colour")
	w.flags.err = errs.E(errs.Frozen, "it is Friday").Next("wait")
	_, err := w.Stop(t.Context(), "user:ann", "colour", "green", "", w.now)
	if !errs.Is(err, errs.Frozen) || !strings.Contains(err.Error(), "the experiment has ended, and green is not shown to everyone: it is Friday") || errs.HintOf(err) != "wait" {
		t.Errorf("got %v (%s)", err, errs.HintOf(err))
	}
	if r := w.read("colour"); r.Run.Phase != lab.Ended || r.Run.Shipped != "" {
		t.Errorf("%s, shipped %q", r.Run.Phase, r.Run.Shipped)
	}
	w.flags.err = nil
	if run, err := w.Stop(t.Context(), "user:bob", "colour", "green", "", w.now); err != nil || run.Shipped != "green" || run.EndedBy != "user:ann" {
		t.Errorf("%+v, %v", run, err)
	}
}

// A crash between the end, the rollout and the note of it: another control plane finishes what is asked for again.
func TestCrashes(t *testing.T) {
	crash := errors.New("crashed")
	for typ, exposed := range map[string]int{"experiment.ended": 1, "experiment.shipped": 2} {
		w := begin(t)
		w.begin("colour")
		w.store.before = func(write store.Write) error {
			if write.Events[0].Type == typ {
				return crash
			}
			return nil
		}
		if _, err := w.Stop(t.Context(), "user:ann", "colour", "green", "", w.now); !errors.Is(err, crash) {
			t.Fatalf("%s: %v", typ, err)
		}
		w.store.before = nil
		run, err := w.another().Stop(t.Context(), "user:ann", "colour", "green", "", w.now)
		if err != nil || run.Shipped != "green" || len(w.flags.exposed) != exposed {
			t.Errorf("%s: %+v, %v; exposed %d times", typ, run, err, len(w.flags.exposed))
		}
		if got := strings.Count(strings.Join(w.store.told(), " "), "experiment.ended"); got != 1 {
			t.Errorf("%s: ended %d times", typ, got)
		}
	}
}

// The loop may write a reading while somebody ends the run.
func TestStopBesideALook(t *testing.T) {
	w := begin(t)
	run := w.begin("colour")
	w.come(run, 1000, alike)
	w.store.before = func(store.Write) error {
		w.store.before = nil
		return w.another().Look(context.Background(), "colour", w.now)
	}
	if run, err := w.Stop(t.Context(), "user:ann", "colour", "", "enough", w.now); err != nil || run.Phase != lab.Ended {
		t.Errorf("%+v, %v", run, err)
	}
}

// What cannot be read ends all the same, with what it last came to.
func TestStopUnread(t *testing.T) {
	w := begin(t)
	run := w.begin("colour")
	w.come(run, 1000, alike)
	w.look("colour")
	w.crowd.err = errs.E(errs.Unavailable, "the disk is gone")
	if err := w.Look(t.Context(), "colour", w.now); !errs.Is(err, errs.Unavailable) {
		t.Errorf("look: %v", err)
	}
	run, err := w.Stop(t.Context(), "user:ann", "colour", "", "", w.now)
	if err != nil || run.Phase != lab.Ended || run.Report == nil || run.Report.Progress.Users != 1000 {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestHolds(t *testing.T) {
	w := begin(t)
	s := flag.Subject{Set: "shop", Key: "button", Environment: flag.Production}
	if err := w.Holds(t.Context(), s); err != nil {
		t.Error(err)
	}
	w.begin("colour")
	if err := w.Holds(t.Context(), s); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "experiment colour runs on flag shop/button") {
		t.Errorf("got %v", err)
	}
	s.Environment = "staging"
	if err := w.Holds(t.Context(), s); err != nil {
		t.Error(err)
	}
}
