package resource

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits for values that name no narrower one.
const (
	maxText     = 16 << 10
	maxElements = 10_000
	maxDuration = 365 * 24 * time.Hour
)

// conform adds a problem for every place where v is not of shape s. m carries the limits of the field that holds v.
func (p *problems) conform(v any, s *Shape, m Member, path string) {
	if v == nil && s.Type != Any {
		p.add(path, s.words(m), "has no value: leave the field out or give it one")
		return
	}
	switch s.Type {
	case Object:
		p.object(v, s, path)
	case Map:
		p.mapping(v, s, m, path)
	case List:
		p.listing(v, s, m, path)
	case Number, Integer:
		p.number(v, s, m, path)
	case Text, Duration, Time:
		p.text(v, s, m, path)
	case Bool:
		if _, ok := v.(bool); !ok {
			p.add(path, s.words(m), "got %s", describe(v))
		}
	}
}

func (p *problems) object(v any, s *Shape, path string) {
	obj, ok := v.(map[string]any)
	if !ok {
		p.add(path, s.words(Member{}), "got %s", describe(v))
		return
	}
	for _, name := range sortedKeys(obj) {
		if m, ok := s.Member(name); ok {
			p.conform(obj[name], m.Shape, m, field(path, name))
			continue
		}
		if len(p.list) >= maxProblems {
			break
		}
		names := s.names()
		hint := ""
		if near := nearest(name, names); near != "" {
			hint = ", did you mean " + near + "?"
		}
		p.add(field(path, name), "one of "+strings.Join(names, ", "), "unknown field %s%s", clip(name), hint)
	}
	for _, m := range s.Fields {
		if _, ok := obj[m.Name]; m.Required && !ok {
			p.add(field(path, m.Name), m.Shape.words(m), "missing")
		}
	}
}

func (p *problems) mapping(v any, s *Shape, m Member, path string) {
	obj, ok := v.(map[string]any)
	if !ok {
		p.add(path, s.words(m), "got %s", describe(v))
		return
	}
	most := m.most(maxElements)
	p.need(len(obj) <= most, path, fmt.Sprintf("at most %d", most), "has %d entries", len(obj))
	for _, k := range sortedKeys(obj) {
		p.need(k != "" && len(k) <= 256, field(path, k), "1 to 256 characters", "a name of %d", len(k))
		p.conform(obj[k], s.Elem, Member{}, field(path, k))
	}
}

func (p *problems) listing(v any, s *Shape, m Member, path string) {
	list, ok := v.([]any)
	if !ok {
		p.add(path, s.words(m), "got %s", describe(v))
		return
	}
	most := m.most(maxElements)
	p.need(len(list) <= most, path, fmt.Sprintf("at most %d", most), "has %d elements", len(list))
	p.need(len(list) >= m.MinLen, path, fmt.Sprintf("at least %d", m.MinLen), "has %d elements", len(list))
	for i, e := range list[:min(len(list), most)] {
		p.conform(e, s.Elem, Member{}, item(path, i))
	}
}

// number also refuses an explicit 0 where it would silently mean the default.
func (p *problems) number(v any, s *Shape, m Member, path string) {
	n, ok := v.(json.Number)
	if !ok {
		p.add(path, s.words(m), "got %s", describe(v))
		return
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		p.add(path, s.words(m), "got %s, which is too large", clip(n.String()))
		return
	}
	if s.Type == Integer {
		if _, err := strconv.ParseInt(n.String(), 10, 64); err != nil {
			p.add(path, s.words(m), "got %s", describe(v))
			return
		}
	}
	if f == 0 && m.Min == nil && m.Name != "" && !m.Required && !m.Unset {
		p.add(path, s.words(m)+" other than 0", "got 0: leave the field out for the default")
		return
	}
	if m.Min != nil && f < *m.Min || m.Max != nil && f > *m.Max {
		p.add(path, s.words(m), "got %s", clip(n.String()))
	}
}

func (p *problems) text(v any, s *Shape, m Member, path string) {
	t, ok := v.(string)
	if !ok {
		quote := ""
		if s.Type == Text && !isContainer(v) {
			quote = ": put it in quotes"
		}
		p.add(path, s.words(m), "got %s%s", describe(v), quote)
		return
	}
	switch s.Type {
	case Duration:
		d, err := time.ParseDuration(t)
		if err != nil || d <= 0 || d > maxDuration {
			p.add(path, s.words(m), "got %q", clip(t))
		}
		return
	case Time:
		if _, err := time.Parse(time.RFC3339Nano, t); err != nil {
			p.add(path, s.words(m), "got %q", clip(t))
		}
		return
	}
	most := m.most(maxText)
	switch {
	case len(t) > most:
		p.add(path, fmt.Sprintf("at most %d", most), "has %d bytes", len(t))
	case !utf8.ValidString(t) || strings.ContainsRune(t, 0):
		p.add(path, "UTF-8 text", "holds a zero byte or is not UTF-8")
	case len(m.Enum) > 0 && !slices.Contains(m.Enum, t):
		hint := ""
		if near := nearest(t, m.Enum); near != "" {
			hint = ", did you mean " + near + "?"
		}
		p.add(path, s.words(m), "got %q%s", clip(t), hint)
	}
}

// words says what is expected of a value of this shape, for a person.
func (s *Shape) words(m Member) string {
	switch s.Type {
	case Object:
		return "fields such as " + strings.Join(s.names()[:min(3, len(s.Fields))], ", ")
	case Map:
		return "names with values"
	case List:
		return "a list"
	case Duration:
		return "a duration such as 30m, above zero and at most a year"
	case Time:
		return "a time such as 2026-01-31T12:00:00Z"
	case Bool:
		return "true or false"
	case Number, Integer:
		w := map[Type]string{Number: "a number", Integer: "a whole number"}[s.Type]
		if m.Min != nil && m.Max != nil {
			return fmt.Sprintf("%s from %s to %s", w, plain(*m.Min), plain(*m.Max))
		}
		if m.Min != nil {
			return fmt.Sprintf("%s of at least %s", w, plain(*m.Min))
		}
		return w
	}
	if len(m.Enum) > 0 {
		return "one of " + strings.Join(m.Enum, ", ")
	}
	return "text"
}

func plain(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func (s *Shape) names() []string {
	names := make([]string, len(s.Fields))
	for i, m := range s.Fields {
		names[i] = m.Name
	}
	return names
}

func (m Member) most(def int) int {
	if m.MaxLen > 0 {
		return m.MaxLen
	}
	return def
}

// describe says what a value is, for a person.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case bool:
		return fmt.Sprint(v)
	case json.Number:
		return "the number " + clip(v.String())
	case string:
		return fmt.Sprintf("the text %q", clip(v))
	case []any:
		return "a list"
	}
	return "fields"
}

func isContainer(v any) bool {
	switch v.(type) {
	case map[string]any, []any, nil:
		return true
	}
	return false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
