package flag

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/exposure"
)

// Step is one thing that may decide what a user gets of a flag, in the order of Lower.
type Step struct {
	Name    string `json:"name" doc:"state, prerequisites, preview, ring, experiment, schedule, rule or default"`
	Says    string `json:"says" doc:"what it comes to for the user"`
	Decides bool   `json:"decides" doc:"it is the one that decides"`
}

// Steps says, in words, what is asked in turn for a user, as far as the one that decides. What it says of prerequisites is who is
// asked; their answer is in the evaluation. Users are placed as the flag's set says.
func (f *Definition) Steps(env string, b exposure.Bucketing, live Live, user *exposure.Context) []Step {
	var steps []Step
	add := func(name, says string, decides bool) bool {
		steps = append(steps, Step{name, says, decides})
		return decides
	}
	if f.Archived {
		add("state", "archived: the caller's own default is used", true)
		return steps
	}
	if !f.EnabledIn(env) {
		add("state", "disabled in "+env+": the caller's own default is used", true)
		return steps
	}
	for _, p := range f.Prerequisites {
		add("prerequisites", fmt.Sprintf("flag %s has to give %s", p.Flag, strings.Join(p.Variants, " or ")), false)
	}
	if c, ok := live.Choices[f.Key]; ok && f.Preview != nil {
		if slices.Contains(c.In, user.TargetingKey) && add("preview", "the user opted in: variant "+f.Preview.Variant, true) {
			return steps
		}
		if slices.Contains(c.Out, user.TargetingKey) && add("preview", "the user opted out: the default variant", true) {
			return steps
		}
	}
	if e, ok := live.Exposures[f.Key]; ok && add("ring", e.says(user), e.decides(user)) {
		return steps
	}
	if a, ok := live.Experiments[f.Key]; ok {
		if variant := a.gives(f.Key, b, user); variant != "" && add("experiment", "the user takes part in experiment "+a.Experiment+": variant "+variant, true) {
			return steps
		}
		add("experiment", "the user takes no part in experiment "+a.Experiment, false)
	}
	for _, w := range f.Schedule {
		if now := user.Timestamp; (w.From.IsZero() || now >= w.From.Unix()) && (w.Until.IsZero() || now < w.Until.Unix()) {
			add("schedule", "in a window of its schedule: variant "+w.Variant, true)
			return steps
		}
	}
	if f.targetingIn(env) != nil {
		add("rule", "the flag's own rule, and where it chooses nothing the default variant", true)
		return steps
	}
	says := "the default variant " + f.DefaultIn(env)
	if f.DefaultIn(env) == "" {
		says = "there is no default variant: the caller's own default is used"
	}
	add("default", says, true)
	return steps
}

// gives is what an experiment gives a user; "" for who takes no part.
func (a Assignment) gives(key string, b exposure.Bucketing, user *exposure.Context) string {
	who, err := a.Compile(key, b)
	if err != nil {
		return ""
	}
	variant, _ := who.Of(user)
	return variant
}

// gives is what an exposure gives a user; "" for what the flag gives without it.
func (e Exposure) gives(user *exposure.Context) (ring string, side Side, variant string) {
	s, err := e.Compile()
	if err != nil {
		return "", None, ""
	}
	i, side := s.Of(user)
	if i < 0 || i >= len(e.Variants) {
		return "", None, ""
	}
	if variant = e.Variants[i]; side == Treatment {
		variant = e.Trial.Variant
	}
	return s.Ring(i), side, variant
}

func (e Exposure) decides(user *exposure.Context) bool {
	_, _, variant := e.gives(user)
	return variant != ""
}

func (e Exposure) says(user *exposure.Context) string {
	ring, side, variant := e.gives(user)
	switch {
	case ring == "":
		return "the user is in no ring"
	case side == Control:
		return "in ring " + ring + ", which is in trial, the user is of those who go without for comparison"
	case side == Treatment:
		return "in ring " + ring + ", which is in trial, the user is of those who get variant " + variant
	case variant == "":
		return "ring " + ring + " does not have it yet"
	}
	return "ring " + ring + " has variant " + variant
}
