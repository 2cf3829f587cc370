package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/serving"
	"github.com/ringfence/ringfence/internal/track"
)

// errorEvent is the metric event by which users are counted for whom something failed, where no gateway sees their requests.
const errorEvent = "error"

// told fits the events to the controller, for flags whose set names no service: errors are the users in the ring in trial for
// whom an error was told after they were given the variant, among all who were.
//
// What is told of a user is told once, however often it fails, and may come at any time: so a sample counts as
// requests the users who came and those who failed, in proportion on both sides as long as the sides are alike.
type told struct {
	counting
	events  *track.Store
	serving *serving.Engine

	mu    sync.Mutex
	marks map[string][]mark // by subject, the newest last
	force map[string]force
}

// force is since when a generation of an exposure is in force everywhere.
type force struct {
	generation int64
	since      time.Time
}

// mark is what had been told at a time.
type mark struct {
	at, since  time.Time
	rest       time.Time // when to count again: counting takes no more than a tenth of a processor
	users, did [2]int64  // of the canary and of the others
	ring, on   string    // in trial, and the variant that is
	off, salt  string    // and of the trial, which no other has
}

// keptMarks bounds how far the gates of a rollout may be apart in their reading.
const keptMarks = 8

func newTold(c counting, events *track.Store, s *serving.Engine) *told {
	return &told{counting: c, events: events, serving: s, marks: map[string][]mark{}, force: map[string]force{}}
}

// Counts is one sample of what was told since from.
func (t *told) Counts(ctx context.Context, service, canary, stable, over string, from, to time.Time) ([]health.Sample, []time.Time, error) {
	ramp, ok := t.ramp(service)
	if !ok || ramp.Ramp.Counts != "" {
		return t.counting.Counts(ctx, service, canary, stable, over, from, to)
	}
	if over != "" || ramp.Ramp.Ring < 0 || ramp.Ramp.Ring >= len(ramp.Rings) {
		return nil, nil, nil
	}
	since, ok := t.inForceSince(service, ramp.Generation)
	last := t.mark(service, from)
	if !ok || to.Before(last.rest) {
		return nil, nil, nil
	}
	if last.since.Before(since) { // who was given the variant before it was so everywhere was not placed by chance
		last = mark{at: from, since: since}
	}
	now, err := t.count(ctx, ramp, canary, last.since, to)
	if err != nil {
		return nil, nil, err
	}
	t.keep(service, now)
	sample := health.Sample{Canary: delta(last, now, 0), Stable: delta(last, now, 1)}
	return []health.Sample{sample}, []time.Time{to}, nil
}

// seen notes which generation of an exposure is in force everywhere now.
func (t *told) seen(service string, generation int64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.force[service].generation != generation {
		t.force[service] = force{generation, now.Add(settleTime)}
	}
}

// settleTime is how long what was given before a switch may still be told as if it were given after it.
const settleTime = time.Second

func (t *told) inForceSince(service string, generation int64) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.force[service]
	return f.since, f.generation == generation && time.Now().After(f.since)
}

// ramp is the exposure that is served under a name.
func (t *told) ramp(name string) (fleet.Service, bool) {
	s, err := flag.ParseSubject(name)
	if !flag.IsSubject(name) || err != nil {
		return fleet.Service{}, false
	}
	feed, err := t.serving.Await(context.Background(), s.Environment, "", 0)
	if err != nil {
		return fleet.Service{}, false
	}
	for _, r := range feed.Ramps {
		if r.Name == name && r.Ramp != nil {
			return r, true
		}
	}
	return fleet.Service{}, false
}

// count is all that was told since a time of the users in the ring in trial.
func (t *told) count(ctx context.Context, ramp fleet.Service, canary string, since, to time.Time) (mark, error) {
	m := mark{at: to, since: since, ring: ramp.Rings[ramp.Ramp.Ring].Name, on: ramp.Ramp.To, off: ramp.Ramp.From, salt: ramp.Ramp.Salt}
	sides, err := flag.ExposureOf(ramp, ramp.Ramp.From).Compile()
	if err != nil {
		return m, err
	}
	subject, err := flag.ParseSubject(ramp.Name)
	if err != nil {
		return m, err
	}
	chosen, choices := map[string]bool{}, t.serving.Chosen(ramp.Name)
	for _, user := range slices.Concat(choices.In, choices.Out) { // not placed by chance
		chosen[user] = true
	}
	began := time.Now()
	res, err := t.events.Summaries(ctx, track.Query{Environment: subject.Environment, Flag: subject.Key, Since: since, Until: to.Add(time.Minute),
		Measure: track.Measure{Kind: "proportion", Event: errorEvent},
		Take: func(user string, attributes map[string]any) bool {
			_, side := sides.Of(&exposure.Context{TargetingKey: user, Attributes: attributes, Timestamp: to.Unix()})
			return side != flag.None && !chosen[user]
		}})
	if err != nil {
		return m, err
	}
	for _, v := range res.Variants {
		side := 1
		if v.Name == canary {
			side = 0
		}
		m.users[side] += v.N
		m.did[side] += int64(v.Mean[0]*float64(v.N) + 0.5)
	}
	m.rest = to.Add(min(20*time.Second, max(time.Second, 9*time.Since(began))))
	return m, nil
}

// mark is what was told up to a time, as it was counted then; nothing when it never was, so that all since is counted.
func (t *told) mark(service string, at time.Time) mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.marks[service] {
		if m.at.Equal(at) {
			return m
		}
	}
	return mark{at: at, since: at}
}

func (t *told) keep(service string, m mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := append(t.marks[service], m)
	t.marks[service] = all[max(0, len(all)-keptMarks):]
}

// users are those of the ring in trial as they were last counted; those of another trial say nothing of it.
func (t *told) users(service string) []fleet.UserCount {
	ramp, ok := t.ramp(service)
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.marks[service]
	if !ok || len(all) == 0 || all[len(all)-1].salt != ramp.Ramp.Salt {
		return nil
	}
	m := all[len(all)-1]
	return []fleet.UserCount{{Ring: m.ring, Version: m.on, Users: m.users[0], Recent: m.users[0]}, {Ring: m.ring, Version: m.off, Users: m.users[1], Recent: m.users[1]}}
}

// delta is what one side came to between two marks.
func delta(from, to mark, side int) *health.Counts {
	came, failed := max(0, to.users[side]-from.users[side]), max(0, to.did[side]-from.did[side])
	return &health.Counts{Requests: came + failed, Bad: failed}
}
