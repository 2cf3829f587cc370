package strict

import "strings"

const (
	token   = 1 << iota // may be in a name or a method
	text                // may be in the value of a field
	target              // may be in a target
	hexa                // is a hexadecimal digit
	host                // may be in a host's name
	special             // in a target: is worth a second look
)

var class = func() (t [256]uint8) {
	for c := range 256 {
		if c >= 0x20 && c != 0x7f || c == '\t' {
			t[c] |= text
		}
		// Bytes above ASCII are no valid target either, but old clients send them, and nobody takes them for anything else.
		if c > 0x20 && c != 0x7f && !strings.ContainsRune("\\#", rune(c)) {
			t[c] |= target
		}
	}
	set := func(chars string, bit uint8) {
		for _, c := range chars {
			t[c] |= bit
		}
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	set("!#$%&'*+-.^_`|~"+letters, token)
	set("0123456789abcdefABCDEF", hexa)
	set("-._~!$&'()*+,;="+letters, host)
	set("%", special)
	return t
}()

func all(s []byte, bit uint8) bool {
	for _, c := range s {
		if class[c]&bit == 0 {
			return false
		}
	}
	return true
}

// equal compares with a lower-case word, whatever the case of s.
func equal(s []byte, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := range s {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// listed reports whether a comma-separated list has a lower-case word.
func listed(list []byte, word string) bool {
	for len(list) > 0 {
		item := list
		rest := []byte(nil)
		for i, c := range list {
			if c == ',' {
				item, rest = list[:i], list[i+1:]
				break
			}
		}
		if equal(trim(item), word) {
			return true
		}
		list = rest
	}
	return false
}

func trim(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
