package strict

import (
	"bytes"
	"strings"
)

// Target reads a request's target in origin form: a path, perhaps with a query. Escapes must be whole, and none may be a null. A segment
// "." or ".." must be written as such: escaped dots, or slashes and backslashes that are escaped beside dots, mean another path to some
// readers than to others. Other escapes are passed on as they are, an escaped slash included.
func Target(t []byte) *Violation {
	escaped := false
	for _, c := range t {
		if f := class[c]; f&target == 0 {
			return badTarget
		} else if f&special != 0 {
			escaped = true
		}
	}
	if !escaped {
		return nil
	}
	p := t
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		p = t[:i]
	}
	for i := 0; i < len(t); i++ {
		if t[i] != '%' {
			continue
		}
		if i+2 >= len(t) || class[t[i+1]]&class[t[i+2]]&hexa == 0 {
			return badEscape
		}
		if i < len(p) && t[i+1] == '0' && t[i+2] == '0' {
			return badEscape
		}
	}
	return dots(p)
}

// dots looks at the segments of a path between slashes, however they are written.
func dots(p []byte) *Violation {
	start, escapes := 0, false // of the segment as it is read: decoded, and ended by any slash
	var seg [3]byte
	n := 0
	for i := start; i <= len(p); {
		c, wide := byte('/'), false
		step := 1
		if i < len(p) {
			if c = p[i]; c == '%' {
				c, wide, step = unhex(p[i+1])<<4|unhex(p[i+2]), true, 3
			}
		}
		if c == '/' || c == '\\' {
			dotted := n == 1 && seg[0] == '.' || n == 2 && seg[0] == '.' && seg[1] == '.'
			if dotted && (escapes || wide) {
				return badDots
			}
			n, escapes = 0, wide
		} else {
			if n < len(seg) {
				seg[n] = c
				n++
			}
			escapes = escapes || wide && c == '.'
		}
		i += step
	}
	return nil
}

// Host reads the value of a Host field: a name, an IPv4 address or an IPv6 one in brackets, perhaps with a port.
func Host(h []byte) bool {
	if len(h) == 0 || len(h) > 300 {
		return false
	}
	rest := h
	if h[0] == '[' {
		i := bytes.IndexByte(h, ']')
		if i < 3 {
			return false
		}
		for _, c := range h[1:i] {
			if class[c]&hexa == 0 && c != ':' && c != '.' {
				return false
			}
		}
		rest = h[i+1:]
	} else {
		i := bytes.IndexByte(h, ':')
		if i < 0 {
			i = len(h)
		}
		if i == 0 || !all(h[:i], host) {
			return false
		}
		rest = h[i:]
	}
	if len(rest) == 0 {
		return true
	}
	if rest[0] != ':' || len(rest) > 6 {
		return false
	}
	for _, c := range rest[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Underscored reports whether a field's name has an underscore.
func Underscored(name string) bool { return strings.IndexByte(name, '_') >= 0 }

// Decoded checks a request that a server has read from HTTP/2 already.
func Decoded(path, authority string) *Violation {
	if path != "*" {
		if path == "" || path[0] != '/' {
			return badTarget
		}
		if v := Target([]byte(path)); v != nil {
			return v
		}
	}
	if authority != "" && !Host([]byte(authority)) {
		return badHost
	}
	return nil
}

// Underscore is the violation of a name with an underscore.
func Underscore() *Violation { return underscore }

// TwoHosts is the violation of a request that names two hosts.
func TwoHosts() *Violation { return hostMismatch }
