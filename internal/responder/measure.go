package responder

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
)

const (
	lookBack  = 2 * time.Hour // how far before it was noticed an onset is looked for
	lookOn    = 10 * time.Minute
	mostDots  = 1500             // of a series
	patience  = 15 * time.Second // between two looks for an onset
	givesUp   = 30 * time.Minute // for how long an end is looked for
	finestDot = time.Second
)

// counts are what is known of a service's requests from a time to another.
func (r *Responder) counts(ctx context.Context, service string, from, to time.Time, over string) ([]incident.Count, error) {
	if r.Metrics == nil || service == "" || !to.After(from) {
		return nil, nil
	}
	step := r.step(from, to)
	lines, err := r.Metrics.QueryRange(ctx, fmt.Sprintf("ringfence_requests_total{service=%q}", service), from, to, step)
	if err != nil {
		return nil, err
	}
	var all []incident.Line
	for _, l := range lines {
		all = append(all, incident.Line{Cell: cellOf(l), Bad: over == "" && strings.HasPrefix(l.Labels["code"], "5"), Points: l.Points})
	}
	if over != "" {
		slow, err := r.Metrics.QueryRange(ctx, fmt.Sprintf("ringfence_slow_requests_total{service=%q,over=%q}", service, over), from, to, step)
		if err != nil {
			return nil, err
		}
		for _, l := range slow {
			all = append(all, incident.Line{Cell: cellOf(l), Bad: true, Only: true, Points: l.Points})
		}
	}
	return incident.Increases(all, from), nil
}

// step is the time between two counts.
func (r *Responder) step(from, to time.Time) time.Duration {
	return max(r.Scrape, finestDot, (to.Sub(from) / mostDots).Truncate(time.Second))
}

func cellOf(l Line) incident.Cell {
	return incident.Cell{Version: l.Labels["version"], Ring: l.Labels["ring"]}
}

// overs are the latencies over which a service's requests are counted as slow, shortest first.
func (r *Responder) overs(ctx context.Context, service string, at time.Time) []string {
	if r.Metrics == nil {
		return nil
	}
	lines, err := r.Metrics.QueryRange(ctx, fmt.Sprintf("max by (over) (ringfence_slow_requests_total{service=%q})", service), at, at, time.Minute)
	if err != nil {
		return nil
	}
	var all []string
	for _, l := range lines {
		all = append(all, l.Labels["over"])
	}
	slices.SortFunc(all, func(a, b string) int {
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return cmp.Compare(x, y)
	})
	return all
}

// signal is what of a service's requests is bad in an incident: "" for errors, else a latency.
func (r *Responder) signal(ctx context.Context, s incident.State, from, at, to time.Time) (over string, counts []incident.Count, spell incident.Spell, found bool, err error) {
	candidates := []string{""}
	slow := r.overs(ctx, s.Service, to)
	if slices.ContainsFunc(s.Pages, func(p incident.PageRef) bool { return p.Slow }) {
		candidates = append(slow, "")
	} else {
		candidates = append(candidates, slow...)
	}
	var first []incident.Count
	for i, over := range candidates {
		counts, err = r.counts(ctx, s.Service, from, to, over)
		if err != nil {
			return "", nil, spell, false, err
		}
		if i == 0 {
			first = counts
		}
		if spell, found = incident.Onset(counts, at); found && (i == 0 || !spell.Over || !spell.End.Before(at.Add(-time.Minute))) {
			return over, counts, spell, true, nil // what the incident is not about counts only when it is there at the same time
		}
	}
	return "", first, incident.Spell{}, false, nil
}

// measure finds in the data when users were hurt: the first bad event while it lasts, the last one when it is over.
func (r *Responder) measure(ctx context.Context, id string, now time.Time) error {
	s, err := r.Get(ctx, id)
	if err != nil || s.Service == "" || now.Sub(r.measured[id]) < patience && s.Impact.Source == "data" {
		return err
	}
	ended := s.Phase == incident.Mitigated && s.Impact.End.IsZero() && now.Sub(s.Mitigated) >= r.Settle && now.Sub(s.Mitigated) <= givesUp
	started := s.Impact.Source != "data" && s.Impact.Source != "person" && now.Sub(s.Detected) <= givesUp
	if !ended && !started || now.Sub(r.measured[id]) < min(patience, r.Settle) {
		return nil
	}
	r.measured[id] = now
	from := s.Detected.Add(-lookBack)
	over, _, spell, found, err := r.signal(ctx, s, from, asOf(s, now), now)
	if err != nil {
		return err
	}
	if found && started {
		if spell.Start, err = r.closer(ctx, s.Service, over, spell.Start, r.step(from, now), now); err != nil {
			return err
		}
	}
	var more incident.Impact
	if found && started {
		more = incident.Impact{Start: spell.Start, Source: "data", Where: spell.Where}
	}
	if found && ended && spell.Over {
		more.End = spell.End
	}
	if !found && ended { // what is not seen in requests is over when it was said to be
		more.End = s.Mitigated
	}
	if more == (incident.Impact{}) {
		return nil
	}
	_, err = r.change(ctx, id, func(s incident.State) ([]incident.Event, error) {
		if s.Phase == incident.Closed {
			return nil, nil
		}
		events, err := incident.Decide(s, incident.Ask{Verb: incident.Measure, Actor: Actor, Impact: &more}, now)
		if errs.Is(err, errs.Invalid) { // what a person entered stands against it
			return nil, nil
		}
		return events, err
	})
	return err
}

// closer finds a beginning anew in counts that are as close together as there are any, when it was found in others.
func (r *Responder) closer(ctx context.Context, service, over string, start time.Time, step time.Duration, now time.Time) (time.Time, error) {
	from, to := start.Add(-givesUp/2), start.Add(lookOn)
	if to.After(now) {
		to = now
	}
	if r.step(from, to) >= step {
		return start, nil
	}
	counts, err := r.counts(ctx, service, from, to, over)
	if err != nil {
		return start, err
	}
	if spell, ok := incident.Onset(counts, to); ok && spell.Start.Sub(start).Abs() <= 2*step {
		return spell.Start, nil
	}
	return start, nil
}

// asOf is when the trouble that is looked for is there: now, or when it was mitigated.
func asOf(s incident.State, now time.Time) time.Time {
	if !s.Mitigated.IsZero() {
		return s.Mitigated
	}
	return now
}
