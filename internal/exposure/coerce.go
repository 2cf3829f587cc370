package exposure

import (
	"math"
	"strconv"
	"strings"
)

// asNumber is what v counts as in arithmetic and ordering.
func (v Value) asNumber() (float64, bool) {
	switch v.kind {
	case Null, Bool, Number:
		return v.num, true
	case String:
		return parseNumber(v.str)
	}
	return 0, false
}

// parseNumber reads the whole of s as a decimal number; blank text is 0, as in JavaScript.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, true
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// appendNumber writes f as JavaScript does: 1, 0.5, 1e+21.
func appendNumber(b []byte, f float64) []byte {
	if f == 0 {
		return append(b, '0')
	}
	if a := math.Abs(f); a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); n >= 4 && b[n-2] == '0' && (b[n-3] == '-' || b[n-3] == '+') { // Go pads the exponent to two digits
		b[n-2] = b[n-1]
		b = b[:n-1]
	}
	return b
}

// appendText writes v as part of a text: null is empty, a list is its items with commas between. It reports false
// when the text would be longer than maxText.
func (v Value) appendText(b []byte) ([]byte, bool) {
	switch v.kind {
	case String:
		b = append(b, v.str...)
	case Number:
		b = appendNumber(b, v.num)
	case Bool:
		b = strconv.AppendBool(b, v.num != 0)
	case Object:
		b = append(b, "[object Object]"...)
	case List:
		ok := true
		for i := range v.length() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, ok = v.at(i).appendText(b); !ok {
				return b, false
			}
		}
	}
	return b, len(b) <= maxText
}

// looseEqual is == : null equals only null, booleans count as 0 and 1, text is compared with a number as a number.
func looseEqual(a, b Value) bool {
	if a.kind == b.kind {
		return strictEqual(a, b)
	}
	if a.kind == Null || b.kind == Null {
		return false
	}
	x, okX := a.asNumber()
	y, okY := b.asNumber()
	return okX && okY && x == y
}

// strictEqual is === : the same type and the same content.
func strictEqual(a, b Value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case Bool, Number:
		return a.num == b.num
	case String:
		return a.str == b.str
	case List:
		return equalLists(a, b)
	case Object:
		return equalObjects(a.ref.(map[string]any), b.ref.(map[string]any))
	}
	return true
}

func equalLists(a, b Value) bool {
	n := a.length()
	if n != b.length() {
		return false
	}
	for i := range n {
		if !strictEqual(a.at(i), b.at(i)) {
			return false
		}
	}
	return true
}

func equalObjects(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		w, ok := b[k]
		if !ok || !strictEqual(valueOf(v), valueOf(w)) {
			return false
		}
	}
	return true
}
