package exposure

import (
	"math"
	"strings"
	"unicode/utf8"
)

func buildCat(args []node) node {
	return node{parts: args, eval: func(s scope) Value {
		var room [64]byte
		b, ok := room[:0], true
		for i := range args {
			if b, ok = args[i].eval(s).appendText(b); !ok {
				return Value{}
			}
		}
		return text(string(b))
	}}
}

// plainText is a scalar as text; null, lists and objects have none.
func (v Value) plainText() (string, bool) {
	switch v.kind {
	case String:
		return v.str, true
	case Number, Bool:
		b, ok := v.appendText(nil)
		return string(b), ok
	}
	return "", false
}

// buildSubstr counts in characters. A negative start counts from the end, a negative length leaves so many off.
func buildSubstr(args []node) node {
	return node{eval: func(s scope) Value {
		str, ok := args[0].eval(s).plainText()
		start, okStart := args[1].eval(s).asNumber()
		if !ok || !okStart {
			return Value{}
		}
		n := float64(utf8.RuneCountInString(str))
		if start = math.Trunc(start); start < 0 {
			start = max(0, n+start)
		}
		start = min(start, n)
		end := n
		if len(args) == 3 {
			length, ok := args[2].eval(s).asNumber()
			if !ok {
				return Value{}
			}
			length = math.Trunc(length)
			if end = start + length; length < 0 {
				end = n + length
			}
			end = max(start, min(end, n))
		}
		return text(slice(str, int(start), int(end)))
	}}
}

// slice cuts out characters start to end without copying.
func slice(s string, start, end int) string {
	from, to, i := len(s), len(s), 0
	for at := range s {
		if i == start {
			from = at
		}
		if i == end {
			to = at
			break
		}
		i++
	}
	return s[min(from, to):to]
}

// affix is strings.HasPrefix or strings.HasSuffix.
type affix func(s, part string) bool

var hasPrefix, hasSuffix affix = strings.HasPrefix, strings.HasSuffix

func buildAffix(has affix) func([]node) node {
	return func(args []node) node {
		whole, part := args[0].string(), args[1].string()
		check := func(s scope) (holds, known bool) {
			a, okA := whole(s)
			b, okB := part(s)
			return okA && okB && has(a, b), okA && okB
		}
		return maybe(check)
	}
}
