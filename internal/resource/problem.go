package resource

import (
	"fmt"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// maxProblems bounds what one answer tells; the rest show once these are mended.
const maxProblems = 100

// Problem says which field of which resource is wrong, and what was expected there.
type Problem struct {
	Index    int    `json:"index" doc:"position of the resource in what was sent, from 0; -1 for one that was there before"`
	Kind     string `json:"kind,omitempty" doc:"kind of the resource"`
	Name     string `json:"name,omitempty" doc:"name of the resource"`
	Path     string `json:"path,omitempty" doc:"the field, as in spec.rings[1].bake"`
	Msg      string `json:"message" doc:"what is wrong"`
	Expected string `json:"expected,omitempty" doc:"what was expected"`
}

// Text is the problem without the resource: the field, what is wrong and what was expected.
func (p Problem) Text() string {
	s := p.Msg
	if p.Expected != "" {
		s += ", expected " + p.Expected
	}
	if p.Path != "" {
		s = p.Path + ": " + s
	}
	return s
}

func (p Problem) String() string {
	if p.Kind == "" && p.Name == "" {
		return p.Text()
	}
	return Key(p.Kind, p.Name) + ": " + p.Text()
}

// Problems are all that is wrong with a set, as an error.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "; ")
}

// Refuse turns problems into one error of kind Invalid, nil when there are none; errors.As finds the Problems.
func Refuse(ps []Problem) error {
	if len(ps) == 0 {
		return nil
	}
	if len(ps) == 1 {
		return errs.Wrap(errs.Invalid, Problems(ps), "refused, nothing was changed")
	}
	return errs.Wrap(errs.Invalid, Problems(ps), "refused for %d problems, nothing was changed", len(ps))
}

// Key names a resource of a kind as it stands in events: service/shop.
func Key(kind, name string) string { return strings.ToLower(kind) + "/" + name }

// problems collects what is wrong with one resource.
type problems struct{ list []Problem }

func (p *problems) add(path, expected, format string, args ...any) {
	if len(p.list) < maxProblems {
		p.list = append(p.list, Problem{Path: path, Expected: expected, Msg: fmt.Sprintf(format, args...)})
	}
}

// need adds a problem unless ok.
func (p *problems) need(ok bool, path, expected, format string, args ...any) {
	if !ok {
		p.add(path, expected, format, args...)
	}
}

// field is the path of a member: plain when it is a word, else quoted in brackets.
func field(path, name string) string {
	if !wordRE.MatchString(name) {
		return fmt.Sprintf("%s[%q]", path, clip(name))
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// item is the path of an element.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// clip keeps a value from outside short enough for a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// Field is the path of member name under path, and Item that of element i, as Problem.Path spells them.
func Field(path, name string) string { return field(path, name) }

// Item is the path of element i under path.
func Item(path string, i int) string { return item(path, i) }
