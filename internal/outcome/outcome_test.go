package outcome

import (
	"context"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world has one release and what users did.
type world struct {
	release resource.Release
	answer  Answer
	asked   Question
}

func (w *world) Release(_ context.Context, _, version string) (resource.Release, error) {
	if version != "v2" {
		return resource.Release{}, errs.E(errs.Missing, "none")
	}
	return w.release, nil
}

func (w *world) Sum(_ context.Context, q Question) (Answer, error) {
	w.asked = q
	return w.answer, nil
}

func state() rollout.State {
	return rollout.State{ID: "shop-2", Service: "shop", From: "v1", To: "v2", Ring: 2, Phase: rollout.Baking,
		Rings:   []rollout.Ring{{Name: "canary"}, {Name: "half"}, {Name: "all"}},
		Members: []fleet.Ring{{Name: "canary", Audience: []byte(`true`)}, {Name: "half", Percent: 50}, {Name: "all"}},
		Stages: []rollout.Stage{{Ring: "canary", Baking: start, Left: start.Add(time.Hour)}, {Ring: "half", Baking: start.Add(time.Hour), Left: start.Add(2 * time.Hour)},
			{Ring: "all", Baking: start.Add(2 * time.Hour)}}}
}

func TestOutcome(t *testing.T) {
	for name, tt := range map[string]struct {
		before, now         float64 // of 1000 users each
		direction, expected string
	}{
		"more":                {100, 200, "", Confirmed},
		"less":                {200, 100, "", Refuted},
		"less, as was wanted": {200, 100, "decrease", Confirmed},
		"about as many":       {100, 105, "", Open},
	} {
		w := &world{release: resource.Release{Hypothesis: "sells more", Metric: &resource.ExperimentMetric{Event: "purchase", Direction: tt.direction}}}
		w.answer = Answer{Versions: []experiment.Summary{experiment.ProportionOf("v1", 1000, tt.before), experiment.ProportionOf("v2", 1000, tt.now)}, Several: 3}
		r, err := Outcomes{w, w}.Of(t.Context(), state(), start.Add(5*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict != tt.expected || r.Effect == nil || *r.Low > *r.Effect || *r.High < *r.Effect || r.Ring != "half" || r.Caution == "" || r.Several != 3 {
			t.Errorf("%s: %+v", name, r)
		}
		if w.asked.Flag != "release:shop" || !w.asked.Since.Equal(start.Add(time.Hour)) || !w.asked.Until.Equal(start.Add(2*time.Hour)) {
			t.Errorf("%s: asked %+v", name, w.asked)
		}
	}
}

func TestNothingToSay(t *testing.T) {
	metric := &resource.ExperimentMetric{Event: "purchase"}
	few := []experiment.Summary{experiment.ProportionOf("v1", 5, 1), experiment.ProportionOf("v2", 3, 2)}
	first, canaryOnly := state(), state()
	first.From, first.Stages = "", nil
	canaryOnly.Stages = canaryOnly.Stages[:1]
	canaryOnly.Stages[0].Baking = time.Time{}
	for name, tt := range map[string]struct {
		release resource.Release
		state   rollout.State
		some    bool
	}{
		"nothing is stated": {resource.Release{}, state(), false},
		"no metric":         {resource.Release{Hypothesis: "is nicer"}, state(), true},
		"the first":         {resource.Release{Metric: metric}, first, true},
		"nobody had both":   {resource.Release{Metric: metric}, canaryOnly, true},
		"too few":           {resource.Release{Metric: metric}, state(), true},
	} {
		w := &world{release: tt.release, answer: Answer{Versions: few}}
		r, err := Outcomes{w, w}.Of(t.Context(), tt.state, start.Add(3*time.Hour))
		if err != nil || (r != nil) != tt.some || r != nil && (r.Verdict != Open || r.Says == "" || r.Effect != nil) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	w := &world{}
	s := state()
	s.To = "v3" // whose release is gone
	if r, err := (Outcomes{w, w}).Of(t.Context(), s, start); r != nil || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
}
