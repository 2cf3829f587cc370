package health

import "slices"

const (
	// MaxBounds is the most bounds that a sample may have: the gateway's histograms have about two hundred.
	MaxBounds = 1000
	// maxGrid is the most different bounds over all samples.
	maxGrid = 4000
)

// grid adds up histograms whose bounds need not be the same from sample to sample: it has a bound wherever any sample
// has one. How many requests were over a bound that a sample does not have is known from its neighbours to lie
// between two numbers, and both are kept.
type grid struct {
	bounds []float64
	sides  [2]overs // canary, stable
	sample [2]overs // of the last sample

	last   []float64 // its bounds
	floor  []int     // for each bound of the grid, the last of the sample's that is not above it, -1 for none
	ceil   []int     // the first that is not below it, len(last) for none
	ratio  float64
	scaled []int // for each bound of the grid, the first that is not below ratio times it, len(bounds) for none
}

// overs are how many requests of a side took longer than each bound of the grid.
type overs struct {
	n    int64
	sure []int64 // at least so many
	most []int64 // at most so many
}

// over is the number of requests that certainly took longer than bound i; none is certain to be over what lies beyond
// all bounds.
func (o overs) over(i int) int64 {
	if i < len(o.sure) {
		return o.sure[i]
	}
	return 0
}

// add takes the next sample's bounds and counts, nil for a side without data.
func (g *grid) add(bounds []float64, canary, stable *Histogram) {
	if !slices.Equal(bounds, g.last) || g.scaled == nil {
		g.take(bounds)
	}
	for i, h := range []*Histogram{canary, stable} {
		g.read(&g.sample[i], h)
	}
}

// keep adds the last sample to the sums.
func (g *grid) keep() {
	for i := range g.sides {
		sum, one := &g.sides[i], &g.sample[i]
		sum.n += one.n
		for k := range g.bounds {
			sum.sure[k] += one.sure[k]
			sum.most[k] += one.most[k]
		}
	}
}

// fits reports whether the grid has room for the bounds.
func (g *grid) fits(bounds []float64) bool {
	if slices.Equal(bounds, g.last) {
		return true
	}
	more := 0
	for _, b := range bounds {
		if _, there := slices.BinarySearch(g.bounds, b); !there {
			more++
		}
	}
	return len(g.bounds)+more <= maxGrid
}

// take makes the grid have all of the bounds, and notes how they lie in it.
func (g *grid) take(bounds []float64) {
	for _, b := range bounds {
		at, there := slices.BinarySearch(g.bounds, b)
		if there {
			continue
		}
		for i := range g.sides {
			s := &g.sides[i]
			sure, most := s.over(at), s.n
			if at > 0 {
				most = s.most[at-1]
			}
			s.sure, s.most = slices.Insert(s.sure, at, sure), slices.Insert(s.most, at, most)
		}
		g.bounds = slices.Insert(g.bounds, at, b)
	}
	n := len(g.bounds)
	for i := range g.sample {
		g.sample[i].sure, g.sample[i].most = make([]int64, n), make([]int64, n)
	}
	g.last = slices.Clone(bounds)
	g.floor, g.ceil, g.scaled = make([]int, n), make([]int, n), make([]int, n)
	for k, b := range g.bounds {
		at, there := slices.BinarySearch(bounds, b)
		g.ceil[k], g.floor[k] = at, at-1
		if there {
			g.floor[k] = at
		}
		g.scaled[k] = k
		if g.ratio != 1 {
			g.scaled[k] = g.from(g.ratio * b)
		}
	}
}

// from is the first bound of the grid that is not below v. Bounds are powers and products, and rounded: one that is v but for
// the last digits is v.
func (g *grid) from(v float64) int {
	at, _ := slices.BinarySearch(g.bounds, v*(1-1e-12))
	return at
}

func (g *grid) read(o *overs, h *Histogram) {
	o.n = 0
	if h == nil {
		clear(o.sure)
		clear(o.most)
		return
	}
	above := make([]int64, len(g.last)+1) // requests over the sample's own bounds; certainly none beyond them all
	for i := len(g.last) - 1; i >= 0; i-- {
		above[i] = above[i+1] + h.Counts[i+1]
	}
	o.n = h.total()
	for k := range g.bounds {
		o.sure[k], o.most[k] = above[g.ceil[k]], o.n
		if f := g.floor[k]; f >= 0 {
			o.most[k] = above[f]
		}
	}
}

func (h *Histogram) total() (n int64) {
	if h != nil {
		for _, c := range h.Counts {
			n += c
		}
	}
	return n
}
