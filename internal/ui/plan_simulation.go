package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/simulate"
)

// simRuns are few, so that the answer is there at once.
const simRuns = 60

// simQuestion is what is simulated, as it is typed.
type simQuestion struct{ Traffic, Regression string }

func askOf(get func(string) string) simQuestion {
	q := simQuestion{clip(strings.TrimSpace(get("traffic")), 40), clip(strings.TrimSpace(get("regression")), 80)}
	if q.Traffic == "" {
		q.Traffic = "500/s"
	}
	if q.Regression == "" {
		q.Regression = "errors=2x"
	}
	return q
}

// simView is what a simulation came to.
type simView struct {
	Problem  string
	Detected string
	Stopped  string
	Users    string
	Took     string
	Rings    []simRing
	Curve    string // of an SVG of 400 by 120
	Last     string // minutes at its right edge
	Marks    []simMark
	Advice   []string
	Runs     int
}

type simRing struct{ Name, Users, Bake, Share, After string }

type simMark struct {
	X    float64
	Name string
}

// tryPlan simulates the plan as it is in the editor.
func (s *Server) tryPlan(ctx context.Context, p *planPage) *simView {
	c, err := s.caseOf(ctx, p)
	if err != nil {
		return &simView{Problem: sentenceCase(err.Error())}
	}
	select {
	case s.trials <- struct{}{}:
		defer func() { <-s.trials }()
	case <-time.After(s.Simulate):
		return &simView{Problem: "Other simulations are running; try again."}
	}
	ctx, cancel := context.WithTimeout(ctx, s.Simulate)
	defer cancel()
	rep, err := simulate.Run(ctx, c)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &simView{Problem: "It takes too long to simulate here; ask with: ringfence simulate --plan " + p.Name + " --traffic " + p.Ask.Traffic}
	case err != nil:
		return &simView{Problem: sentenceCase(err.Error())}
	}
	return simViewOf(rep)
}

func (s *Server) caseOf(ctx context.Context, p *planPage) (simulate.Case, error) {
	c := simulate.Case{Name: p.Name, Plan: p.plan, Segments: map[string]resource.Segment{}, Runs: simRuns, Seed: 1, Regression: map[string]simulate.Change{}}
	var err error
	if c.Traffic, err = simulate.ParseTraffic(p.Ask.Traffic); err != nil {
		return c, err
	}
	for _, part := range words(p.Ask.Regression) {
		signal, text, _ := strings.Cut(part, "=")
		change, err := simulate.ParseChange(text)
		if err != nil {
			return c, err
		}
		c.Regression[strings.TrimSpace(signal)] = change
	}
	err = s.each(ctx, resource.KindSegment, func(r resource.Resource) error {
		segment, err := resource.As[resource.Segment](r)
		c.Segments[r.Metadata.Name] = segment
		return err
	})
	return c, err
}

func simViewOf(rep simulate.Report) *simView {
	v := &simView{Runs: rep.Runs, Detected: percent(rep.Regression.DetectedShare), Stopped: percent(rep.Healthy.StoppedShare),
		Users: count(int64(rep.Regression.ExposedUsers)) + " of " + count(rep.Users), Advice: rep.Advice, Took: "never"}
	if m := rep.Healthy.MedianMinutes; m != nil {
		v.Took = inMinutes(*m)
	}
	for i, r := range rep.Rings {
		row := simRing{Name: r.Name, Users: percent(r.Share), Bake: inMinutes(r.BakeMinutes), Share: "0 %"}
		if i < len(rep.Regression.ByRing) {
			seen := rep.Regression.ByRing[i]
			row.Share = percent(seen.Share)
			if seen.MedianMinutes != nil {
				row.After = inMinutes(*seen.MedianMinutes)
			}
		}
		v.Rings = append(v.Rings, row)
	}
	v.curve(rep)
	return v
}

func inMinutes(m float64) string {
	d := time.Duration(m * float64(time.Minute))
	if d >= time.Minute {
		d = d.Round(time.Second)
	}
	return span(d)
}

// curve draws how many of the bad releases had been stopped, by time.
func (v *simView) curve(rep simulate.Report) {
	points := rep.Regression.Curve
	if len(points) < 2 {
		return
	}
	last := points[len(points)-1].Minutes
	if last <= 0 {
		last = 1
	}
	x := func(m float64) float64 { return round(barWidth * m / last) }
	var b strings.Builder
	b.WriteString("M0 110")
	for _, p := range points {
		fmt.Fprintf(&b, "H%gV%g", x(p.Minutes), round(110-100*p.Share))
	}
	b.WriteString("H400")
	v.Curve, v.Last = b.String(), inMinutes(last)
}
