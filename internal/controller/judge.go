package controller

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

// stageCase is the evidence gathered in one stage, or before one: a process for each gate and how far it has read.
type stageCase struct {
	mu    sync.Mutex
	key   string
	gates []gateCase
	peak  busiest
	began time.Time // when this process began to gather it
	asked time.Time // when it was last gathered, for gates that are asked before a ring
}

// patience is how long a gate that has said nothing is waited for before that is no data: it was asked just now.
func (sc *stageCase) patience(g rollout.Gate, now time.Time) bool {
	wait := 2 * g.Every.D(0)
	if g.Signal == health.SignalWebhook || g.Signal == health.SignalCommand || g.Signal == health.SignalProbe || g.Signal == health.SignalAlerts {
		wait = min(wait, 5*time.Minute) // asked at once
	}
	return now.Sub(sc.began) < max(sampleAge, wait)
}

type gateCase struct {
	rollout.Trial
	split split     // users of each side that the trial knows of
	read  time.Time // end of the last sample that was added
	hurt  time.Time // start of the first sample with a bad event: no bad event was earlier

	unwatched time.Duration // of the bake
}

// judge adds what came since the last look to the stage's case and judges every gate.
func (c *Controller) judge(ctx context.Context, sit situation, seen sight, users split, now time.Time, ev *rollout.Evidence) {
	state := sit.rollout.value
	stage := state.Stages[len(state.Stages)-1]
	sc := c.caseOf(c.cases, state, state.Ring, false, state.ID+"/"+strconv.Itoa(len(state.Stages)), stage.Exposed, now)
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for i := range sc.gates {
		g := &sc.gates[i]
		stale := ""
		if err := c.add(ctx, sc.key, g, sit, seen, users, now); err != nil {
			stale = "the metrics cannot be read: " + err.Error()
		} else if now.Sub(g.read) > max(sampleAge, 3*g.Gate.Every.D(0)) {
			stale = fmt.Sprintf("nothing since %s", g.read.Format(time.RFC3339))
		}
		j := g.Judgement()
		if stale != "" && j.Verdict == health.Pass {
			j.Verdict, j.Reasons, j.NoData = health.Hold, append(j.Reasons, stale), true
		}
		j.NoData = (j.NoData || g.silent(stale)) && j.Verdict == health.Hold && !sc.patience(g.Gate, now)
		if j.Verdict == health.Fail && ev.HurtAt.IsZero() {
			ev.HurtAt = g.hurt
		}
		ev.Gates = append(ev.Gates, j)
		ev.Requests = max(ev.Requests, g.Seen)
		ev.Unwatched = max(ev.Unwatched, g.unwatched)
	}
	if state.Rings[state.Ring].CoverPeak && !stage.Baking.IsZero() {
		ev.Peak = c.covered(ctx, &sc.peak, sit, stage.Baking, now)
	}
}

// silent reports whether a gate that counts requests has none to go by: none came in the whole stage, or nothing tells of them
// any more. A gate of another kind says so itself.
func (g *gateCase) silent(stale string) bool { return g.Process != nil && (g.Seen == 0 || stale != "") }

// ask judges the gates that are asked before a ring is entered. What was answered before the ring was about to be
// entered does not count.
func (c *Controller) ask(ctx context.Context, sit situation, seen sight, ring int, now time.Time, ev *rollout.Evidence) {
	state := sit.rollout.value
	if len(state.GatesIn(ring, true)) == 0 {
		return
	}
	c.lapse(state.Service, now)
	sc := c.caseOf(c.before, state, ring, true, state.ID+"/before/"+strconv.Itoa(ring), now.Add(-time.Second), now)
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.asked = now
	for i := range sc.gates {
		g := &sc.gates[i]
		err := c.add(ctx, sc.key, g, sit, seen, split{}, now)
		j := g.Judgement()
		if err != nil && j.Verdict == health.Pass {
			j.Verdict, j.Reasons, j.NoData = health.Hold, append(j.Reasons, err.Error()), true
		}
		j.NoData = j.NoData && !sc.patience(g.Gate, now)
		ev.Before = append(ev.Before, j)
	}
}

// lapse drops what was said before a ring when the ring was not about to be entered meanwhile.
func (c *Controller) lapse(service string, now time.Time) {
	c.mu.Lock()
	sc := c.before[service]
	c.mu.Unlock()
	if sc == nil {
		return
	}
	sc.mu.Lock()
	old := now.Sub(sc.asked) > sampleAge+2*c.Interval
	sc.mu.Unlock()
	if !old {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.before[service] != sc {
		return
	}
	delete(c.before, service)
	if c.Checks != nil {
		c.Checks.Forget(sc.key + "/")
	}
}

// caseOf returns the evidence of a stage, empty when this process has not followed it so far.
func (c *Controller) caseOf(cases map[string]*stageCase, state rollout.State, ring int, before bool, key string, from, now time.Time) *stageCase {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := cases[state.Service]
	if old != nil && old.key == key {
		return old
	}
	if old != nil && c.Checks != nil {
		c.Checks.Forget(old.key + "/")
	}
	sc := &stageCase{key: key, began: now, asked: now}
	for _, t := range state.Trials(ring, before) {
		sc.gates = append(sc.gates, gateCase{Trial: t, read: from})
	}
	cases[state.Service] = sc
	return sc
}

// forget drops the evidence kept for a service, which is not followed any more.
func (c *Controller) forget(service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cases := range []map[string]*stageCase{c.cases, c.before} {
		if sc := cases[service]; sc != nil && c.Checks != nil {
			c.Checks.Forget(sc.key + "/")
		}
		delete(cases, service)
	}
	delete(c.rests, service)
	delete(c.known, service)
	delete(c.dues, service)
	delete(c.lived, service)
}

// add brings a gate's evidence up to now.
func (c *Controller) add(ctx context.Context, key string, g *gateCase, sit situation, seen sight, users split, now time.Time) error {
	state := sit.rollout.value
	switch {
	case g.Ranks != nil:
		return c.addRanks(ctx, g, state, now)
	case g.Readings != nil && g.Gate.Signal == health.SignalQuery:
		return c.addQuery(ctx, g, state, now)
	case g.Readings != nil:
		return c.addAnswers(key, g, state, seen)
	case g.Quantile != nil:
		return c.addHistograms(ctx, g, state, now)
	default:
		return g.addCounts(ctx, c.Metrics, state, users, now)
	}
}

func (g *gateCase) addCounts(ctx context.Context, m Metrics, state rollout.State, users split, now time.Time) error {
	samples, ends, err := m.Counts(ctx, state.Service, state.To, state.Beside(), g.Gate.Over, g.read, now)
	if err != nil {
		return err
	}
	g.split.addTo(samples, users)
	for i, s := range samples {
		if g.hurt.IsZero() && s.Canary != nil && s.Canary.Bad > 0 {
			g.hurt = g.read
		}
		g.sawUntil(ends[i], state)
		if err := g.Add(s); err != nil {
			return err
		}
	}
	return nil
}

// sawUntil moves on to the end of a sample, and notes how much of the bake nobody watched before it.
func (g *gateCase) sawUntil(end time.Time, state rollout.State) {
	baking := state.Stages[len(state.Stages)-1].Baking
	if from := latest(g.read, baking); !baking.IsZero() {
		g.unwatched += max(0, end.Sub(from)-watchGap)
	}
	g.read = end
}

func (c *Controller) addHistograms(ctx context.Context, g *gateCase, state rollout.State, now time.Time) error {
	if c.Further == nil {
		return nil
	}
	samples, ends, err := c.Further.Histograms(ctx, state.Service, state.To, state.Beside(), g.read, now)
	if err != nil {
		return err
	}
	for i, s := range samples {
		if g.hurt.IsZero() && s.Canary != nil {
			g.hurt = g.read
		}
		g.sawUntil(ends[i], state)
		if err := g.AddHistogram(s); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) addRanks(ctx context.Context, g *gateCase, state rollout.State, now time.Time) error {
	canary, _, err := c.values(ctx, g, state, g.Gate.Series.Canary, now)
	if err != nil {
		return err
	}
	stable, times, err := c.values(ctx, g, state, g.Gate.Series.Stable, now)
	if err != nil {
		return err
	}
	for i, at := range times {
		if g.hurt.IsZero() && !math.IsNaN(canary[i]) {
			g.hurt = at
		}
		g.read = at
		if err := g.Ranks.Add(canary[i], stable[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) addQuery(ctx context.Context, g *gateCase, state rollout.State, now time.Time) error {
	values, times, err := c.values(ctx, g, state, g.Gate.Query, now)
	if err != nil {
		return err
	}
	for i, at := range times {
		v := values[i]
		g.reading(at, health.Reading{Value: &v})
	}
	return nil
}

// reading adds a reading, and notes when the bad ones began that have none but bad ones after them.
func (g *gateCase) reading(at time.Time, r health.Reading) {
	if g.Gate.OnFail == "hold" && g.Readings.Judgement().Verdict == health.Fail {
		again := health.NewReadings(g.Gate.Gate) // it holds while it lasts
		for range max(0, g.Gate.Failures-1) {
			again.Add(health.Reading{Verdict: health.Fail, Text: g.Readings.Judgement().Evidence.Readings.Text})
		}
		g.Readings = again
	}
	g.Readings.Add(r)
	g.read = at
	said := g.Readings.Judgement().Evidence.Readings
	switch {
	case said == nil || said.InARow == 0:
		g.hurt = time.Time{}
	case g.hurt.IsZero():
		g.hurt = at
	}
}

// maxValues is how many values are asked for at once: the metrics give no more than 11,000.
const maxValues = 5000

// values are those of an expression at each time that a gate is due for since it was read.
func (c *Controller) values(ctx context.Context, g *gateCase, state rollout.State, expr string, now time.Time) ([]float64, []time.Time, error) {
	every := g.Gate.Every.D(15 * time.Second)
	first := g.read.Truncate(every).Add(every)
	if c.Further == nil || first.After(now) {
		return nil, nil, nil
	}
	until := now
	if most := first.Add(maxValues * every); most.Before(now) { // after a restart in a long bake; the next look goes on from there
		until = most
	}
	values, err := c.Further.Values(ctx, put(expr, varsOf(state)), first, until, every)
	times := make([]time.Time, len(values))
	for i := range values {
		times[i] = first.Add(time.Duration(i) * every)
	}
	return values, times, err
}

func (c *Controller) addAnswers(key string, g *gateCase, state rollout.State, seen sight) error {
	if c.Checks == nil {
		return nil
	}
	key += "/" + rollout.Key(g.Gate.Gate)
	c.Checks.Ask(key, g.Gate.Every.D(time.Minute), Question{Gate: g.Gate, Vars: varsOf(state), Instances: seen.instances})
	for _, a := range c.Checks.Take(key) {
		g.reading(a.At, a.Reading)
	}
	return nil
}

// varsOf are the words that may stand in braces in what a gate asks.
func varsOf(state rollout.State) map[string]string {
	ring := ""
	if state.Ring >= 0 {
		ring = state.Rings[state.Ring].Name
	}
	return map[string]string{"service": state.Service, "version": state.To, "stable": state.From, "ring": ring, "rollout": state.ID,
		"unit": strings.Join(state.Units, ",")}
}

// put puts the words into a PromQL expression. None of them can end a string in it: names and versions hold no quotes.
func put(expr string, vars map[string]string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		pairs = append(pairs, "{"+k+"}", vars[k])
	}
	return strings.NewReplacer(pairs...).Replace(expr)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
