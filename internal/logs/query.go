package logs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Filter says which entries are meant. Empty fields mean all; several values of one field mean any of them.
type Filter struct {
	Service, Version, Ring, Unit, Instance, Source []string
	Severity                                       Severity // and above
	Text                                           string   // words that the text or an attribute holds, in any case; in quotes, a phrase; after a -, one that it does not hold
	Trace                                          string
	From, To                                       time.Time // From is meant, To is not
}

// MatchLabels says whether entries with l may be meant.
func (f *Filter) MatchLabels(l *Labels) bool {
	return in(f.Service, l.Service) && in(f.Version, l.Version) && in(f.Ring, l.Ring) && in(f.Unit, l.Unit) && in(f.Instance, l.Instance) && in(f.Source, l.Source)
}

func in(any []string, s string) bool {
	if len(any) == 0 {
		return true
	}
	for _, a := range any {
		if a == s {
			return true
		}
	}
	return false
}

// Span says whether entries between from and to may be meant.
func (f *Filter) Span(from, to time.Time) bool {
	return (f.To.IsZero() || from.Before(f.To)) && (f.From.IsZero() || !to.Before(f.From))
}

// Matcher is a filter that is ready for many entries.
type Matcher struct {
	Filter
	words, without []string
}

// Compile makes a filter ready.
func (f Filter) Compile() (*Matcher, error) {
	if len(f.Text) > 1000 {
		return nil, errs.E(errs.Invalid, "the text to look for has %d characters; expected at most 1000", len(f.Text))
	}
	if !f.From.IsZero() && !f.To.IsZero() && f.To.Before(f.From) {
		return nil, errs.E(errs.Invalid, "the time ends before it begins")
	}
	m := &Matcher{Filter: f}
	for rest := strings.ToLower(f.Text); rest != ""; {
		rest = strings.TrimLeft(rest, " \t\n")
		into := &m.words
		if strings.HasPrefix(rest, "-") && len(rest) > 1 {
			into, rest = &m.without, rest[1:]
		}
		word := ""
		if strings.HasPrefix(rest, `"`) {
			word, rest, _ = strings.Cut(rest[1:], `"`)
		} else {
			word, rest, _ = strings.Cut(rest, " ")
		}
		if word != "" {
			*into = append(*into, word)
		}
	}
	return m, nil
}

// Match says whether an entry is meant. Its labels are looked at, too.
func (m *Matcher) Match(e *Entry) bool {
	return m.MatchLabels(&e.Labels) && m.MatchRest(e)
}

// MatchRest is Match for an entry whose labels are.
func (m *Matcher) MatchRest(e *Entry) bool {
	if e.Severity < m.Severity || !m.From.IsZero() && e.Time.Before(m.From) || !m.To.IsZero() && !e.Time.Before(m.To) {
		return false
	}
	if m.Trace != "" && m.Trace != e.Trace {
		return false
	}
	for _, w := range m.words {
		if !e.holds(w) {
			return false
		}
	}
	for _, w := range m.without {
		if e.holds(w) {
			return false
		}
	}
	return true
}

// May says whether there may be an entry that is meant among some whose texts and attributes are all in raw.
func (m *Matcher) May(raw string) bool {
	for _, w := range m.words {
		if !strings.Contains(w, "=") && !containsFold(raw, w) {
			return false
		}
	}
	return true
}

func (e *Entry) holds(word string) bool {
	if containsFold(e.Text, word) || e.Trace != "" && strings.Contains(e.Trace, word) {
		return true
	}
	for k, v := range e.Attributes {
		if containsFold(v, word) || containsFold(k+"="+v, word) {
			return true
		}
	}
	return false
}

// containsFold is strings.Contains of s in lower case, without making it when it is ASCII.
func containsFold(s, lower string) bool {
	if len(lower) == 0 {
		return true
	}
	for i := range len(lower) {
		if lower[i] >= 0x80 {
			return strings.Contains(strings.ToLower(s), lower)
		}
	}
	a, b := lower[0], lower[0]
	if 'a' <= a && a <= 'z' {
		b -= 'a' - 'A'
	}
	for i := 0; i+len(lower) <= len(s); i++ {
		if s[i] != a && s[i] != b {
			continue
		}
		k := 1
		for k < len(lower) && fold(s[i+k]) == lower[k] {
			k++
		}
		if k == len(lower) {
			return true
		}
	}
	return false
}

func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Cursor is a place in the order of entries. Its zero means none.
type Cursor struct {
	Time time.Time
	Seq  uint64
}

// At is the place of an entry.
func (e *Entry) At() Cursor { return Cursor{e.Time, e.Seq} }

// Before says whether c comes first.
func (c Cursor) Before(o Cursor) bool {
	if !c.Time.Equal(o.Time) {
		return c.Time.Before(o.Time)
	}
	return c.Seq < o.Seq
}

// IsZero says whether it is none.
func (c Cursor) IsZero() bool { return c.Seq == 0 && c.Time.IsZero() }

func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d-%d", c.Time.UnixNano(), c.Seq)
}

// ParseCursor reads what String wrote.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	a, b, ok := strings.Cut(s, "-")
	nanos, err := strconv.ParseInt(a, 10, 64)
	seq, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err != nil || err2 != nil {
		return Cursor{}, errs.E(errs.Invalid, "cursor %.60q: expected one that an answer gave", s)
	}
	return Cursor{time.Unix(0, nanos), seq}, nil
}

// Query asks for entries: the newest first, or with After those that came later, the oldest first.
type Query struct {
	Filter
	Limit  int    // default 100, at most 5000
	Before Cursor // older than this
	After  uint64 // taken later than the entry with this number
	Tail   bool   // with After: the oldest first, also when After is 0
}

// MaxLimit is how many entries an answer has at most.
const MaxLimit = 5000

// Page is an answer.
type Page struct {
	Entries []Entry
	Next    Cursor // for Before; zero when these are all
	Last    uint64 // the number of the newest entry that the store had
	Partial bool   // not all of the time could be read within the time for an answer: what is there is right, older ones may be missing
}

// Count is how many entries have the same values of what was counted by.
type Count struct {
	Values  []string
	Entries int64
	Errors  int64   // with severity error and above
	Steps   []int64 // entries by step of time, when one was asked for
}

// CountQuery asks for counts by labels and by time.
type CountQuery struct {
	Filter
	By   []string      // service, version, ring, unit, instance, source, severity
	Step time.Duration // 0: no steps
}

// MaxCounts is how many different values are told; the rest is one count without values.
const MaxCounts = 100

// Counts is an answer, the most entries first.
type Counts struct {
	All     []Count
	Partial bool
}

// Value is what an entry has of a name to count by.
func (e *Entry) Value(name string) string {
	switch name {
	case "service":
		return e.Service
	case "version":
		return e.Version
	case "ring":
		return e.Ring
	case "unit":
		return e.Unit
	case "instance":
		return e.Instance
	case "source":
		return e.Source
	case "severity":
		return e.Severity.String()
	}
	return ""
}

// CheckBy says whether entries can be counted by these names.
func CheckBy(names []string) error {
	for _, n := range names {
		switch n {
		case "service", "version", "ring", "unit", "instance", "source", "severity":
		default:
			return errs.E(errs.Invalid, "logs are not counted by %.40q; expected service, version, ring, unit, instance, source or severity", n)
		}
	}
	return nil
}
