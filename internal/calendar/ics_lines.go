package calendar

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/errs"
)

// Limits of an iCalendar file.
const (
	icsBytes   = 1 << 20
	icsEvents  = 1000
	icsNesting = 8
)

// line is a content line of an iCalendar file (RFC 5545, section 3.1).
type line struct {
	number int // in the file, where it begins
	name   string
	params map[string]string
	value  string
}

// component is what stands between BEGIN and END.
type component struct {
	name  string
	at    int
	lines []line
	parts []*component
}

func (c *component) find(name string) (line, bool) {
	for _, l := range c.lines {
		if l.name == name {
			return l, true
		}
	}
	return line{}, false
}

func (c *component) all(name string) []line {
	var out []line
	for _, l := range c.lines {
		if l.name == name {
			out = append(out, l)
		}
	}
	return out
}

// readComponents reads a file as the tree of its components.
func readComponents(r io.Reader) (*component, error) {
	text, err := io.ReadAll(io.LimitReader(r, icsBytes+1))
	switch {
	case err != nil:
		return nil, errs.Wrap(errs.Unavailable, err, "the calendar cannot be read")
	case len(text) > icsBytes:
		return nil, errs.E(errs.Invalid, "the calendar has more than %d bytes", icsBytes)
	case !utf8.Valid(text):
		return nil, errs.E(errs.Invalid, "the calendar is not in UTF-8")
	}
	root := &component{}
	open := []*component{root}
	err = contentLines(bytes.TrimPrefix(text, []byte("\ufeff")), func(l line) error {
		top := open[len(open)-1]
		switch {
		case l.name == "BEGIN" && len(open) > icsNesting:
			return errs.E(errs.Invalid, "line %d: components nest deeper than %d", l.number, icsNesting)
		case l.name == "BEGIN":
			c := &component{name: strings.ToUpper(l.value), at: l.number}
			top.parts = append(top.parts, c)
			open = append(open, c)
		case l.name == "END" && (len(open) == 1 || !strings.EqualFold(l.value, top.name)):
			return errs.E(errs.Invalid, "line %d: END:%.30s, but %.30q is open", l.number, l.value, top.name)
		case l.name == "END":
			open = open[:len(open)-1]
		default:
			top.lines = append(top.lines, l)
		}
		return nil
	})
	if top := open[len(open)-1]; err == nil && len(open) > 1 {
		err = errs.E(errs.Invalid, "line %d: %.30q has no END: the file is cut off", top.at, top.name)
	}
	return root, err
}

// contentLines calls do for each line, once those that were broken for their length are joined again.
func contentLines(text []byte, do func(line) error) error {
	var whole []byte
	begun, n := 0, 0
	flush := func() error {
		if len(whole) == 0 {
			return nil
		}
		l, err := parseLine(string(whole))
		if err != nil {
			return errs.Wrap(errs.Invalid, err, "line %d", begun)
		}
		l.number = begun
		return do(l)
	}
	for raw := range bytes.SplitSeq(text, []byte("\n")) {
		n++
		raw = bytes.TrimSuffix(raw, []byte("\r"))
		if len(raw) > 0 && (raw[0] == ' ' || raw[0] == '\t') && n > 1 {
			whole = append(whole, raw[1:]...)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		whole, begun = append(whole[:0], raw...), n
	}
	return flush()
}

// parseLine takes NAME;PARAM="VALUE":value apart. Of a parameter with several values the first is kept: none that
// matters here has more.
func parseLine(text string) (line, error) {
	l := line{params: map[string]string{}}
	end := strings.IndexAny(text, ";:")
	if end <= 0 {
		return l, errs.E(errs.Invalid, "got %.40q, expected NAME:value", text)
	}
	l.name = strings.ToUpper(text[:end])
	for rest := text[end:]; ; {
		if rest[0] == ':' {
			l.value = rest[1:]
			return l, nil
		}
		name, after, ok := strings.Cut(rest[1:], "=")
		if !ok {
			return l, errs.E(errs.Invalid, "%.40q has a parameter without a value", l.name)
		}
		first := true
		for first || strings.HasPrefix(after, ",") {
			var value string
			if value, after, ok = paramValue(strings.TrimPrefix(after, ",")); !ok {
				return l, errs.E(errs.Invalid, "%.40q has a quotation mark that is not closed", l.name)
			}
			if first {
				l.params[strings.ToUpper(name)] = value
			}
			first = false
		}
		if after == "" || after[0] != ';' && after[0] != ':' {
			return l, errs.E(errs.Invalid, "%.40q has no colon before its value", l.name)
		}
		rest = after
	}
}

func paramValue(s string) (value, rest string, ok bool) {
	if quoted, ok := strings.CutPrefix(s, `"`); ok {
		value, rest, ok = strings.Cut(quoted, `"`)
		return value, rest, ok
	}
	end := strings.IndexAny(s, ";:,")
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:], true
}

var unescape = strings.NewReplacer(`\\`, `\`, `\n`, " ", `\N`, " ", `\;`, ";", `\,`, ",")

// plainText is a TEXT value on one line, without what steers a terminal, at most so many bytes.
func plainText(value string, most int) string {
	text := strings.Join(strings.FieldsFunc(unescape.Replace(value), func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa0 }), " ")
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}
