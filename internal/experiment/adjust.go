package experiment

import (
	"cmp"
	"slices"
)

// Adjusted are p-values, in their order, each as large as a single one would have to be to mean as much. NaN stands for one that
// there is not: it stays and does not count.
func Adjusted(c Correction, ps []float64) []float64 {
	out := slices.Clone(ps)
	var order []int // from the least
	for i, p := range ps {
		if p == p {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ps[a], ps[b]) })
	m := float64(len(order))
	switch c {
	case Holm: // step down: each is at least the one before
		last := 0.0
		for k, i := range order {
			last = max(last, min(1, ps[i]*(m-float64(k))))
			out[i] = last
		}
	case BenjaminiHochberg: // step up: each is at most the one after
		last := 1.0
		for k, i := range slices.Backward(order) {
			last = min(last, ps[i]*(m/float64(k+1)))
			out[i] = last
		}
	}
	return out
}
