package lull

import (
	"math"
	"slices"
	"time"
)

// Threshold is the evidence that a lull needs.
const Threshold = 1e8

const (
	learn   = 5 * time.Minute  // how much of its past must be known
	recent  = 30 * time.Minute // what the median is of
	past    = 2 * time.Hour    // what the lowest is of
	breath  = 3 * time.Minute  // over which the lowest is an average
	settle  = 2 * time.Minute  // over which it must be back
	longest = time.Hour        // after which it is the new normal
	half    = 0.5              // of the median is still normal
	back    = 0.7              // of what came before is back
	almost  = 0.9              // of the lowest is still normal: it is the lowest of few
	doubt   = 10               // evidence from which on a slice may be the beginning of a lull
	refresh = time.Minute      // how often the past is looked at
)

// depths are the shares of what is normal that a lull is tested for.
var depths = [...]float64{0.02, 0.3, 0.7}

// Slice is what came in one slice of time.
type Slice struct {
	Count     float64 // NaN when it is not known
	DayBefore float64 // the lowest that came around this time of the day before, averaged over a minute or so; NaN when it is not known
}

// State is what a Watch makes of what it has seen.
type State struct {
	Known    bool    // there is enough of a past to compare with
	Lull     bool    // the requests stay away
	Usual    float64 // requests in a slice, from the recent past; of a lull: before it
	Evidence float64 // of the detector; Threshold and above is a lull
	Slices   int     // for how many slices it lasts
}

// Watch watches one service. Its zero value is not ready: use New.
type Watch struct {
	step    time.Duration
	slices  []Slice // the last two hours, without those of a lull
	pending []Slice // those that may be the beginning of one
	sums    [len(depths)]float64
	State
	since []float64 // counts since the lull was seen
	idle  int       // slices without requests before the first one with some

	learned                            int // slices since the past was looked at, which said:
	atLeast, lowest, dayBefore, spread float64
}

// New makes a watch for slices of a length.
func New(step time.Duration) *Watch { return &Watch{step: step} }

func (w *Watch) in(d time.Duration) int { return max(1, int(d/w.step)) }

// Add takes the next slice in.
func (w *Watch) Add(s Slice) State {
	switch {
	case w.Lull:
		w.during(s)
	case math.IsNaN(s.Count):
	default:
		w.test(s)
		if w.Lull {
			w.pending = nil
			break
		}
		if w.pending = append(w.pending, s); w.Evidence < doubt || len(w.pending) > w.in(recent) {
			w.keep()
		}
	}
	return w.State
}

// keep adds what is pending to the past.
func (w *Watch) keep() {
	for _, s := range w.pending {
		switch {
		case len(w.slices) > 0 || s.Count > 0:
			w.slices = append(w.slices, w.rest(s)...)
		default: // it has not begun
			w.idle++
		}
	}
	w.pending = w.pending[:0]
	if over := len(w.slices) - w.in(past); over > 0 {
		w.slices = slices.Delete(w.slices, 0, over)
	}
}

// rest is a slice and, when it is the first with requests after a long time without any, some of that time: it is normal as well.
func (w *Watch) rest(s Slice) []Slice {
	if w.idle <= w.in(learn) {
		w.idle = 0
		return []Slice{s}
	}
	w.idle = 0
	return append(slices.Repeat([]Slice{{DayBefore: s.DayBefore}}, 1+w.in(breath)), s)
}

func (w *Watch) test(s Slice) {
	w.Known = len(w.slices) > w.in(learn)
	if !w.Known {
		return
	}
	if w.learned++; w.learned > w.in(refresh) || w.spread == 0 {
		w.look()
	}
	normal := max(0, min(w.atLeast*w.season(s), w.lowest))
	w.Evidence = 0
	for i, r := range depths {
		gain := (s.Count*math.Log(r) + normal*(1-r)) / w.spread
		w.sums[i] = min(1e30, (1+w.sums[i])*math.Exp(min(gain, 60)))
		w.Evidence += w.sums[i] / float64(len(depths))
	}
	if w.Evidence >= Threshold {
		w.Lull, w.Slices, w.since = true, 1, nil
	}
}

// look reads from the past how many requests are normal at least, and how many times their variance is that of chance.
func (w *Watch) look() {
	near := w.slices[max(0, len(w.slices)-w.in(recent)):]
	counts, before := make([]float64, len(near)), make([]float64, 0, len(near))
	for i, n := range near {
		counts[i] = n.Count
		if !math.IsNaN(n.DayBefore) {
			before = append(before, n.DayBefore)
		}
	}
	w.learned, w.spread = 0, max(spreadOf(counts), spreadOf(sums(counts, 6)))
	w.Usual = median(counts)
	w.atLeast = half * (w.Usual - 3*math.Sqrt(w.spread*max(w.Usual, 1)/float64(len(counts)))) // as little as it may be
	w.lowest = almost * w.low()
	w.dayBefore = 0
	if 2*len(before) >= len(near) {
		w.dayBefore = median(before)
	}
}

// season is how much less is to be expected than a while ago, by the day before; at most 1.
func (w *Watch) season(now Slice) float64 {
	if math.IsNaN(now.DayBefore) || w.dayBefore <= 0 {
		return 1
	}
	return min(1, now.DayBefore/w.dayBefore)
}

// low is the lowest that the past has seen over a breath. The first slice is left out: it may have begun within it.
func (w *Watch) low() float64 {
	n := w.in(breath)
	low, sum := math.Inf(1), 0.0
	for i, s := range w.slices[1:] {
		sum += s.Count
		if i >= n {
			sum -= w.slices[1+i-n].Count
		}
		if i >= n-1 {
			low = min(low, sum/float64(n))
		}
	}
	return low
}

// during waits for the requests to come back, or for so long that this is how it is now.
func (w *Watch) during(s Slice) {
	w.Slices++
	if w.Slices > w.in(longest) {
		*w = Watch{step: w.step}
		return
	}
	if math.IsNaN(s.Count) {
		return
	}
	w.since = append(w.since, s.Count)
	if n := w.in(settle); len(w.since) >= n {
		w.since = w.since[len(w.since)-n:]
		if median(w.since) >= back*w.Usual {
			w.Lull, w.Evidence, w.Slices, w.since = false, 0, 0, nil
			clear(w.sums[:])
		}
	}
}

// spreadOf is how many times the variance of counts is that of chance (Poisson), at least 1: from the differences of neighbours, and
// from their median, so that a trend or a single burst does not count.
func spreadOf(counts []float64) float64 {
	var all []float64
	for i := 1; i < len(counts); i++ {
		if sum := counts[i] + counts[i-1]; sum > 0 {
			d := counts[i] - counts[i-1]
			all = append(all, d*d/sum)
		}
	}
	if len(all) < 5 {
		return 1
	}
	const medianOfChi2 = 0.4549
	return max(1, median(all)/medianOfChi2)
}

// sums are the sums of n counts each.
func sums(counts []float64, n int) []float64 {
	var all []float64
	for i := 0; i+n <= len(counts); i += n {
		var sum float64
		for _, c := range counts[i : i+n] {
			sum += c
		}
		all = append(all, sum)
	}
	return all
}

func median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(xs))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
