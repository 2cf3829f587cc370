package replay

import (
	"maps"
	"math"
	"slices"

	"github.com/ringfence/ringfence/internal/health"
)

// thinned keeps no more than maxSamples, by adding neighbours up whenever there are more.
type thinned struct {
	samples []Counts
	by      int // samples that one of them holds, at most
	open    int // of the last one, so far
}

func (t *thinned) add(c Counts) {
	t.by = max(t.by, 1)
	if n := len(t.samples); n > 0 && t.open < t.by && alike(t.samples[n-1].Sample, c.Sample) {
		t.samples[n-1] = plus(t.samples[n-1], c)
		t.open++
		return
	}
	if len(t.samples) == maxSamples {
		t.halve()
	}
	t.samples = append(t.samples, c)
	t.open = 1
}

// halve adds up pairs that have the same sides; where that is not enough, all pairs.
func (t *thinned) halve() {
	half := pairs(t.samples, func(a, b Counts) bool { return alike(a.Sample, b.Sample) }, plus)
	if len(half) > maxSamples*3/4 {
		half = pairs(half, func(a, b Counts) bool { return true }, plus)
	}
	t.samples, t.by = half, 2*t.by
}

func pairs[T any](all []T, fit func(a, b T) bool, plus func(a, b T) T) []T {
	out := all[:0]
	for i := 0; i < len(all); i++ {
		one := all[i]
		if i+1 < len(all) && fit(one, all[i+1]) {
			i++
			one = plus(one, all[i])
		}
		out = append(out, one)
	}
	return out
}

func alike(a, b health.Sample) bool {
	return (a.Canary == nil) == (b.Canary == nil) && (a.Stable == nil) == (b.Stable == nil)
}

func plus(a, b Counts) Counts {
	return Counts{b.At, health.Sample{Canary: sum(a.Canary, b.Canary), Stable: sum(a.Stable, b.Stable)}}
}

func sum(a, b *health.Counts) *health.Counts {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &health.Counts{Requests: a.Requests + b.Requests, Bad: a.Bad + b.Bad, Users: a.Users + b.Users}
}

// heaps keeps no more than maxHistograms.
type heaps struct {
	samples []Latencies
	by      int
	open    int
}

func (h *heaps) add(l Latencies) {
	h.by = max(h.by, 1)
	if n := len(h.samples); n > 0 && h.open < h.by {
		h.samples[n-1] = pile(h.samples[n-1], l)
		h.open++
		return
	}
	if len(h.samples) == maxHistograms {
		h.samples, h.by = pairs(h.samples, func(a, b Latencies) bool { return true }, pile), 2*h.by
	}
	h.samples = append(h.samples, l)
	h.open = 1
}

// pile adds up two samples whose buckets may differ: each bucket is known by its upper bound.
func pile(a, b Latencies) Latencies {
	bounds := map[float64]bool{}
	for _, v := range slices.Concat(a.Bounds, b.Bounds) {
		bounds[v] = true
	}
	out := Latencies{At: b.At}
	out.Bounds = slices.Sorted(maps.Keys(bounds))
	out.Canary = side(out.Bounds, a.Bounds, a.Canary, b.Bounds, b.Canary)
	out.Stable = side(out.Bounds, a.Bounds, a.Stable, b.Bounds, b.Stable)
	return out
}

func side(bounds, boundsA []float64, a *health.Histogram, boundsB []float64, b *health.Histogram) *health.Histogram {
	if a == nil && b == nil {
		return nil
	}
	at := map[float64]int64{}
	note := func(bounds []float64, h *health.Histogram) {
		if h == nil {
			return
		}
		for i, n := range h.Counts {
			upper := math.Inf(1)
			if i < len(bounds) {
				upper = bounds[i]
			}
			at[upper] += n
		}
	}
	note(boundsA, a)
	note(boundsB, b)
	out := &health.Histogram{Counts: make([]int64, 0, len(bounds)+1)}
	for _, v := range bounds {
		out.Counts = append(out.Counts, at[v])
	}
	out.Counts = append(out.Counts, at[math.Inf(1)])
	return out
}
