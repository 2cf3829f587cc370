package ofrep

import (
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep a context may be nested.
const maxDepth = 64

// syntaxError says where a text stops being JSON.
type syntaxError int

func (e syntaxError) Error() string { return "not JSON from byte " + strconv.Itoa(int(e)) + " on" }

// reader reads JSON into the values of a context, as encoding/json does into an any, without its detours. Text without
// escapes is not copied: what is read shares the text it was read from.
type reader struct {
	text string
	at   int
}

func (r *reader) fail() error { return syntaxError(r.at) }

func (r *reader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// next skips space and returns the byte there, 0 at the end.
func (r *reader) next() byte {
	r.space()
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

// take skips space and c, when c is there.
func (r *reader) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

func (r *reader) end() error {
	if r.space(); r.at < len(r.text) {
		return r.fail()
	}
	return nil
}

func (r *reader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, r.fail()
	}
	switch c := r.next(); c {
	case '{':
		obj := map[string]any{}
		return obj, r.object(depth, func(key string) error {
			v, err := r.value(depth + 1)
			obj[key] = v
			return err
		})
	case '[':
		return r.list(depth)
	case '"':
		return r.string()
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	case 'n':
		return nil, r.word("null")
	default:
		return r.number()
	}
}

func (r *reader) word(w string) error {
	if len(r.text)-r.at < len(w) || r.text[r.at:r.at+len(w)] != w {
		return r.fail()
	}
	r.at += len(w)
	return nil
}

// object calls member at the value of each of its keys.
func (r *reader) object(depth int, member func(key string) error) error {
	if depth > maxDepth || !r.take('{') {
		return r.fail()
	}
	if r.take('}') {
		return nil
	}
	for {
		if r.next() != '"' {
			return r.fail()
		}
		key, err := r.string()
		if err != nil {
			return err
		}
		if !r.take(':') {
			return r.fail()
		}
		if err := member(key); err != nil {
			return err
		}
		if r.take('}') {
			return nil
		}
		if !r.take(',') {
			return r.fail()
		}
	}
}

func (r *reader) list(depth int) (any, error) {
	list := []any{}
	r.at++
	if r.take(']') {
		return list, nil
	}
	for {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if r.take(']') {
			return list, nil
		}
		if !r.take(',') {
			return nil, r.fail()
		}
	}
}

// string reads the text whose quote is here.
func (r *reader) string() (string, error) {
	r.at++
	start := r.at
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			s := r.text[start:r.at]
			r.at++
			return s, nil
		case c == '\\' || c >= utf8.RuneSelf:
			return r.escaped(start)
		case c < ' ':
			return "", r.fail()
		}
		r.at++
	}
	return "", r.fail()
}

// escaped reads on where something has to be decoded, or to be looked at closely.
func (r *reader) escaped(start int) (string, error) {
	out := append(make([]byte, 0, r.at-start+64), r.text[start:r.at]...)
	for r.at < len(r.text) {
		c := r.text[r.at]
		switch {
		case c == '"':
			r.at++
			return string(out), nil
		case c == '\\':
			var err error
			if out, err = r.escape(out); err != nil {
				return "", err
			}
		case c < ' ':
			return "", r.fail()
		case c < utf8.RuneSelf:
			out = append(out, c)
			r.at++
		default:
			char, size := utf8.DecodeRuneInString(r.text[r.at:])
			out = utf8.AppendRune(out, char) // what is not UTF-8 becomes U+FFFD
			r.at += size
		}
	}
	return "", r.fail()
}

func (r *reader) escape(out []byte) ([]byte, error) {
	if r.at+1 >= len(r.text) {
		return nil, r.fail()
	}
	switch c := r.text[r.at+1]; c {
	case '"', '\\', '/':
		out = append(out, c)
	case 'b':
		out = append(out, '\b')
	case 'f':
		out = append(out, '\f')
	case 'n':
		out = append(out, '\n')
	case 'r':
		out = append(out, '\r')
	case 't':
		out = append(out, '\t')
	case 'u':
		char, ok := r.hex(r.at)
		if !ok {
			return nil, r.fail()
		}
		r.at += 6
		if utf16.IsSurrogate(char) {
			low, _ := r.hex(r.at)
			if char = utf16.DecodeRune(char, low); char != utf8.RuneError {
				r.at += 6
			}
		}
		return utf8.AppendRune(out, char), nil
	default:
		return nil, r.fail()
	}
	r.at += 2
	return out, nil
}

// hex reads \uXXXX at i.
func (r *reader) hex(i int) (rune, bool) {
	if len(r.text)-i < 6 || r.text[i] != '\\' || r.text[i+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(r.text[i+2:i+6], 16, 32)
	return rune(n), err == nil
}

func (r *reader) number() (any, error) {
	start := r.at
	if r.at < len(r.text) && r.text[r.at] == '-' {
		r.at++
	}
	whole := r.digits()
	if whole == 0 || whole > 1 && r.text[r.at-whole] == '0' {
		return nil, r.fail()
	}
	plain := true
	if r.at < len(r.text) && r.text[r.at] == '.' {
		plain = false
		r.at++
		if r.digits() == 0 {
			return nil, r.fail()
		}
	}
	if r.at < len(r.text) && (r.text[r.at] == 'e' || r.text[r.at] == 'E') {
		plain = false
		r.at++
		if r.at < len(r.text) && (r.text[r.at] == '+' || r.text[r.at] == '-') {
			r.at++
		}
		if r.digits() == 0 {
			return nil, r.fail()
		}
	}
	if plain && whole < 16 && r.text[start] != '-' { // exact in a float64
		n := 0
		for _, c := range []byte(r.text[start:r.at]) {
			n = n*10 + int(c-'0')
		}
		return float64(n), nil
	}
	f, err := strconv.ParseFloat(r.text[start:r.at], 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, r.fail()
	}
	return f, nil
}

func (r *reader) digits() int {
	start := r.at
	for r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at - start
}
