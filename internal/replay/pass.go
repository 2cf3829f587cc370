package replay

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

// pass is one way through the recorded time of one ring.
type pass struct {
	stage  Stage
	state  rollout.State
	ring   int
	events []rollout.Event // what people did, and what was answered from outside, in this time
	trials []rollout.Trial
	feeds  []feed
	baking time.Time
	end    time.Time
	before []health.Judgement
}

// feed is how far a trial has read its samples.
type feed struct {
	counts []Counts
	times  []Latencies
	said   health.Judgement // of what is asked outside
}

// newPass takes a rollout back to when it entered a ring.
func newPass(ev Evidence, i int, gates []rollout.Gate, events []rollout.Event) *pass {
	s := ev.Rollout
	was := s.Stages[i]
	p := &pass{stage: ev.Stages[i], end: ev.Stages[i].To, baking: later(was.Baking, was.Exposed)}
	p.ring = slices.IndexFunc(s.Rings, func(r rollout.Ring) bool { return r.Name == was.Ring })
	s.Rings = slices.Clone(s.Rings)
	for k := range s.Rings { // who gave leave is not asked again
		s.Rings[k].Hours, s.Rings[k].Approval, s.Rings[k].CoverPeak, s.Rings[k].MinUsers = nil, nil, false, 0
	}
	s.Gates, s.Ring, s.Phase, s.Stages = gates, p.ring, rollout.Exposing, slices.Clone(s.Stages[:i+1])
	s.Stages[i] = rollout.Stage{Ring: was.Ring, Exposed: was.Exposed}
	s.Paused, s.Halted, s.Hurried, s.Reverted, s.Retired, s.Warned, s.Reason = false, false, false, false, false, nil, ""
	s.Ended, s.LostAt, s.HurtAt, s.HaltedAt, s.SafeAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	p.state = s
	for _, e := range events {
		if !e.Time.Before(was.Exposed) && !e.Time.After(p.end) && !elsewhere(e, was.Ring) {
			p.events = append(p.events, e)
		}
		if e.Time.Before(was.Exposed) && (e.Type == rollout.EvPaused || e.Type == rollout.EvResumed) {
			p.state.Paused = e.Type == rollout.EvPaused
		}
	}
	p.trials = s.Trials(p.ring, false)
	for _, t := range p.trials {
		f := feed{said: passing(t.Gate)}
		if series, ok := p.stage.series(t.Gate.Signal, t.Gate.Over); ok {
			f.counts = series.Samples
		}
		if t.Gate.Signal == health.SignalQuantile {
			f.times = p.stage.Histograms
		}
		p.feeds = append(p.feeds, f)
	}
	for _, g := range s.GatesIn(p.ring+1, true) {
		p.before = append(p.before, passing(g))
	}
	return p
}

func passing(g rollout.Gate) health.Judgement {
	return health.Judgement{Gate: g.Gate, Verdict: health.Pass, Reasons: []string{"what it answered is not known, and taken as a pass"}}
}

// run goes through the time and returns what is decided first.
func (p *pass) run() Decision {
	for _, now := range p.moments() {
		p.advance(now)
		ready := rollout.Instances{Ready: 1, Wanted: 1}
		ev := rollout.Evidence{Seen: true, InForce: !now.Before(p.baking), To: ready, From: ready, Before: p.before,
			Unwatched: time.Duration(p.stage.Unwatched * float64(time.Second))}
		for i := range p.trials {
			ev.Gates = append(ev.Gates, p.judgement(i))
			ev.Requests = max(ev.Requests, p.trials[i].Seen)
		}
		for {
			events := rollout.Next(p.state, ev, now)
			if len(events) == 0 {
				break
			}
			if d, ok := decided(events); ok {
				return d
			}
			p.state = rollout.FoldAll(p.state, events)
		}
		if p.state.Halted && !slices.ContainsFunc(p.events, func(e rollout.Event) bool { return e.Type == rollout.EvResumed }) {
			now = now.UTC()
			return Decision{Halted, &now, p.state.Reason}
		}
	}
	ready := rollout.Instances{Ready: 1, Wanted: 1}
	ev := rollout.Evidence{Seen: true, InForce: true, To: ready, From: ready}
	for i := range p.trials {
		ev.Gates = append(ev.Gates, p.judgement(i))
	}
	return Decision{What: Waiting, Why: p.state.Waiting(ev, p.end)}
}

// decided finds what ends a rollout's time in a ring.
func decided(events []rollout.Event) (Decision, bool) {
	for _, e := range events {
		at := e.Time.UTC()
		switch e.Type {
		case rollout.EvReverting:
			return Decision{RolledBack, &at, e.Reason}, true
		case rollout.EvPassed:
			return Decision{Passed, &at, e.Reason}, true
		}
	}
	return Decision{}, false
}

// moments are when anything may follow: at each sample, at what people did, when the bake ends, and at last.
func (p *pass) moments() []time.Time {
	bake := p.baking.Add(time.Duration(p.state.Rings[p.ring].Bake) + time.Duration(p.stage.Unwatched*float64(time.Second)))
	all := []time.Time{p.baking, bake, p.end}
	for _, f := range p.feeds {
		for _, s := range f.counts {
			all = append(all, s.At)
		}
		for _, s := range f.times {
			all = append(all, s.At)
		}
	}
	for _, e := range p.events {
		all = append(all, e.Time)
	}
	all = slices.DeleteFunc(all, func(t time.Time) bool { return t.After(p.end) })
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// advance takes in all that was known at a time.
func (p *pass) advance(now time.Time) {
	for i := range p.feeds {
		f := &p.feeds[i]
		for len(f.counts) > 0 && !f.counts[0].At.After(now) {
			_ = p.trials[i].Add(f.counts[0].Sample) // a sample that cannot be is no evidence
			f.counts = f.counts[1:]
		}
		for len(f.times) > 0 && !f.times[0].At.After(now) {
			_ = p.trials[i].AddHistogram(f.times[0].HistogramSample)
			f.times = f.times[1:]
		}
	}
	for len(p.events) > 0 && !p.events[0].Time.After(now) {
		p.hear(p.events[0])
		p.events = p.events[1:]
	}
}

// hear takes in what a person did, and what gates outside had answered.
func (p *pass) hear(e rollout.Event) {
	switch e.Type {
	case rollout.EvPaused, rollout.EvResumed, rollout.EvHurried, rollout.EvRejected:
		if e.Type != rollout.EvResumed || p.state.Paused || p.state.Halted {
			p.state = rollout.Fold(p.state, e)
		}
	case rollout.EvHalted:
		if e.Actor != "" {
			p.state = rollout.Fold(p.state, e)
		}
	}
	for _, j := range e.Gates {
		for i := range p.feeds {
			if g := p.trials[i].Gate; outside(g.Signal) && rollout.Key(g.Gate) == rollout.Key(j.Gate) {
				p.feeds[i].said = j
			}
		}
	}
}

func (p *pass) judgement(i int) health.Judgement {
	if outside(p.trials[i].Gate.Signal) {
		return p.feeds[i].said
	}
	return p.trials[i].Judgement()
}
