package ui

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/simulate"
)

// pageRuns is how many releases of each sort a page simulates: enough for shares to about 5 points.
const pageRuns = 400

// wish is what the form of the simulation holds, as it was typed.
type wish struct{ Plan, Traffic, Regression, Baseline, Segment, Curve, Users string }

type simulatePage struct {
	*visit
	wish
	Plans   []string
	Trouble *trouble
	Report  *simulate.Report
	Runs    int
	Rings   []simulatedRing
	Headline,
	Exposure string
	Plots []*plot
}

type simulatedRing struct{ Name, Users, Bake, Seen, After string }

func (s *Server) simulation(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title = "Simulate"
	p := &simulatePage{visit: v, Runs: pageRuns}
	var err error
	if p.Plans, err = s.planNames(r.Context()); err != nil {
		return err
	}
	q := r.URL.Query()
	p.read(q)
	if q.Get("traffic") == "" {
		return s.show(w, r, http.StatusOK, "simulate", p)
	}
	status := http.StatusOK
	if err := s.simulate(r.Context(), p); err != nil {
		if !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.Missing) {
			return err
		}
		t := s.troubleOf(r, err)
		status, p.Trouble = t.Status, &t
	}
	return s.show(w, r, status, "simulate", p)
}

func (s *Server) planNames(ctx context.Context) ([]string, error) {
	plans, err := s.Catalog.List(ctx, resource.KindRingPlan, "", 1000)
	var names []string
	for _, p := range plans {
		names = append(names, p.Metadata.Name)
	}
	return names, err
}

func (p *simulatePage) read(q url.Values) {
	first := ""
	if len(p.Plans) > 0 {
		first = p.Plans[0]
	}
	p.wish = wish{Plan: cmp.Or(q.Get("plan"), first), Traffic: cmp.Or(q.Get("traffic"), "100/s"), Regression: cmp.Or(q.Get("regression"), "errors=2x"),
		Baseline: cmp.Or(q.Get("baseline"), "errors=0.5%"), Segment: q.Get("segment"), Curve: cmp.Or(q.Get("curve"), "1"), Users: cmp.Or(q.Get("users"), strconv.Itoa(simulate.DefaultUsers))}
}

// simulate fills in the answer.
func (s *Server) simulate(ctx context.Context, p *simulatePage) error {
	c, err := p.wish.parse()
	if err != nil {
		return err
	}
	found, err := s.Catalog.Get(ctx, resource.KindRingPlan, p.Plan)
	if err != nil {
		return err
	}
	if c.Plan, err = resource.As[resource.RingPlan](found); err != nil {
		return err
	}
	segments, err := s.Catalog.List(ctx, resource.KindSegment, "", 1000)
	if err != nil {
		return err
	}
	c.Segments = map[string]resource.Segment{}
	for _, one := range segments {
		if c.Segments[one.Metadata.Name], err = resource.As[resource.Segment](one); err != nil {
			return err
		}
	}
	select {
	case s.trials <- struct{}{}: // each uses all processors
		defer func() { <-s.trials }()
	case <-ctx.Done():
		return errs.E(errs.Unavailable, "other simulations are under way").Next("Try again in a moment, or ask ringfence simulate.")
	}
	report, charts, err := simulate.Explore(ctx, c)
	if err != nil {
		if ctx.Err() != nil {
			return errs.E(errs.Unavailable, "the simulation takes too long for a page").Next("Ask ringfence simulate --plan %s instead.", p.Plan)
		}
		return err
	}
	p.fill(report, charts)
	return nil
}

// parse reads what was typed as ringfence simulate reads its flags.
func (f wish) parse() (simulate.Case, error) {
	c := simulate.Case{Name: f.Plan, Runs: pageRuns, Seed: 1}
	var err error
	if c.Traffic, err = simulate.ParseTraffic(strings.TrimSpace(f.Traffic)); err != nil {
		return c, err
	}
	if c.Regression, err = named("Regression", f.Regression, simulate.ParseChange); err != nil {
		return c, err
	}
	if c.Baseline, err = named("Bad before", f.Baseline, simulate.ParseShare); err != nil {
		return c, err
	}
	if c.Shares, err = named("Segments", f.Segment, simulate.ParseShare); err != nil {
		return c, err
	}
	if c.DayCurve, err = strconv.ParseFloat(strings.TrimSpace(f.Curve), 64); err != nil || !(c.DayCurve >= 1) {
		return c, errs.E(errs.Invalid, "Day over night: got %.40q, expected a number from 1", f.Curve)
	}
	if c.Users, err = strconv.ParseInt(strings.TrimSpace(f.Users), 10, 64); err != nil || c.Users < 1 {
		return c, errs.E(errs.Invalid, "Users: got %.40q, expected a whole number from 1", f.Users)
	}
	return c, nil
}

// named reads name=value, several with commas.
func named[T any](field, text string, parse func(string) (T, error)) (map[string]T, error) {
	out := map[string]T{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok || len(out) >= 100 {
			return nil, errs.E(errs.Invalid, "%s: got %.40q, expected name=value, several with commas", field, part)
		}
		v, err := parse(strings.TrimSpace(value))
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "%s, %.40s", field, name)
		}
		out[strings.TrimSpace(name)] = v
	}
	return out, nil
}

func (p *simulatePage) fill(r simulate.Report, ch simulate.Charts) {
	p.Report = &r
	g, h := r.Regression, r.Healthy
	p.Headline = fmt.Sprintf("The regression is seen in %s of the releases, a healthy release is stopped in %s.", shareOf(g.DetectedShare), shareOf(h.StoppedShare))
	p.Exposure = fmt.Sprintf("A release with it reaches %s users on average, for %s user-minutes.", count(int64(g.ExposedUsers)), count(int64(g.ExposedUserMinutes)))
	if h.MedianMinutes != nil {
		p.Exposure += fmt.Sprintf(" A healthy one is out to everyone after %s.", spelled(*h.MedianMinutes))
	}
	for i, ring := range r.Rings {
		row := simulatedRing{Name: ring.Name, Users: shareOf(ring.Share), Bake: spelled(ring.BakeMinutes), Seen: shareOf(g.ByRing[i].Share)}
		if m := g.ByRing[i].MedianMinutes; m != nil {
			row.After = spelled(*m)
		}
		p.Rings = append(p.Rings, row)
	}
	longest := 0.0
	for _, c := range ch.Bake {
		longest = max(longest, c.Points[len(c.Points)-1].X)
	}
	for _, one := range []*plot{
		newPlot("detected", "Seen by then, by ring", "Share of the releases with the regression that have been stopped in a ring, by time since the first ring got it.", "Time", true, timeTicks(), plotLines(ch.Detected)),
		newPlot("exposed", "Exposed user-minutes", "Share of the releases with the regression that expose no more than so many user-minutes.", "User-minutes", true,
			decades(1e-3, func(x float64) string { return count(int64(x)) }), plotLines([]simulate.Curve{{Name: "releases", Points: ch.Exposed}})),
		newPlot("bake", "Power against bake", "How surely a ring alone sees the regression, by the length of its bake.", "Bake", false, evenTicks(longest), plotLines(ch.Bake)),
		newPlot("size", "Power against ring size", "How surely a ring alone sees the regression within its bake, or until it has had the requests that its gates ask for, by its share of the users.", "Users", true, decades(1e-6, shareOf), plotLines(ch.Size)),
	} {
		if one != nil && len(one.Lines) > 0 {
			p.Plots = append(p.Plots, one)
		}
	}
}

func plotLines(curves []simulate.Curve) []plotLine {
	var all []plotLine
	for _, c := range curves {
		l := plotLine{Name: c.Name}
		for _, pt := range c.Points {
			l.points = append(l.points, [2]float64{pt.X, pt.Y})
		}
		all = append(all, l)
	}
	return all
}

// shareOf has a space that does not break.
func shareOf(x float64) string { return strconv.FormatFloat(100*x, 'g', 3, 64) + "\u00a0%" }

// spelled is a time to the minute, or to the second where it is short.
func spelled(minutes float64) string {
	unit := time.Minute
	if minutes < 5 {
		unit = time.Second
	}
	return span(time.Duration(minutes * float64(time.Minute)).Round(unit))
}
