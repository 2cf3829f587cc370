package replay

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Samples are what the metrics tell of a service's requests: one for every scrape in (from, to], with its time.
type Samples interface {
	Counts(ctx context.Context, service, canary, stable, over string, from, to time.Time) ([]health.Sample, []time.Time, error)
	Histograms(ctx context.Context, service, canary, stable string, from, to time.Time) ([]health.HistogramSample, []time.Time, error)
}

// Evidence is a rollout with what was recorded of it.
type Evidence struct {
	Rollout rollout.State `json:"rollout"`
	Events  []audit.Event `json:"events" doc:"what was recorded of it, oldest first"`
	Stages  []Stage       `json:"stages" doc:"the rings that it entered, in order"`
}

// Stage is what was counted in one ring.
type Stage struct {
	Ring       string      `json:"ring"`
	From       time.Time   `json:"from" doc:"when it was entered"`
	To         time.Time   `json:"to" doc:"when it was left, or when this was asked for"`
	Counts     []Series    `json:"counts" doc:"of each gate that counts"`
	Histograms []Latencies `json:"histograms,omitempty" doc:"how long requests took, when a gate of the rollout or whoever asked wants to know"`
	Unwatched  float64     `json:"unwatched,omitempty" doc:"seconds of the bake in which nothing was measured"`
	Notes      []string    `json:"notes,omitempty" doc:"what is missing, and what was put together"`
}

// Series are samples by what counts as bad.
type Series struct {
	Signal  string   `json:"signal" doc:"errors, latency"`
	Over    string   `json:"over,omitempty" doc:"for latency, seconds"`
	Samples []Counts `json:"samples"`
}

// Counts are one sample, with the end of its time.
type Counts struct {
	At time.Time `json:"at"`
	health.Sample
}

// Latencies are one sample of how long requests took.
type Latencies struct {
	At time.Time `json:"at"`
	health.HistogramSample
}

// Bounds of an answer, by stage and series.
const (
	maxSamples    = 5000
	maxHistograms = 500
	part          = 6 * time.Hour // of metrics read at once
	watchGap      = 5 * time.Minute
)

// Gather puts together what is known of a rollout. Neighbouring samples are added up where there are more than the answer
// holds; each sum is a sample of its own right, only the time of a stop is known less well.
func Gather(ctx context.Context, from Samples, s rollout.State, events []audit.Event, histograms bool, now time.Time) (Evidence, error) {
	if s.From == "" {
		return Evidence{}, errs.E(errs.Conflict, "%s is the first release of %s: there was nothing to compare it with, and no gate judged it", s.ID, s.Service)
	}
	ev := Evidence{Rollout: s, Events: events, Stages: []Stage{}}
	histograms = histograms || slices.ContainsFunc(s.Gates, func(g rollout.Gate) bool { return g.Signal == health.SignalQuantile })
	for _, st := range s.Stages {
		stage := Stage{Ring: st.Ring, From: st.Exposed, To: endOf(s, st, now), Counts: []Series{}}
		for _, over := range oversOf(s.Gates) {
			if err := stage.count(ctx, from, s, st, over); err != nil {
				return ev, err
			}
		}
		if histograms {
			if err := stage.time(ctx, from, s); err != nil {
				return ev, err
			}
		}
		stage.missing(st)
		ev.Stages = append(ev.Stages, stage)
	}
	return ev, nil
}

// endOf is when the new version left a ring, or the ring was passed.
func endOf(s rollout.State, st rollout.Stage, now time.Time) time.Time {
	end := now
	if !st.Left.IsZero() {
		end = st.Left
	}
	if at := s.HaltedAt; s.Phase == rollout.RolledBack && at.After(st.Exposed) && at.Before(end) {
		end = at // later requests went through the way back
	}
	return end.UTC()
}

// oversOf are the thresholds of all gates that count, with that of errors, which is none.
func oversOf(gates []rollout.Gate) []string {
	overs := []string{""}
	for _, g := range gates {
		if g.Signal == health.SignalLatency && !slices.Contains(overs, g.Over) {
			overs = append(overs, g.Over)
		}
	}
	return overs
}

func (stage *Stage) count(ctx context.Context, from Samples, s rollout.State, st rollout.Stage, over string) error {
	series := Series{Signal: health.SignalErrors, Over: over, Samples: []Counts{}}
	if over != "" {
		series.Signal = health.SignalLatency
	}
	var all thinned
	last := stage.From
	var unwatched time.Duration
	for at := stage.From; at.Before(stage.To); {
		end := earlier(at.Add(part), stage.To)
		samples, times, err := from.Counts(ctx, s.Service, s.To, s.Beside(), over, at, end)
		if err != nil {
			return err
		}
		for i, sample := range samples {
			if base := later(last, st.Baking); !st.Baking.IsZero() && times[i].After(base) {
				unwatched += max(0, times[i].Sub(base)-watchGap)
			}
			last = times[i]
			all.add(Counts{times[i], sample})
		}
		at = end
	}
	if over == "" {
		stage.Unwatched = unwatched.Seconds()
	}
	series.Samples = append(series.Samples, all.samples...)
	if all.by > 1 {
		stage.note(fmt.Sprintf("%s: up to %d neighbouring samples were added up into one", nameOf(series), all.by))
	}
	stage.Counts = append(stage.Counts, series)
	return nil
}

func nameOf(s Series) string {
	if s.Over != "" {
		return s.Signal + " over " + s.Over
	}
	return s.Signal
}

func (stage *Stage) time(ctx context.Context, from Samples, s rollout.State) error {
	var all heaps
	for at := stage.From; at.Before(stage.To); {
		end := earlier(at.Add(part), stage.To)
		samples, times, err := from.Histograms(ctx, s.Service, s.To, s.Beside(), at, end)
		if err != nil {
			return err
		}
		for i := range samples {
			all.add(Latencies{times[i], samples[i]})
		}
		at = end
	}
	stage.Histograms = all.samples
	if all.by > 1 {
		stage.note(fmt.Sprintf("histograms: up to %d neighbouring samples were added up into one", all.by))
	}
	return nil
}

// missing says when the metrics hold less than what the rollout was decided on.
func (stage *Stage) missing(st rollout.Stage) {
	for _, j := range st.Gates {
		signal, over := j.Gate.Signal, j.Gate.Over
		if signal != health.SignalErrors && signal != health.SignalLatency {
			continue
		}
		series, ok := stage.series(signal, over)
		if !ok {
			continue
		}
		var have int64
		for _, s := range series.Samples {
			if s.Canary != nil {
				have += s.Canary.Requests
			}
		}
		if want := j.Evidence.CanaryRequests; have < want {
			stage.note(fmt.Sprintf("%s: the metrics still hold %s of the %s requests to the new version that it was decided on; older ones have left their retention",
				nameOf(series), strconv.FormatInt(have, 10), strconv.FormatInt(want, 10)))
		}
	}
}

func (stage *Stage) note(s string) {
	if !slices.Contains(stage.Notes, s) {
		stage.Notes = append(stage.Notes, s)
	}
}

// series are the counts that a gate judges.
func (stage *Stage) series(signal, over string) (Series, bool) {
	i := slices.IndexFunc(stage.Counts, func(s Series) bool { return s.Signal == signal && s.Over == over })
	if i < 0 {
		return Series{}, false
	}
	return stage.Counts[i], true
}

// Lost reports whether a stage lacks evidence that it was decided on.
func (stage *Stage) Lost() bool {
	return slices.ContainsFunc(stage.Notes, func(n string) bool { return strings.Contains(n, "have left their retention") })
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
