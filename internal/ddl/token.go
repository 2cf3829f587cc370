package ddl

import (
	"strings"
	"unicode/utf8"
)

// kind says what a token is.
type kind uint8

const (
	word    kind = iota // an unquoted name or keyword
	quoted              // a quoted name
	text                // a string in whatever quotes
	number              // a number
	mark                // punctuation and operators, a byte each
	comment             // a comment; only where they are asked for
)

// token is a piece of SQL.
type token struct {
	kind kind
	s    string // of a word in lower case, of a quoted name without quotes, else as it is written
	from int    // offset of its first byte
	to   int    // offset behind its last
	line int    // counts from 1
}

func (t token) is(words ...string) bool {
	if t.kind != word && t.kind != mark {
		return false
	}
	for _, w := range words {
		if t.s == w {
			return true
		}
	}
	return false
}

// name reports whether t may be a name.
func (t token) name() bool { return t.kind == word || t.kind == quoted }

// lexer cuts SQL into tokens, by the rules of PostgreSQL with standard_conforming_strings on. It never fails: what is
// not closed goes on to the end, as psql waits for more.
type lexer struct {
	src  string
	at   int
	line int
	open bool // the last token was not closed
}

// tokens are the tokens of src without comments, and whether all of it was closed.
func tokens(src string) ([]token, bool) {
	all, closed := scan(src)
	kept := all[:0]
	for _, t := range all {
		if t.kind != comment {
			kept = append(kept, t)
		}
	}
	return kept, closed
}

func scan(src string) ([]token, bool) {
	l := &lexer{src: src, line: 1}
	var all []token
	for {
		t, ok := l.next()
		if !ok {
			return all, !l.open
		}
		all = append(all, t)
	}
}

func (l *lexer) next() (token, bool) {
	for l.at < len(l.src) && strings.IndexByte(" \t\r\n\f\v", l.src[l.at]) >= 0 {
		l.advance(1)
	}
	if l.at >= len(l.src) {
		return token{}, false
	}
	t := token{from: l.at, line: l.line}
	rest := l.src[l.at:]
	c := rest[0]
	switch {
	case strings.HasPrefix(rest, "--"):
		t.kind = comment
		end := strings.IndexByte(rest, '\n')
		if end < 0 {
			end = len(rest)
		}
		l.advance(end)
	case strings.HasPrefix(rest, "/*"):
		t.kind = comment
		l.blockComment()
	case c == '\'':
		t.kind = text
		l.closeQuote('\'', false, 1)
	case c == '"':
		t.kind = quoted
		l.closeQuote('"', false, 1)
	case c == '$' && l.dollar(rest):
		t.kind = text
	case prefixed(rest, "eE"):
		t.kind = text
		l.closeQuote('\'', true, 2)
	case prefixed(rest, "bBxXnN"):
		t.kind = text
		l.closeQuote('\'', false, 2)
	case (c == 'u' || c == 'U') && len(rest) > 2 && rest[1] == '&' && (rest[2] == '\'' || rest[2] == '"'):
		t.kind = text
		if rest[2] == '"' {
			t.kind = quoted
		}
		l.closeQuote(rest[2], false, 3)
	case letter(rest):
		t.kind = word
		l.advance(wordLen(rest))
	case c >= '0' && c <= '9' || c == '.' && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9':
		t.kind = number
		l.advance(numberLen(rest))
	default:
		t.kind = mark
		l.advance(1)
	}
	t.to = l.at
	t.s = l.src[t.from:t.to]
	switch t.kind {
	case word:
		t.s = strings.ToLower(t.s)
	case quoted:
		t.s = unquote(t.s)
	}
	return t, true
}

func prefixed(s, letters string) bool {
	return len(s) > 1 && s[1] == '\'' && strings.IndexByte(letters, s[0]) >= 0
}

func unquote(s string) string {
	s = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(s, "U&"), "u&"), `"`)
	return strings.ReplaceAll(strings.TrimSuffix(s, `"`), `""`, `"`)
}

func (l *lexer) advance(n int) {
	l.line += strings.Count(l.src[l.at:l.at+n], "\n")
	l.at += n
}

// closeQuote reads on behind the quote that begins skip-1 bytes further on.
func (l *lexer) closeQuote(q byte, escapes bool, skip int) {
	for i := l.at + skip; i < len(l.src); i++ {
		switch {
		case escapes && l.src[i] == '\\':
			i++
		case l.src[i] == q && i+1 < len(l.src) && l.src[i+1] == q:
			i++
		case l.src[i] == q:
			l.advance(i + 1 - l.at)
			return
		}
	}
	l.open = true
	l.advance(len(l.src) - l.at)
}

// blockComment reads a comment, in which others may be nested.
func (l *lexer) blockComment() {
	depth := 0
	for i := l.at; i < len(l.src); i++ {
		switch {
		case strings.HasPrefix(l.src[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(l.src[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				l.advance(i + 1 - l.at)
				return
			}
		}
	}
	l.open = true
	l.advance(len(l.src) - l.at)
}

// dollar reads a string in dollar quotes, if one begins here.
func (l *lexer) dollar(rest string) bool {
	end := strings.IndexByte(rest[1:], '$')
	if end < 0 {
		return false
	}
	tag := rest[:end+2]
	if name := tag[1 : len(tag)-1]; name != "" && (!letter(name) || wordLen(name) != len(name) || strings.Contains(name, "$")) {
		return false
	}
	if stop := strings.Index(rest[len(tag):], tag); stop >= 0 {
		l.advance(2*len(tag) + stop)
		return true
	}
	l.open = true
	l.advance(len(rest))
	return true
}

func letter(s string) bool {
	c := s[0]
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

func wordLen(s string) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !letter(s[i:]) && c != '$' && (c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}

func numberLen(s string) int {
	for i := 0; i < len(s); i++ {
		c := s[i]
		sign := (c == '+' || c == '-') && i > 0 && (s[i-1] == 'e' || s[i-1] == 'E') && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9'
		if !sign && c != '.' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return i
		}
	}
	return len(s)
}

// statement is one statement of SQL.
type statement struct {
	src    string
	tokens []token
	line   int
}

// split cuts SQL into its statements, without their semicolons, and says whether it was closed.
func split(src string) ([]statement, bool) {
	all, closed := tokens(src)
	var list []statement
	begin, depth, atomic := 0, 0, 0
	flush := func(end int) {
		if end > begin {
			from, to := all[begin].from, all[end-1].to
			list = append(list, statement{src: src[from:to], tokens: all[begin:end], line: all[begin].line})
		}
	}
	for i, t := range all {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth = max(depth-1, 0)
		// The body of a function in SQL may stand between BEGIN ATOMIC and END, semicolons included.
		case t.is("atomic") && i > 0 && all[i-1].is("begin"):
			atomic = 1
		case atomic > 0 && t.is("case"):
			atomic++
		case atomic > 0 && t.is("end"):
			atomic--
		case t.is(";") && depth == 0 && atomic == 0:
			flush(i)
			begin = i + 1
		}
	}
	flush(len(all))
	return list, closed && depth == 0
}
