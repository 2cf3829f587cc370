package exposure

import "strings"

// buildEqual compares each argument with the next; all pairs must be equal (or, with want false, unequal).
func buildEqual(same func(a, b Value) bool, want bool) func([]node) node {
	return func(args []node) node {
		if len(args) == 2 {
			return equalPair(args[0], args[1], same, want)
		}
		return predicate(func(s scope) bool {
			a := args[0].eval(s)
			for _, n := range args[1:] {
				b := n.eval(s)
				if same(a, b) != want {
					return false
				}
				a = b
			}
			return true
		})
	}
}

func equalPair(x, y node, same func(a, b Value) bool, want bool) node {
	if x.fixed && !y.fixed {
		x, y = y, x
	}
	eval := x.eval
	if y.fixed && y.value.kind == String { // by far the most common
		get, str, v := x.string(), y.value.str, y.value
		return predicate(func(s scope) bool {
			if a, ok := get(s); ok {
				return (a == str) == want
			}
			return same(eval(s), v) == want
		})
	}
	other := y.eval
	return predicate(func(s scope) bool { return same(eval(s), other(s)) == want })
}

// ordering is a set of the results of a comparison.
type ordering uint8

const (
	less ordering = 1 << iota
	equal
	greater
)

// compare orders two texts as texts and all else as numbers; 0 when they have no order.
func compare(a, b Value) ordering {
	if a.kind == Number && b.kind == Number {
		return compareNumbers(a.num, b.num)
	}
	if a.kind == String && b.kind == String {
		return less << (strings.Compare(a.str, b.str) + 1)
	}
	x, okX := a.asNumber()
	y, okY := b.asNumber()
	if !okX || !okY {
		return 0
	}
	return compareNumbers(x, y)
}

func compareNumbers(x, y float64) ordering {
	switch {
	case x < y:
		return less
	case x > y:
		return greater
	}
	return equal
}

// buildOrder compares each argument with the next, which makes three arguments a between.
func buildOrder(want ordering) func([]node) node {
	return func(args []node) node {
		return maybe(func(s scope) (holds, known bool) {
			a := args[0].get(s)
			for i := 1; i < len(args); i++ {
				b := args[i].get(s)
				got := compare(a, b)
				if got&want == 0 {
					return false, got != 0
				}
				a = b
			}
			return true, true
		})
	}
}
