package slo

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// templateRE finds where an expression leaves its window open, as other tools' documents do.
var templateRE = regexp.MustCompile(`\{\{\s*\.window\s*\}\}|\$__(rate_interval|range|interval)\b|\$window\b`)

// words of PromQL that are followed by names of labels, and those that are no metric.
var (
	grouping = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
	reserved = []string{"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "start", "end", "fill", "fill_left", "fill_right"}
)

// counters puts fn(…[window]) around every selector of an expression that reads counters, and the window where it is left open.
// An expression that names windows of its own is refused: it is no counter any more.
func counters(expr, fn, window string) (string, error) {
	if templateRE.MatchString(expr) {
		return templateRE.ReplaceAllString(expr, window), nil
	}
	s := scanner{in: expr}
	var out strings.Builder
	found := false
	for {
		t := s.next()
		switch {
		case t.kind == 0:
			if s.err == nil && !found {
				s.err = errors.New("reads no metric")
			}
			return out.String(), s.err
		case t.kind == '[':
			return "", errors.New("has a window of its own, which no counter has: leave rate(…[5m]) away, write {{.window}} for the window, or say counter: false")
		case t.kind != 'm':
			out.WriteString(t.text)
			continue
		}
		found = true
		fmt.Fprintf(&out, "%s(%s[%s]%s)", fn, t.text, window, s.modifiers())
	}
}

// token is a piece of an expression: 'm' for a selector, '[' for a window, '(' and ')', 'o' for anything else, 0 for the end.
type token struct {
	kind rune
	text string
}

type scanner struct {
	in    string
	at    int
	err   error
	depth int  // of parentheses with names of labels
	names bool // the next parenthesis holds names of labels
}

func (s *scanner) next() token {
	from := s.at
	if s.err != nil || s.at >= len(s.in) {
		return token{}
	}
	c := s.in[s.at]
	switch {
	case c == '"' || c == '\'' || c == '`':
		s.quoted()
	case c == '#':
		for s.at < len(s.in) && s.in[s.at] != '\n' {
			s.at++
		}
	case c == '{':
		s.braces()
		return s.token('m', from)
	case c == '[':
		s.at++
		return s.token('[', from)
	case c == '(':
		if s.names || s.depth > 0 {
			s.depth++
		}
		s.names = false
		s.at++
		return s.token('(', from)
	case c == ')':
		s.depth = max(0, s.depth-1)
		s.at++
		return s.token(')', from)
	case c >= '0' && c <= '9' || c == '.':
		for s.at < len(s.in) && (word(s.in[s.at]) || s.in[s.at] == '.') {
			s.at++
		}
	case word(c) || c == ':':
		return s.name(from)
	default:
		s.at++
	}
	return s.token('o', from)
}

func (s *scanner) token(kind rune, from int) token {
	if s.err != nil {
		return token{}
	}
	return token{kind, s.in[from:s.at]}
}

// name is a function, a keyword, a label or a selector.
func (s *scanner) name(from int) token {
	for s.at < len(s.in) && (word(s.in[s.at]) || s.in[s.at] == ':') {
		s.at++
	}
	low := strings.ToLower(s.in[from:s.at])
	after := s.blank(s.at)
	switch {
	case s.depth > 0 || slices.Contains(reserved, low):
		return s.token('o', from)
	case slices.Contains(grouping, low):
		s.names = strings.HasPrefix(s.in[after:], "(")
		return s.token('o', from)
	case strings.HasPrefix(s.in[after:], "("):
		return s.token('o', from)
	case aggregates(low) && groups(s.in[after:]):
		return s.token('o', from)
	case strings.HasPrefix(s.in[after:], "{"):
		s.at = after
		s.braces()
	}
	return s.token('m', from)
}

var aggregators = []string{"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio"}

func aggregates(name string) bool { return slices.Contains(aggregators, name) }

// groups says whether by or without follows, as after an aggregator.
func groups(rest string) bool {
	low := strings.ToLower(rest)
	return strings.HasPrefix(low, "by") || strings.HasPrefix(low, "without")
}

var modifierRE = regexp.MustCompile(`^\s*(offset\s+-?\s*[0-9a-z]+|@\s*([0-9.]+|(start|end)\s*\(\s*\)))`)

// modifiers are what belongs to a selector and stands after its window.
func (s *scanner) modifiers() string {
	from := s.at
	for {
		m := modifierRE.FindString(s.in[s.at:])
		if m == "" {
			return s.in[from:s.at]
		}
		s.at += len(m)
	}
}

func (s *scanner) blank(at int) int {
	for at < len(s.in) && strings.IndexByte(" \t\r\n", s.in[at]) >= 0 {
		at++
	}
	return at
}

func (s *scanner) braces() {
	s.at++
	for s.at < len(s.in) && s.in[s.at] != '}' {
		switch s.in[s.at] {
		case '"', '\'', '`':
			s.quoted()
		default:
			s.at++
		}
	}
	if s.at >= len(s.in) {
		s.fail("a brace that is not closed")
		return
	}
	s.at++
}

func (s *scanner) quoted() {
	q := s.in[s.at]
	for s.at++; s.at < len(s.in) && s.in[s.at] != q; s.at++ {
		if s.in[s.at] == '\\' && q != '`' {
			s.at++
		}
	}
	if s.at >= len(s.in) {
		s.at = len(s.in)
		s.fail("text that is not closed")
		return
	}
	s.at++
}

func (s *scanner) fail(why string) {
	if s.err == nil {
		s.err = errors.New("has " + why)
	}
}

func word(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
