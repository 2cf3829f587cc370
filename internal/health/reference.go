package health

import (
	"cmp"
	"math"
	"slices"
)

// referencePairs is how many of the latest windows a reference keeps. It bounds memory and time, and lets a reference
// follow values that drift.
const referencePairs = 256

// reference keeps what was seen last on both sides, in order, to say where a new value stands among it.
type reference struct {
	sorted []seen
	ring   []seen // oldest first, from next on once it is full
	next   int
}

type seen struct {
	value  float64
	canary bool
}

func bySize(a, b seen) int {
	if c := cmp.Compare(a.value, b.value); c != 0 || a.canary == b.canary {
		return c
	}
	if b.canary {
		return -1
	}
	return 1
}

// add takes the two values of a window.
func (r *reference) add(canary, stable float64) {
	r.put(seen{canary, true})
	r.put(seen{stable, false})
}

func (r *reference) put(s seen) {
	if len(r.ring) < 2*referencePairs {
		r.ring = append(r.ring, s)
	} else {
		old, _ := slices.BinarySearchFunc(r.sorted, r.ring[r.next], bySize)
		r.sorted = slices.Delete(r.sorted, old, old+1)
		r.ring[r.next] = s
		r.next = (r.next + 1) % len(r.ring)
	}
	i, _ := slices.BinarySearchFunc(r.sorted, s, bySize)
	r.sorted = slices.Insert(r.sorted, i, s)
}

// below is the index of the first value that is not below v.
func (r *reference) below(v float64) int {
	i, _ := slices.BinarySearchFunc(r.sorted, v, func(s seen, v float64) int { return cmp.Compare(s.value, v) })
	return i
}

// rank is the share of the values seen that lie below v, equal ones counting half; a half when nothing was seen.
func (r *reference) rank(v float64) float64 {
	if len(r.sorted) == 0 {
		return 0.5
	}
	lo := r.below(v)
	hi := lo
	if lo < len(r.sorted) && r.sorted[lo].value == v {
		hi = r.below(math.Nextafter(v, math.Inf(1)))
	}
	return float64(lo+hi) / float64(2*len(r.sorted))
}

// likeness is the canary's share of the values seen nearest to v, a half when nothing was seen. As many neighbours are
// asked as the square root of half the values; all that are as near as the farthest of these are asked too.
func (r *reference) likeness(v float64) float64 {
	n := len(r.sorted)
	if n == 0 {
		return 0.5
	}
	k := max(1, int(math.Sqrt(float64(n)/2)))
	hi := r.below(v)
	lo, reach := hi, 0.0 // [lo, hi) are the neighbours
	for lo > 0 || hi < n {
		under, over := math.Inf(1), math.Inf(1)
		if lo > 0 {
			under = v - r.sorted[lo-1].value
		}
		if hi < n {
			over = r.sorted[hi].value - v
		}
		near := min(under, over)
		if hi-lo >= k && near > reach {
			break
		}
		reach = near
		if under <= over {
			lo--
		} else {
			hi++
		}
	}
	canaries := 0
	for _, s := range r.sorted[lo:hi] {
		if s.canary {
			canaries++
		}
	}
	return float64(canaries) / float64(hi-lo)
}
