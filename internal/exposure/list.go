package exposure

import (
	"maps"
	"slices"
	"strings"
)

// buildIn looks for an item in a list, or for a text in a text.
func buildIn(args []node) node {
	needle, hay := args[0].eval, args[1]
	if hay.fixed && hay.value.kind == List {
		set, get := newSet(hay.value), args[0].string()
		return predicate(func(s scope) bool {
			if str, ok := get(s); ok {
				return set.hasText(str)
			}
			return set.has(needle(s))
		})
	}
	return predicate(func(s scope) bool {
		n, h := needle(s), hay.eval(s)
		switch h.kind {
		case String:
			part, ok := n.plainText()
			return ok && strings.Contains(h.str, part)
		case List:
			for i := range h.length() {
				if strictEqual(n, h.at(i)) {
					return true
				}
			}
		}
		return false
	})
}

// set is a constant list prepared for look-ups: thousands of users cost as much as one.
type set struct {
	few     []string // the texts when there are so few that comparing is faster than hashing
	texts   map[string]struct{}
	numbers map[float64]struct{}
	rest    []Value
}

func newSet(list Value) *set {
	s := &set{texts: map[string]struct{}{}, numbers: map[float64]struct{}{}}
	for i := range list.length() {
		switch v := list.at(i); v.kind {
		case String:
			s.texts[v.str] = struct{}{}
		case Number:
			s.numbers[v.num] = struct{}{}
		default:
			s.rest = append(s.rest, v)
		}
	}
	if len(s.texts) <= 8 {
		s.few = slices.Sorted(maps.Keys(s.texts))
		s.texts = nil
	}
	return s
}

func (s *set) hasText(str string) bool {
	for _, few := range s.few {
		if few == str {
			return true
		}
	}
	_, found := s.texts[str]
	return found
}

func (s *set) has(v Value) (found bool) {
	switch v.kind {
	case String:
		return s.hasText(v.str)
	case Number:
		_, found = s.numbers[v.num]
		return found
	}
	for _, r := range s.rest {
		if strictEqual(v, r) {
			return true
		}
	}
	return false
}

// buildMerge makes one list of its arguments, taking lists apart by one level.
func buildMerge(args []node) node {
	return node{eval: func(s scope) Value {
		var out []Value
		for i := range args {
			v := args[i].eval(s)
			if v.kind != List {
				out = append(out, v)
			}
			if len(out)+v.length() > maxListWeight {
				return Value{}
			}
			for j := range v.length() {
				out = append(out, v.at(j))
			}
		}
		return newList(out)
	}}
}
