package incident

import (
	"math"
	"time"
)

// cellTally is a cell before and since the onset.
type cellTally struct {
	Cell
	before, since Tally
	normal        float64 // the share of bad requests that it had before
}

// split is what is compared: every cell before and since a time.
type split struct {
	cells  []cellTally
	before Tally
	since  Tally
	spread float64 // how much more the counts vary than chance lets them
}

// ownPast is how many requests of its own past a cell needs until that counts as much as the whole's.
const ownPast = 200

// splitAt sums counts up around a time.
func splitAt(counts []Count, onset time.Time) split {
	at := map[Cell]int{}
	var s split
	for _, c := range counts {
		i, ok := at[c.Cell]
		if !ok {
			i = len(s.cells)
			at[c.Cell] = i
			s.cells = append(s.cells, cellTally{Cell: c.Cell})
		}
		if c.At.After(onset) {
			s.cells[i].since.add(c)
			s.since.add(c)
		} else {
			s.cells[i].before.add(c)
			s.before.add(c)
		}
	}
	whole := (s.before.Bad + weight/2) / (s.before.Requests + weight/2/floor)
	for i, c := range s.cells {
		s.cells[i].normal = (c.before.Bad + ownPast*whole) / (c.before.Requests + ownPast)
	}
	s.spread = spreadOf(counts, onset, whole)
	return s
}

// spreadOf is Pearson's chi-squared per degree of freedom of the counts before the onset: 1 is chance, more is traffic
// whose bad requests come in bursts.
func spreadOf(counts []Count, onset time.Time, p float64) float64 {
	var chi, n float64
	for _, m := range series(counts, func(Cell) bool { return true }) {
		if e := m.Requests * p; !m.at.After(onset) && e > 0.5 {
			chi += (m.Bad - e) * (m.Bad - e) / e
			n++
		}
	}
	if n < 10 {
		return 1
	}
	return min(20, max(1, chi/n))
}

// excess is the likeliest rise of the share of bad requests in the cells of e, when all others stay normal.
func (s split) excess(e func(Cell) bool) float64 {
	slope := func(d float64) float64 {
		var sum float64
		for _, c := range s.cells {
			if e(c.Cell) && c.since.Requests > 0 {
				sum += c.since.Bad/(c.normal+d) - c.since.Requests
			}
		}
		return sum
	}
	if slope(0) <= 0 {
		return 0
	}
	low, high := 0.0, 1.0
	for range 60 {
		if mid := (low + high) / 2; slope(mid) > 0 {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// likelihood is the logarithm of how likely the counts since the onset are (Poisson) when the cells of e are raised by d.
func (s split) likelihood(e func(Cell) bool, d float64) float64 {
	var sum float64
	for _, c := range s.cells {
		if c.since.Requests <= 0 {
			continue
		}
		p := c.normal
		if e(c.Cell) {
			p += d
		}
		m := c.since.Requests * p
		sum += c.since.Bad*math.Log(m) - m
	}
	return sum
}

func everywhere(Cell) bool { return true }

// most is the most that one look at the counts may say, for or against: models are never quite true.
const most = 25

// concentration is the logarithm of the likelihood ratio of two models: that only the cells of e got worse, and that all
// got worse alike. Each has one unknown, the rise, at its likeliest.
func (s split) concentration(e func(Cell) bool) float64 {
	r := s.likelihood(e, s.excess(e)) - s.likelihood(everywhere, s.excess(everywhere))
	return min(most, max(-most, r/s.spread))
}

// sickness is the logarithm of the likelihood ratio of everything got worse against nothing did.
func (s split) sickness() float64 {
	r := s.likelihood(everywhere, s.excess(everywhere)) - s.likelihood(everywhere, 0)
	return min(most, r/s.spread)
}

// tallies are what the cells of e, and the others, saw since the onset.
func (s split) tallies(e func(Cell) bool) (in, out Tally) {
	for _, c := range s.cells {
		t := &out
		if e(c.Cell) {
			t = &in
		}
		t.Requests += c.since.Requests
		t.Bad += c.since.Bad
	}
	return in, out
}
