package replay

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// world is a service of which 10 % of the requests go to a new version, as the metrics tell of it.
type world struct {
	every time.Duration
	bad   func(at time.Duration) int64 // of 50 requests to the new version in a sample
}

func (w world) Counts(_ context.Context, _, _, _, over string, from, to time.Time) ([]health.Sample, []time.Time, error) {
	var samples []health.Sample
	var times []time.Time
	for at := from.Truncate(w.every).Add(w.every); !at.After(to); at = at.Add(w.every) {
		c := health.Counts{Requests: 50}
		if over == "" {
			c.Bad = w.bad(at.Sub(start))
		}
		samples = append(samples, health.Sample{Canary: &c, Stable: &health.Counts{Requests: 450, Bad: 2}})
		times = append(times, at)
	}
	return samples, times, nil
}

func (w world) Histograms(_ context.Context, _, _, _ string, from, to time.Time) ([]health.HistogramSample, []time.Time, error) {
	var samples []health.HistogramSample
	var times []time.Time
	for at := from.Truncate(w.every).Add(w.every); !at.After(to); at = at.Add(w.every) {
		samples = append(samples, health.HistogramSample{Bounds: []float64{0.1, 1}, Canary: &health.Histogram{Counts: []int64{40, 10, 0}}, Stable: &health.Histogram{Counts: []int64{440, 10, 0}}})
		times = append(times, at)
	}
	return samples, times, nil
}

func plan(gates ...resource.Gate) resource.RingPlan {
	percent := 10.0
	return resource.RingPlan{Gates: gates, Rings: []resource.Ring{{Name: "early", Audience: resource.Audience{Percent: &percent}, Bake: fleet.Dur(time.Hour)}, {Name: "all", Bake: fleet.Dur(time.Hour)}}}.Defaults()
}

// lived lets a rollout live through the world, asked each second, with what people do at given times.
func lived(t *testing.T, w world, p resource.RingPlan, acts map[time.Duration]rollout.Verb, length time.Duration) (rollout.State, []audit.Event) {
	t.Helper()
	s := rollout.Planned(resource.Resolved{Name: "shop", Plan: "p", Rings: p.Rings, Gates: p.Gates, Exposure: []fleet.Ring{{Name: "early", Percent: 10}, {Name: "all"}}})
	s.ID, s.Service, s.From, s.To, s.By = "shop-2", "shop", "v1", "v2", "user:ann"
	s, first := rollout.Start(s, start)
	var record []audit.Event
	note := func(events ...rollout.Event) {
		for _, e := range events {
			actor := e.Actor
			if actor == "" {
				actor = "system:controller"
			}
			a, err := audit.New(e.Time, e.Type, actor, "rollout/"+s.ID, e)
			if err != nil {
				t.Fatal(err)
			}
			record = append(record, a)
		}
	}
	note(first)
	ready := rollout.Instances{Ready: 1, Wanted: 1}
	var trials []rollout.Trial
	read, stages := start, 0
	for at := time.Duration(0); at <= length && !s.Phase.Ended(); at += time.Second {
		now := start.Add(at)
		if verb, ok := acts[at]; ok {
			events, err := rollout.Command(s, verb, "user:ann", "because", now)
			if err != nil {
				t.Fatal(err)
			}
			note(events...)
			s = rollout.FoldAll(s, events)
		}
		ev := rollout.Evidence{Seen: true, InForce: true, To: ready, From: ready, Users: 7}
		if len(s.Stages) > stages {
			stages, read, trials = len(s.Stages), now, s.Trials(s.Ring, false)
		}
		for i := range trials {
			samples, times, _ := w.Counts(t.Context(), "", "", "", trials[i].Gate.Over, read, now)
			for k := range samples {
				if err := trials[i].Add(samples[k]); err != nil {
					t.Fatal(err)
				}
				if i == len(trials)-1 {
					read = times[k]
				}
			}
			ev.Gates = append(ev.Gates, trials[i].Judgement())
		}
		for events := rollout.Next(s, ev, now); len(events) > 0 && len(s.Stages) == stages; events = rollout.Next(s, ev, now) {
			note(events...)
			s = rollout.FoldAll(s, events)
		}
	}
	return s, record
}

func gathered(t *testing.T, w world, s rollout.State, events []audit.Event) Evidence {
	t.Helper()
	ev, err := Gather(t.Context(), w, s, events, false, start.Add(3*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(ev) // as it comes from a server or a file
	if err != nil {
		t.Fatal(err)
	}
	var back Evidence
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func decidedAgain(t *testing.T, ev Evidence, gates ...resource.Gate) Report {
	t.Helper()
	var others []rollout.Gate
	if len(gates) > 0 {
		others = GatesOf(plan(gates...))
	}
	r, err := Run(ev, others)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func usual(time.Duration) int64 { return 0 }

// worse has six errors in 50 requests from a time on.
func worse(from time.Duration) func(time.Duration) int64 {
	return func(at time.Duration) int64 {
		if at > from {
			return 6
		}
		return 0
	}
}

// Whatever the traffic and the gate, a rollout that nobody touched comes out as it did, to the second.
func TestTheSameGatesDecideTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		level := rapid.Float64Range(0, 0.05).Draw(rt, "level")
		w := world{every: 5 * time.Second, bad: func(at time.Duration) (n int64) {
			rng := rand.New(rand.NewPCG(seed, uint64(at)))
			for range 50 {
				if rng.Float64() < level {
					n++
				}
			}
			return n
		}}
		rng := rand.New(rand.NewPCG(seed, 1))
		gate := resource.Gate{Signal: "errors", MaxRatio: 1 + rng.Float64()*3, OnFail: rapid.SampledFrom([]string{"rollback", "halt", "hold", "notify"}).Draw(rt, "onFail")}
		p := plan(gate)
		p.Rings[0].Bake, p.Rings[1].Bake = fleet.Dur(5*time.Minute), fleet.Dur(5*time.Minute)
		s, events := lived(t, w, p, nil, 15*time.Minute)
		for _, r := range decidedAgain(t, gathered(t, w, s, events)).Rings {
			if r.Change != "same" || r.Seconds > 1 || r.Seconds < -1 {
				rt.Errorf("ring %s: then %+v, now %+v", r.Name, r.Then, r.Now)
			}
		}
	})
}

func TestOtherGates(t *testing.T) {
	sick := world{5 * time.Second, worse(10 * time.Minute)}
	s, events := lived(t, sick, plan(resource.Gate{Signal: "errors", MaxRatio: 4}), nil, 3*time.Hour)
	ev := gathered(t, sick, s, events)
	if r := decidedAgain(t, ev).Rings[0]; r.Then.What != RolledBack || r.Users != 7 {
		t.Fatalf("ring: %+v", r)
	}
	strict := decidedAgain(t, ev, resource.Gate{Signal: "errors", Alpha: 0.2}).Rings[0]
	if strict.Now.What != RolledBack || strict.Change == "later" || strict.Seconds > 0 {
		t.Errorf("a stricter gate: %+v", strict)
	}
	blind := decidedAgain(t, ev, resource.Gate{Signal: "errors", MaxRatio: 100, MaxShare: 1}).Rings[0]
	if blind.Now.What != Waiting || blind.Change != "other" || !strings.Contains(blind.Now.Why, "baking for another") {
		t.Errorf("a blind gate: %+v", blind)
	}
	well := world{5 * time.Second, usual}
	s, events = lived(t, well, plan(resource.Gate{Signal: "errors"}), nil, 3*time.Hour)
	ev = gathered(t, well, s, events)
	r := decidedAgain(t, ev, resource.Gate{Signal: "errors", MaxShare: 0.000001, Compare: "none", Alpha: 0.2}, resource.Gate{Signal: "errors", Name: "more", MinRequests: 1_000_000})
	if first := r.Rings[0]; first.Now.What != Waiting || !strings.Contains(first.Now.Why, "are needed") {
		t.Errorf("more requests than came: %+v", first)
	}
}

// A gate that asks for less lets a release pass sooner, and not only by what a look takes.
func TestSoonerAndLater(t *testing.T) {
	w := world{5 * time.Second, usual}
	p := plan(resource.Gate{Signal: "errors", MinRequests: 30_000}) // 50 minutes
	p.Rings[0].Bake, p.Rings[1].Bake = fleet.Dur(time.Minute), fleet.Dur(time.Minute)
	s, events := lived(t, w, p, nil, 3*time.Hour)
	ev := gathered(t, w, s, events)
	for requests, want := range map[int64]string{15_000: "earlier", 30_000: "same", 30_020: "same"} {
		r := decidedAgain(t, ev, resource.Gate{Signal: "errors", MinRequests: requests}).Rings[0]
		if r.Change != want && !(requests > 30_000 && r.Now.What == Waiting) {
			t.Errorf("%d requests: %+v", requests, r)
		}
	}
	if r := decidedAgain(t, ev, resource.Gate{Signal: "errors", MinRequests: 15_000}).Rings[0]; r.Seconds != -25*60 {
		t.Errorf("earlier by %v s, expected 25 minutes", -r.Seconds)
	}
}

// After a stop the rings beyond it are not reached, and a halted rollout stands where it is.
func TestAfterAStopNothingIsReached(t *testing.T) {
	w := world{5 * time.Second, func(time.Duration) int64 { return 1 }} // 2 %, beside 0.44 %
	s, events := lived(t, w, plan(resource.Gate{Signal: "errors", MaxRatio: 10}), nil, 3*time.Hour)
	if s.Phase != rollout.Succeeded {
		t.Fatalf("phase %s", s.Phase)
	}
	ev := gathered(t, w, s, events)
	for onFail, want := range map[string]string{"rollback": RolledBack, "halt": Halted} {
		r := decidedAgain(t, ev, resource.Gate{Signal: "errors", OnFail: onFail})
		if r.Rings[0].Now.What != want || r.Rings[1].Now.What != Unreached || r.Rings[1].Then.What != Passed {
			t.Errorf("%s: %+v", onFail, r.Rings)
		}
	}
}

// What people did is done again, and what waited for something else than the gates waits as long.
func TestPeopleAndOtherWaits(t *testing.T) {
	w := world{5 * time.Second, usual}
	acts := map[time.Duration]rollout.Verb{10 * time.Minute: rollout.Pause, 90 * time.Minute: rollout.Resume, 100 * time.Minute: rollout.Promote}
	s, events := lived(t, w, plan(resource.Gate{Signal: "errors"}), acts, 3*time.Hour)
	ev := gathered(t, w, s, events)
	for _, r := range decidedAgain(t, ev).Rings {
		if r.Change != "same" || len(r.Notes) != 0 {
			t.Errorf("%+v", r)
		}
	}
	ev.Rollout.Rings[0].Bake = fleet.Dur(20 * time.Minute) // as if it had waited for an approval
	ev.Events = ev.Events[:0:0]
	for _, e := range events {
		if e.Type != rollout.EvPaused && e.Type != rollout.EvResumed {
			ev.Events = append(ev.Events, e)
		}
	}
	r := decidedAgain(t, ev, resource.Gate{Signal: "errors", MinRequests: 100}).Rings[0]
	if r.Change != "same" || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "content at") {
		t.Errorf("%+v", r)
	}
}

func TestWhatWasNotRecordedIsRefused(t *testing.T) {
	w := world{5 * time.Second, usual}
	s, events := lived(t, w, plan(resource.Gate{Signal: "errors"}), nil, 3*time.Hour)
	ev := gathered(t, w, s, events)
	for words, gate := range map[string]resource.Gate{
		"longer than 0.2 s was not counted in this rollout, only errors": {Signal: "latency", Over: fleet.Dur(200 * time.Millisecond)},
		"holds no histograms": {Signal: "quantile"},
	} {
		if _, err := Run(ev, GatesOf(plan(gate))); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	limit := 1.0
	if r := decidedAgain(t, ev, resource.Gate{Signal: "errors"}, resource.Gate{Signal: "query", Query: "up", Max: &limit}); len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "counts as passed") {
		t.Errorf("notes %q", r.Notes)
	}
	ev.Stages = ev.Stages[:1]
	if _, err := Run(ev, nil); !errs.Is(err, errs.Invalid) {
		t.Errorf("a stage less: %v", err)
	}
	if _, err := Run(Evidence{}, nil); !errs.Is(err, errs.Invalid) {
		t.Errorf("nothing: %v", err)
	}
	s.From = ""
	if _, err := Gather(t.Context(), w, s, nil, false, start); !errs.Is(err, errs.Conflict) {
		t.Errorf("a first release: %v", err)
	}
}

// gone are metrics that hold nothing any more.
type gone struct{ world }

func (gone) Counts(context.Context, string, string, string, string, time.Time, time.Time) ([]health.Sample, []time.Time, error) {
	return nil, nil, nil
}

func TestLostEvidenceIsSaid(t *testing.T) {
	w := world{5 * time.Second, usual}
	s, events := lived(t, w, plan(resource.Gate{Signal: "errors"}), nil, 3*time.Hour)
	ev := gathered(t, w, s, events)
	if ev.Stages[0].Lost() {
		t.Errorf("notes %q", ev.Stages[0].Notes)
	}
	ev, err := Gather(t.Context(), gone{w}, s, events, false, start)
	if err != nil || !ev.Stages[0].Lost() {
		t.Errorf("%v, notes %q", err, ev.Stages[0].Notes)
	}
	if r := decidedAgain(t, ev).Rings[0]; r.Now.What != Waiting || len(r.Notes) == 0 {
		t.Errorf("%+v", r)
	}
}

// Long stages are thinned out, and lose no request.
func TestThinning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, gaps := rapid.IntRange(1, 60_000).Draw(rt, "samples"), rapid.IntRange(2, 2000).Draw(rt, "gaps")
		var all thinned
		for i := range n {
			s := health.Sample{Canary: &health.Counts{Requests: 3, Bad: 1}, Stable: &health.Counts{Requests: 5}}
			if i%gaps == 0 {
				s.Canary = nil
			}
			all.add(Counts{start.Add(time.Duration(i) * time.Second), s})
		}
		var canary, stable int64
		for i, s := range all.samples {
			if s.Canary != nil {
				canary += s.Canary.Requests
			}
			stable += s.Stable.Requests
			if i > 0 && !s.At.After(all.samples[i-1].At) {
				rt.Fatalf("sample %d is not after the one before", i)
			}
		}
		if want := int64(n - (n+gaps-1)/gaps); canary != 3*want || stable != 5*int64(n) || len(all.samples) > maxSamples {
			rt.Errorf("%d samples, canary %d of %d, stable %d", len(all.samples), canary, 3*want, stable)
		}
		if !all.samples[len(all.samples)-1].At.Equal(start.Add(time.Duration(n-1) * time.Second)) {
			rt.Error("the last sample is not the last")
		}
	})
}

func TestHistogramsAreAddedUp(t *testing.T) {
	var all heaps
	for i := range 3 * maxHistograms {
		l := Latencies{At: start.Add(time.Duration(i) * time.Second)}
		l.Bounds = [][]float64{{0.1, 1}, {0.2}}[i%2]
		l.Canary = &health.Histogram{Counts: [][]int64{{1, 2, 3}, {4, 5}}[i%2]}
		all.add(l)
	}
	sums := map[float64]int64{}
	for _, s := range all.samples {
		for i, n := range s.Canary.Counts {
			upper := 0.0 // of the last
			if i < len(s.Bounds) {
				upper = s.Bounds[i]
			}
			sums[upper] += n
		}
	}
	half := int64(3 * maxHistograms / 2)
	if len(all.samples) > maxHistograms || sums[0.1] != half || sums[0.2] != 4*half || sums[1] != 2*half || sums[0] != 8*half {
		t.Errorf("%d samples, sums %v", len(all.samples), sums)
	}
}
