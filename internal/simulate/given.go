package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// given says which parts of the plan are taken as given, and not tried.
func (w *world) given(c Case) []string {
	var out, outside, telling, halting []string
	for _, g := range c.Plan.Gates {
		switch {
		case !counted(g.Signal):
			outside = append(outside, fmt.Sprintf("%s (%s)", g.Name, g.Signal))
		case g.When == "before":
			outside = append(outside, g.Name+" (before a ring)")
		case g.Informing || g.OnFail == "notify":
			telling = append(telling, g.Name)
		case g.OnFail == "halt" || g.OnFail == "hold":
			halting = append(halting, g.Name)
		}
	}
	if len(outside) > 0 {
		out = append(out, fmt.Sprintf("Left out, as if they passed at once: %s. Only gates that count requests, errors and latency, are simulated; these may stop a release sooner, or a healthy one too.",
			strings.Join(outside, ", ")))
	}
	if len(telling) > 0 {
		out = append(out, fmt.Sprintf("Only told and never acted on: %s.", strings.Join(telling, ", ")))
	}
	if len(halting) > 0 {
		out = append(out, fmt.Sprintf("Halts or holds without taking the release back: %s. Those who have it keep it until a person acts; the users who meet it after the stop are not counted.", strings.Join(halting, ", ")))
	}
	for i, r := range w.plan.Rings {
		if !slices.ContainsFunc(w.plan.GatesIn(i, false), func(g rollout.Gate) bool { return !g.Informing }) {
			out = append(out, fmt.Sprintf("No gate decides in ring %s: a release waits there for ever.", r.Name))
		}
	}
	return append(out, w.waits(c)...)
}

// waits says which waiting counts as none.
func (w *world) waits(c Case) []string {
	var out []string
	if names := ringsWith(c, func(r resource.Ring) bool { return r.Approval != nil }); names != "" {
		out = append(out, "Approvals count as given at once: ring "+names+".")
	}
	if names := ringsWith(c, func(r resource.Ring) bool { return r.Hours != nil }); names != "" {
		out = append(out, "Hours count as open at all times: ring "+names+".")
	}
	names := ringsWith(c, func(r resource.Ring) bool { return r.CoverPeak })
	switch {
	case names == "":
	case w.swing == 0:
		out = append(out, fmt.Sprintf("The bake covers the peak: ring %s bakes for at least %s, as the traffic given has no peak.", names, span(day)))
	default:
		out = append(out, fmt.Sprintf("The bake covers the peak: ring %s bakes at least until the busiest hour of the day has passed, up to %s.", names, span(day+time.Hour)))
	}
	return out
}

func ringsWith(c Case, has func(resource.Ring) bool) string {
	var names []string
	for _, r := range c.Plan.Rings {
		if has(r) {
			names = append(names, r.Name)
		}
	}
	return strings.Join(names, ", ")
}
