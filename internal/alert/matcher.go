package alert

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// Matcher is a condition on one label, as Alertmanager has it. A label that is not there is an empty one.
type Matcher struct {
	Name    string `json:"name" maxLength:"256"`
	Value   string `json:"value" maxLength:"4096"`
	IsRegex bool   `json:"isRegex" doc:"the value is a regular expression that must match the whole"`
	IsEqual bool   `json:"isEqual" doc:"false: the label must not match"`

	re *regexp.Regexp
}

// Matchers must all be met.
type Matchers []Matcher

// Compile makes the matcher ready; Matches of one that is not is false.
func (m Matcher) Compile() (Matcher, error) {
	if !ValidName(m.Name) {
		return m, errs.E(errs.Invalid, "matcher: %q is no name of a label", clip(m.Name))
	}
	if !m.IsRegex {
		return m, nil
	}
	re, err := regexp.Compile("^(?s:" + m.Value + ")$")
	if err != nil {
		return m, errs.E(errs.Invalid, "matcher %s: %q is no regular expression: %s", m.Name, clip(m.Value), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	m.re = re
	return m, nil
}

// Matches says whether labels meet the condition.
func (m Matcher) Matches(labels map[string]string) bool {
	v := labels[m.Name]
	switch {
	case !m.IsRegex:
		return (v == m.Value) == m.IsEqual
	case m.re == nil:
		return false
	}
	return m.re.MatchString(v) == m.IsEqual
}

// String is how people write it.
func (m Matcher) String() string {
	op := "="
	switch {
	case m.IsRegex && m.IsEqual:
		op = "=~"
	case m.IsRegex:
		op = "!~"
	case !m.IsEqual:
		op = "!="
	}
	name := m.Name
	if !bareRE.MatchString(name) {
		name = strconv.Quote(name)
	}
	return name + op + strconv.Quote(m.Value)
}

// Matches says whether labels meet all of them.
func (ms Matchers) Matches(labels map[string]string) bool {
	for _, m := range ms {
		if !m.Matches(labels) {
			return false
		}
	}
	return true
}

// String is how people write them.
func (ms Matchers) String() string {
	words := make([]string, len(ms))
	for i, m := range ms {
		words[i] = m.String()
	}
	return "{" + strings.Join(words, ",") + "}"
}

var (
	bareRE    = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	matcherRE = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*"|[^\s"=!~{},]+)\s*(=~|!~|!=|=)\s*(.*?)\s*$`)
)

// ParseMatcher reads name="value", with =, !=, =~ or !~; the quotes may be left out.
func ParseMatcher(s string) (Matcher, error) {
	parts := matcherRE.FindStringSubmatch(s)
	if parts == nil {
		return Matcher{}, errs.E(errs.Invalid, "matcher %q: expected a label, one of = != =~ !~, and a value, such as severity=\"page\"", clip(s))
	}
	name, value := parts[1], parts[3]
	for _, text := range []*string{&name, &value} {
		if !strings.HasPrefix(*text, `"`) {
			continue
		}
		bare, err := strconv.Unquote(*text)
		if err != nil {
			return Matcher{}, errs.E(errs.Invalid, "matcher %q: a quote is not closed, or stands within", clip(s))
		}
		*text = bare
	}
	op := parts[2]
	return Matcher{Name: name, Value: value, IsRegex: op[len(op)-1] == '~', IsEqual: op[0] == '='}.Compile()
}

// ParseMatchers reads matchers; each text may hold several, divided by commas, in braces or not.
func ParseMatchers(texts ...string) (Matchers, error) {
	var all Matchers
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "{") != strings.HasSuffix(text, "}") {
			return nil, errs.E(errs.Invalid, "matchers %q: a brace is not closed or not opened", clip(text))
		}
		if strings.HasPrefix(text, "{") {
			text = text[1 : len(text)-1]
		}
		for _, one := range split(text) {
			m, err := ParseMatcher(one)
			if err != nil {
				return nil, err
			}
			all = append(all, m)
		}
	}
	return all, nil
}

// split divides at commas outside of quotes; an empty end is none.
func split(s string) []string {
	var all []string
	begin, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			all = append(all, s[begin:i])
			begin = i + 1
		}
	}
	if strings.TrimSpace(s[begin:]) != "" {
		all = append(all, s[begin:])
	}
	return all
}
