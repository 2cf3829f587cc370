package simulate

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// advise says in sentences what the plan lacks, and what it has to spare.
func (w *world) advise(c Case, r Report) []string {
	advice := []string{}
	add := func(format string, args ...any) { advice = append(advice, fmt.Sprintf(format, args...)) }
	for _, signal := range slices.Sorted(maps.Keys(c.Regression)) {
		if !slices.ContainsFunc(r.Signals, func(s Signal) bool { return s.Signal == signal }) {
			add("No gate looks at %s: a regression of it alone is never seen. Add a gate for it.", signal)
		}
	}
	advice = append(advice, w.floors()...)
	advice = append(advice, w.given(c)...)
	tolerated := len(r.Needs) > 0 && !slices.ContainsFunc(r.Needs, func(n Need) bool { return w.visible(w.ring(n.Ring)) })
	if tolerated {
		add("The gates tolerate this regression: it is within their maxRatio and maxShare, so no bake, size or traffic shows it.")
	}
	for _, n := range r.Needs {
		if s := w.sentence(n); s != "" && !tolerated {
			advice = append(advice, s)
		}
	}
	if missed := 1 - r.Regression.DetectedShare - r.Regression.HeldShare; missed > 1-Power {
		s := percent(missed) + " of such releases reach everyone unseen."
		if last := len(w.shares) - 1; !w.visible(last) {
			s += fmt.Sprintf(" In ring %s nobody is left to compare with: only a maxShare below the regression would still see it there.", w.plan.Rings[last].Name)
		}
		add("%s", s)
	}
	return advice
}

func (w *world) ring(name string) int {
	for i, r := range w.plan.Rings {
		if r.Name == name {
			return i
		}
	}
	return 0
}

// floors names the rings in which the requests that gates ask for come later than the bake ends.
func (w *world) floors() []string {
	var out []string
	for i, r := range w.plan.Rings {
		floor := w.floor(i, w.shares[i])
		rate := w.traffic * w.shares[i]
		wait := float64(floor) / rate
		switch {
		case float64(r.MinUsers) > math.Round(w.shares[i]*w.users):
			out = append(out, fmt.Sprintf("Ring %s asks for %d users and has no more than %.0f: a release waits there for ever.", r.Name, r.MinUsers, w.shares[i]*w.users))
		case wait > (w.bake(i) + patience).Seconds():
			out = append(out, fmt.Sprintf("Ring %s does not get the %d requests that it asks for: a release waits there for ever. Give it more users, or it and its gates a smaller minRequests.",
				r.Name, floor))
		case wait > w.bake(i).Seconds():
			out = append(out, fmt.Sprintf("Ring %s gets the %d requests that it asks for after %s, later than its bake of %s ends.",
				r.Name, floor, span(time.Duration(wait*float64(time.Second))), fleet.Dur(w.bake(i).Truncate(time.Second))))
		}
	}
	return out
}

func (w *world) sentence(n Need) string {
	bake := span(w.bake(w.ring(n.Ring)))
	if n.Power >= Power {
		s := fmt.Sprintf("Ring %s suffices: it sees the regression in %s of the releases", n.Ring, percent(n.Power))
		if n.HalfMinutes != nil && n.BakeMinutes != nil {
			s += fmt.Sprintf(", half of them within %s and 95 %% within %s of its bake of %s", spanOf(*n.HalfMinutes), spanOf(*n.BakeMinutes), bake)
		}
		return s + "."
	}
	var ways []string
	if n.BakeMinutes != nil {
		ways = append(ways, "a bake of "+spanOf(*n.BakeMinutes))
	}
	if n.Share != nil {
		ways = append(ways, percent(up(*n.Share*100)/100)+" of the users")
	}
	if n.Traffic != nil {
		ways = append(ways, fmt.Sprintf("%s (%s times as much traffic)", rate(up(*n.Traffic)), figure(up(*n.Traffic/w.traffic))))
	}
	s := fmt.Sprintf("Ring %s alone sees the regression in %s of the releases. ", n.Ring, percent(n.Power))
	if len(ways) == 0 {
		return s + "No bake of up to 90 days, no size and no traffic would make that 95 %."
	}
	return s + "For 95 % it needs " + strings.Join(ways, ", or ") + "."
}

func spanOf(minutes float64) string { return span(time.Duration(minutes * float64(time.Minute))) }

// span rounds a time up to what a plan would say.
func span(d time.Duration) string {
	unit := time.Hour
	switch {
	case d < 2*time.Minute:
		unit = time.Second
	case d < 2*time.Hour:
		unit = time.Minute
	case d < day:
		unit = 15 * time.Minute
	}
	return fleet.Dur((d + unit - 1).Truncate(unit)).String()
}

// up rounds up to two figures.
func up(x float64) float64 {
	if x <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	return math.Ceil(x/unit-1e-9) * unit
}

// figure has three figures, or all of those before the point.
func figure(x float64) string {
	if x >= 1000 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

func percent(x float64) string { return figure(100*x) + " %" }

func rate(perSecond float64) string {
	switch {
	case perSecond >= 1:
		return figure(perSecond) + "/s"
	case perSecond*60 >= 1:
		return figure(perSecond*60) + "/min"
	}
	return figure(perSecond*3600) + "/h"
}
