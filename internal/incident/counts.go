package incident

import (
	"cmp"
	"slices"
	"time"
)

// Cell is a part of a service's traffic.
type Cell struct {
	Version string `json:"version,omitempty"`
	Ring    string `json:"ring,omitempty"`
	Variant string `json:"variant,omitempty" doc:"of a flag, as set/flag=variant"`
}

// Count is what a cell saw in the time since the count before, until At.
type Count struct {
	At time.Time
	Cell
	Requests, Bad float64
}

// Line is a counter as it stood at some times: Unix seconds and value, in order.
type Line struct {
	Cell
	Bad    bool // what it counts is bad
	Only   bool // it counts bad requests that other lines count as requests
	Points [][2]float64
}

// Increases turns counters into counts. A counter that was not there at first counts from zero, and so does one that
// fell: it began anew. One that is there from the first time on only counts from then.
func Increases(lines []Line, from time.Time) []Count {
	type key struct {
		at int64
		Cell
	}
	sums := map[key]*Count{}
	for _, l := range lines {
		last, begun := 0.0, false
		for i, p := range l.Points {
			at, v := time.UnixMilli(int64(p[0]*1000)).UTC(), p[1]
			inc := v - last
			if begun && v < last {
				inc = v
			}
			known := begun || i > 0 || at.After(from)
			last, begun = v, true
			if !known {
				continue
			}
			k := key{at.UnixMilli(), l.Cell}
			c := sums[k]
			if c == nil {
				c = &Count{At: at, Cell: l.Cell}
				sums[k] = c
			}
			if !l.Only {
				c.Requests += inc
			}
			if l.Bad {
				c.Bad += inc
			}
		}
	}
	all := make([]Count, 0, len(sums))
	for _, c := range sums {
		c.Bad = min(c.Bad, c.Requests) // a request may be in one counter and not yet in the other
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Ring, b.Ring), cmp.Compare(a.Variant, b.Variant))
	})
	return all
}

// Tally is a number of requests and how many of them were bad.
type Tally struct {
	Requests float64 `json:"requests"`
	Bad      float64 `json:"bad"`
}

// Rate is the share of bad ones.
func (t Tally) Rate() float64 {
	if t.Requests == 0 {
		return 0
	}
	return t.Bad / t.Requests
}

func (t *Tally) add(c Count) {
	t.Requests += c.Requests
	t.Bad += c.Bad
}

// moment is what a part of the traffic saw at once.
type moment struct {
	at time.Time
	Tally
}

// series is what of counts a part saw, moment by moment.
func series(counts []Count, in func(Cell) bool) []moment {
	var all []moment
	for _, c := range counts {
		if !in(c.Cell) {
			continue
		}
		if n := len(all); n == 0 || !all[n-1].at.Equal(c.At) {
			all = append(all, moment{at: c.At})
		}
		all[len(all)-1].add(c)
	}
	return all
}

// part is a named part of the traffic.
type part struct {
	name string
	in   func(Cell) bool
}

// maxParts bounds how many parts of the traffic are looked at.
const maxParts = 60

// partsOf are the whole, each version, ring and variant, and each version in each ring.
func partsOf(counts []Count) []part {
	seen := map[string]bool{}
	all := []part{{"all requests", func(Cell) bool { return true }}}
	add := func(name string, in func(Cell) bool) {
		if !seen[name] && len(all) < maxParts {
			seen[name] = true
			all = append(all, part{name, in})
		}
	}
	for _, c := range counts {
		c := c.Cell
		if c.Version != "" {
			add("version "+c.Version, func(o Cell) bool { return o.Version == c.Version })
		}
		if c.Ring != "" {
			add("ring "+c.Ring, func(o Cell) bool { return o.Ring == c.Ring })
		}
		if c.Variant != "" {
			add("variant "+c.Variant, func(o Cell) bool { return o.Variant == c.Variant })
		}
	}
	for _, c := range counts {
		c := c.Cell
		if c.Version != "" && c.Ring != "" {
			add("version "+c.Version+" in ring "+c.Ring, func(o Cell) bool { return o.Version == c.Version && o.Ring == c.Ring })
		}
	}
	return all
}
