package tsdb

import (
	"slices"

	"github.com/ringfence/ringfence/internal/health"
)

// The arithmetic of evidence: no storage, no clock.

// maxGap is how far back a scrape looks for the one before it. A target that was away for longer begins anew.
const maxGap = 24 * 60 * 60 * 1000

// role says what an increase of a series counts for.
type role uint8

const (
	canaryRequests role = 1 << iota
	canaryBad
	stableRequests
	stableBad
)

// steps are a target's successful scrapes as intervals: step i reaches from scrape i-1 to scrape i.
type steps struct {
	times []int64 // ascending, in milliseconds
	slot  []int32 // for every scrape the index of its sample, -1 when it makes none
}

// keep picks the scrapes that make a sample in (from, to]: they have one before them.
func (s *steps) keep(from, to int64) {
	s.slot = make([]int32, len(s.times))
	for i, t := range s.times {
		s.slot[i] = -1
		if t > from && t <= to && i > 0 && t-s.times[i-1] <= maxGap {
			s.slot[i] = 0
		}
	}
}

// based reports whether every scrape in (from, to] has one before it.
func based(times []int64, from, to int64) bool {
	return len(times) == 0 || times[0] <= from || times[0] > to
}

// tally adds up increases into samples, one for every time.
type tally struct {
	times []int64
	sides [][2]seen // canary, stable
}

// seen is a side of a sample; it is nil until a series of it is there.
type seen struct {
	health.Counts
	any bool
}

// newTally lays out one sample for every time at which at least one target was scraped.
func newTally(targets []*target) *tally {
	var t tally
	for _, s := range targets {
		for i, at := range s.times {
			if s.slot[i] >= 0 {
				t.times = append(t.times, at)
			}
		}
	}
	slices.Sort(t.times)
	t.times = slices.Compact(t.times)
	t.sides = make([][2]seen, len(t.times))
	for _, s := range targets {
		k := 0
		for i, at := range s.times {
			if s.slot[i] < 0 {
				continue
			}
			for t.times[k] < at {
				k++
			}
			s.slot[i] = int32(k)
		}
	}
	return &t
}

// counter follows one series of one target through the target's scrapes.
type counter struct {
	steps *steps
	role  role
	i     int   // the scrapes before i are done
	at    int   // index of the scrape with the last value, -1 before the first
	value int64 // the last value
}

func newCounter(s *steps, r role) counter { return counter{steps: s, role: r, at: -1} }

// add takes the series' value at time at; times ascend. A value at a time that is no successful scrape of the
// target, or that no counter can have, counts as not exposed.
func (t *tally) add(c *counter, at int64, v float64) {
	for c.i < len(c.steps.times) && c.steps.times[c.i] < at {
		c.i++
	}
	if c.i == len(c.steps.times) || c.steps.times[c.i] != at || !(v >= 0 && v <= 1<<53) {
		return
	}
	now := int64(v)
	inc := now // not exposed by the scrape before, or begun again since: it counts from zero
	if c.at >= 0 && c.at == c.i-1 && now >= c.value {
		inc = now - c.value
	}
	c.at, c.value = c.i, now
	if k := c.steps.slot[c.i]; k >= 0 {
		t.sides[k][0].count(c.role&canaryRequests, c.role&canaryBad, inc)
		t.sides[k][1].count(c.role&stableRequests, c.role&stableBad, inc)
	}
}

func (s *seen) count(requests, bad role, inc int64) {
	if requests != 0 {
		s.Requests += inc
		s.any = true
	}
	if bad != 0 {
		s.Bad += inc
		s.any = true
	}
}

// finish returns the samples. A request that ended while the target gathered its counters may be in the bad ones
// and not yet in the requests: no side has more bad requests than requests.
func (t *tally) finish() []health.Sample {
	samples := make([]health.Sample, len(t.sides))
	for i := range t.sides {
		samples[i] = health.Sample{Canary: t.sides[i][0].done(), Stable: t.sides[i][1].done()}
	}
	return samples
}

func (s *seen) done() *health.Counts {
	if !s.any {
		return nil
	}
	s.Bad = min(s.Bad, s.Requests)
	return &s.Counts
}
