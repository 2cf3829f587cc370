package lab_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

func TestStartRefuses(t *testing.T) {
	on := func(name, flag, variants, more string) string {
		return strings.NewReplacer("shop/button", flag, "[{variant: blue}, {variant: green}]", variants).Replace(asking(name, more))
	}
	const onOff = `[{variant: "off"}, {variant: "on"}]`
	for name, c := range map[string]struct {
		declare string // in place of the experiment, which is named x
		given   func(w *world)
		kind    errs.Kind
		words   string
	}{
		"no such experiment": {kind: errs.Missing, words: `no Experiment "x"`},
		"no such set":        {declare: on("x", "gone/button", onOff, ""), kind: errs.Missing, words: `no FlagSet "gone"`},
		"no such flag":       {declare: on("x", "shop/gone", onOff, ""), kind: errs.Missing, words: "no flag shop/gone in environment production"},
		"no such place":      {declare: asking("x", "environment: moon"), kind: errs.Missing, words: "no flag shop/button in environment moon"},
		"disabled":           {declare: on("x", "shop/dark", onOff, ""), kind: errs.Conflict, words: "flag shop/dark is disabled or archived in production"},
		"unknown variant":    {declare: on("x", "shop/other", `[{variant: "off"}, {variant: pink}]`, ""), kind: errs.Invalid, words: `spec.variants[1]: flag shop/other has no variant "pink", it has [off on]`},
		"in flight":          {declare: asking("x", ""), given: func(w *world) { w.flags.inFlight = "flag:shop:button-7" }, kind: errs.Conflict, words: "rollout flag:shop:button-7 of the flag is in flight"},
		"already shown":      {declare: asking("x", ""), given: func(w *world) { w.flags.variant = "green" }, kind: errs.Conflict, words: "everyone has variant green of the flag by a rollout"},
		"welch, no plan":     {declare: asking("x", "method: welch"), kind: errs.Invalid, words: "none is planned"},
		"the same flag":      {declare: asking("x", ""), given: func(w *world) { w.begin("colour") }, kind: errs.Conflict, words: "experiment colour runs on flag shop/button already"},
		"the same key":       {declare: on("x", "pay/button", "[{variant: blue}, {variant: green}]", ""), given: func(w *world) { w.begin("colour") }, kind: errs.Conflict, words: "a flag of the same key button"},
		"users of a group": {declare: on("x", "shop/other", onOff, "group: {name: front, from: 40, to: 90}"), given: func(w *world) {
			w.catalog.apply(w.t, asking("colour", "group: {name: front, from: 0, to: 50}"))
			w.begin("colour")
		}, kind: errs.Conflict, words: "experiment colour has the users from 0 to 50 % of group front"},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t)
			if c.declare != "" {
				w.catalog.apply(t, c.declare)
			}
			if c.given != nil {
				c.given(w)
			}
			told := len(w.store.events)
			_, err := w.Start(t.Context(), "user:ann", "x", nil, w.now)
			if !errs.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.words) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.words)
			}
			if len(w.store.events) != told {
				t.Errorf("it is on the record: %v", w.store.told())
			}
		})
	}
}

// What does not get in each other's way runs side by side.
func TestStartBesides(t *testing.T) {
	for name, more := range map[string]string{
		"the rest of the group": "group: {name: front, from: 50, to: 100}",
		"what was before it":    "group: {name: front, from: 0, to: 10}",
		"another group":         "group: {name: back, from: 0, to: 100}",
		"no group":              "",
	} {
		w := begin(t)
		w.catalog.apply(t, asking("colour", "group: {name: front, from: 10, to: 50}"))
		w.begin("colour")
		w.catalog.apply(t, strings.NewReplacer("shop/button", "shop/other", "blue", `"off"`, "variant: green", `variant: "on"`).Replace(asking("x", more)))
		if _, err := w.Start(t.Context(), "user:ann", "x", nil, w.now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := begin(t)
	w.begin("colour")
	w.catalog.apply(t, asking("x", "environment: staging"))
	w.begin("x")
	all, version, err := w.Assignments(t.Context())
	if err != nil || len(all) != 2 || all["flag:shop:button"].Experiment != "colour" || all["flag:shop:button:staging"].Experiment != "x" || version == "" {
		t.Errorf("%v, %q, %v", all, version, err)
	}
}

// Asking again for what runs is answered with that; a run after it places its users anew.
func TestStartAgain(t *testing.T) {
	w := begin(t)
	first := w.begin("colour")
	w.now = w.now.Add(1000)
	if again := w.begin("colour"); !again.Started.Equal(first.Started) || again.Number != 1 {
		t.Errorf("asked again: run %d of %s", again.Number, again.Started)
	}
	if _, err := w.Stop(t.Context(), "user:ann", "colour", "", "", w.now); err != nil {
		t.Fatal(err)
	}
	second := w.begin("colour")
	if second.Number != 2 || second.Assignment.Salt == first.Assignment.Salt {
		t.Errorf("the second is number %d with salt %q", second.Number, second.Assignment.Salt)
	}
	a, _ := first.Assignment.Compile("button", first.Bucketing)
	b, _ := second.Assignment.Compile("button", second.Bucketing)
	const users = 10000
	same := 0
	for i := range users {
		ctx := &exposure.Context{TargetingKey: fmt.Sprint(i)}
		x, _ := a.Of(ctx)
		y, _ := b.Of(ctx)
		if x == y {
			same++
		}
	}
	if same < users*48/100 || same > users*52/100 {
		t.Errorf("%d of %d users have the same variant in both runs, expected half", same, users)
	}
	want := []string{"experiment.started user:ann", "experiment.ended user:ann", "experiment.started user:ann"}
	if diff := cmp.Diff(want, w.store.told()); diff != "" {
		t.Error(diff)
	}
}

// Of two control planes that begin at the same time one is faster; the other judges again.
func TestStartsOfTwoControlPlanes(t *testing.T) {
	meanwhile := func(w *world, name string) {
		w.store.before = func(store.Write) error {
			w.store.before = nil
			_, err := w.another().Start(context.Background(), "user:bob", name, nil, w.now)
			return err
		}
	}
	t.Run("the same", func(t *testing.T) {
		w := begin(t)
		meanwhile(w, "colour")
		if run := w.begin("colour"); run.By != "user:bob" || run.Number != 1 {
			t.Errorf("run %d by %s", run.Number, run.By)
		}
	})
	t.Run("on the same flag", func(t *testing.T) {
		w := begin(t)
		w.catalog.apply(t, asking("x", ""))
		meanwhile(w, "x")
		_, err := w.Start(t.Context(), "user:ann", "colour", nil, w.now)
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "experiment x runs on flag shop/button already") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPlannedSize(t *testing.T) {
	for name, c := range map[string]struct {
		more     string
		baseline *lab.Baseline
		least    int64
		most     int64
	}{
		"nothing is known":     {"", nil, 0, 0},
		"by the declaration":   {"users: 700", nil, 1400, 1400},
		"that goes first":      {"users: 700", &lab.Baseline{Mean: 0.1}, 1400, 1400},
		"by a share":           {"", &lab.Baseline{Mean: 0.1}, 200_000, 400_000}, // 5 % of 10 %: Welch alone needs 115,000
		"welch":                {"method: welch", &lab.Baseline{Mean: 0.1}, 105_000, 125_000},
		"a share seldom":       {"", &lab.Baseline{Mean: 0.01}, 2_000_000, 5_000_000},
		"welch, more power":    {"method: welch\npower: 0.95", &lab.Baseline{Mean: 0.1}, 180_000, 210_000},
		"welch, fewer mistake": {"method: welch\nalpha: 0.01", &lab.Baseline{Mean: 0.1}, 160_000, 190_000},
	} {
		w := begin(t)
		w.catalog.apply(t, asking("x", c.more))
		run, err := w.Start(t.Context(), "user:ann", "x", c.baseline, w.now)
		if err != nil || run.Planned < c.least || run.Planned > c.most {
			t.Errorf("%s: %d planned, expected %d to %d; %v", name, run.Planned, c.least, c.most, err)
		}
	}
	w := begin(t)
	if _, err := w.Start(t.Context(), "user:ann", "colour", &lab.Baseline{Mean: 2}, w.now); !errs.Is(err, errs.Invalid) {
		t.Errorf("a share of 2: %v", err)
	}
}

func TestParticipants(t *testing.T) {
	w := begin(t)
	w.catalog.apply(t, asking("x", `audience: {segment: germans}
share: 50
group: {name: front, from: 20, to: 60}
holdout: {name: year, percent: 10}`))
	run := w.begin("x")
	who, err := run.Assignment.Compile("button", run.Bucketing)
	if err != nil {
		t.Fatal(err)
	}
	const users = 40000
	in := map[string]int{}
	for i := range users {
		key := fmt.Sprint("u", i)
		if _, ok := who.Of(&exposure.Context{TargetingKey: key, Attributes: map[string]any{"country": "FR"}}); ok {
			t.Fatal("a user outside the audience takes part")
		}
		if v, ok := who.Of(&exposure.Context{TargetingKey: key, Attributes: map[string]any{"country": "DE"}}); ok {
			in[v]++
		}
	}
	// 50 % of the 40 % of the group that are not among the 10 % held out, half of them each.
	if want := users * 9 / 100; in["blue"] < want*93/100 || in["blue"] > want*107/100 || in["green"] < want*93/100 || in["green"] > want*107/100 {
		t.Errorf("%v take part, expected about %d of each", in, want)
	}
	// A segment that changes is for the next run.
	w.catalog.apply(t, `apiVersion: ringfence.dev/v1
kind: Segment
metadata: {name: germans}
spec: {audience: {rule: {"==": [{var: country}, FR]}}}
`)
	if r := w.read("x"); string(r.Run.Assignment.Audience) != string(run.Assignment.Audience) {
		t.Errorf("the audience is now %s", r.Run.Assignment.Audience)
	}
}

func TestInUse(t *testing.T) {
	w := begin(t)
	inUse := func() error { return w.InUse(t.Context(), resource.KindExperiment, "colour") }
	if err := inUse(); err != nil {
		t.Error(err)
	}
	w.begin("colour")
	if err := inUse(); !errs.Is(err, errs.Conflict) || !strings.Contains(errs.HintOf(err), "ringfence experiment stop colour") {
		t.Errorf("got %v", err)
	}
	if err := w.InUse(t.Context(), resource.KindSegment, "colour"); err != nil {
		t.Error(err)
	}
	if _, err := w.Stop(t.Context(), "user:ann", "colour", "", "", w.now); err != nil {
		t.Fatal(err)
	}
	if err := inUse(); err != nil {
		t.Error(err)
	}
}
