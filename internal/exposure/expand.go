package exposure

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// Limits of audiences, with everything that they refer to.
const (
	maxAudiences = 1000
	maxUsers     = 20000
	maxKeyBytes  = 512
)

// ExpandRing turns a ring of a plan into the form in which data planes get it, with its segments put in.
func ExpandRing(salt string, from resource.Ring, segments map[string]resource.Segment) (fleet.Ring, error) {
	to := fleet.Ring{Name: from.Name, Units: from.Units}
	a := from.Audience
	if len(formsOf(a)) == 0 {
		if len(from.Units) > 0 { // everyone there, which is not everyone
			to.Audience = json.RawMessage("true")
		}
		return to, nil
	}
	var err error
	if to.Audience, err = Expand(salt, a, segments); err != nil {
		return fleet.Ring{}, err
	}
	if a.Percent != nil && *a.Percent > 0 { // 0 stays a rule: no percentage and no rule is everyone
		to.Percent, to.Audience = *a.Percent, nil
	}
	return to, nil
}

// Expand turns an audience into one rule that any flagd provider evaluates. Percentages hash the salt with the
// targeting key, so they nest with the percent rings of that salt. Errors are of kind Invalid and name the field.
func Expand(salt string, a resource.Audience, segments map[string]resource.Segment) (json.RawMessage, error) {
	x := &expander{salt: salt, segments: segments}
	tree, err := x.audience(a)
	if err != nil {
		return nil, err
	}
	raw := mustJSON(tree)
	if len(raw) > maxRingBytes {
		return nil, errs.E(errs.Invalid, "audience has %d bytes with its segments, at most %d are allowed", len(raw), maxRingBytes)
	}
	return raw, nil
}

type expander struct {
	salt     string
	segments map[string]resource.Segment
	open     []string // segments being put in, the outermost first
	path     []string
	count    int
	users    int
}

func (x *expander) fail(format string, args ...any) error {
	at := strings.Join(append([]string{"audience"}, x.path...), ".")
	return errs.E(errs.Invalid, at+": "+format, args...)
}

func (x *expander) at(step string, do func() (any, error)) (any, error) {
	x.path = append(x.path, step)
	tree, err := do()
	x.path = x.path[:len(x.path)-1]
	return tree, err
}

// formsOf names the forms that are set.
func formsOf(a resource.Audience) (forms []string) {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"users", a.Users != nil},
		{"segment", a.Segment != ""},
		{"tenants", a.Tenants != nil},
		{"regions", a.Regions != nil},
		{"percent", a.Percent != nil},
		{"rule", a.Rule != nil},
		{"any", a.Any != nil},
	} {
		if f.set {
			forms = append(forms, f.name)
		}
	}
	return forms
}

// audience expands one audience. An empty one is refused: it would be everyone, which nobody means inside a list or
// as a segment, and which for a ring is said by leaving the audience out.
func (x *expander) audience(a resource.Audience) (any, error) {
	if x.count++; x.count > maxAudiences {
		return nil, x.fail("more than %d audiences with those of its segments", maxAudiences)
	}
	forms := formsOf(a)
	if len(forms) != 1 {
		return nil, x.fail("has %s; expected exactly one of users, segment, tenants, regions, percent, rule, any", listed(forms))
	}
	return x.at(forms[0], func() (any, error) {
		switch forms[0] {
		case "users":
			return x.listUsers(a.Users)
		case "segment":
			return x.segment(a.Segment)
		case "tenants":
			return x.attribute("tenant", a.Tenants)
		case "regions":
			return x.attribute("region", a.Regions)
		case "percent":
			return x.percent(*a.Percent)
		case "rule":
			return x.rule(a.Rule)
		}
		return x.any(a.Any)
	})
}

func listed(forms []string) string {
	if len(forms) == 0 {
		return "nothing"
	}
	return strings.Join(forms, " and ")
}

func (x *expander) listUsers(users []string) (any, error) {
	if x.users += len(users); x.users > maxUsers {
		return nil, x.fail("more than %d users; give them an attribute and use a rule on it", maxUsers)
	}
	if len(users) == 0 {
		return nil, x.fail("is empty; expected at least one targeting key")
	}
	for i, u := range users {
		if u == "" || len(u) > maxKeyBytes {
			return nil, x.fail("item %d has %d bytes; expected 1 to %d", i, len(u), maxKeyBytes)
		}
	}
	return usersTree(users), nil
}

// attribute is true for those whose attribute is one of values.
func (x *expander) attribute(name string, values []string) (any, error) {
	if x.users += len(values); x.users > maxUsers {
		return nil, x.fail("more than %d values", maxUsers)
	}
	if len(values) == 0 {
		return nil, x.fail("is empty; expected at least one")
	}
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return map[string]any{"in": []any{map[string]any{"var": name}, list}}, nil
}

func (x *expander) segment(name string) (any, error) {
	segment, ok := x.segments[name]
	if !ok {
		return nil, x.fail("there is no segment %q", name)
	}
	if i := slices.Index(x.open, name); i >= 0 {
		return nil, x.fail("segments refer to each other in a circle: %s", strings.Join(append(x.open[i:], name), " → "))
	}
	x.open = append(x.open, name)
	defer func() { x.open = x.open[:len(x.open)-1] }()
	return x.at(name, func() (any, error) { return x.audience(segment.Audience) })
}

func (x *expander) percent(percent float64) (any, error) {
	below, err := threshold(percent)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "%s", strings.Join(append([]string{"audience"}, x.path...), "."))
	}
	if below == 0 {
		return false, nil
	}
	return percentTree(x.salt, below), nil
}

func (x *expander) rule(raw json.RawMessage) (any, error) {
	at := strings.Join(append([]string{"audience"}, x.path...), ".")
	tree, err := decode(raw, MaxRuleBytes)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "%s", at)
	}
	if tree == nil || bytes.Equal(bytes.TrimSpace(raw), []byte("{}")) {
		return nil, x.fail("is empty; expected an operator such as {\"==\": [{\"var\": \"plan\"}, \"beta\"]}")
	}
	if _, err := new(Rings).way(x.salt, tree); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "%s", at)
	}
	return tree, nil
}

func (x *expander) any(audiences []resource.Audience) (any, error) {
	if len(audiences) == 0 {
		return nil, x.fail("is empty; expected at least one audience")
	}
	var alternatives []any
	for i, a := range audiences {
		tree, err := x.at(strconv.Itoa(i), func() (any, error) { return x.audience(a) })
		if err != nil {
			return nil, err
		}
		if inner, ok := operand(tree, "or"); ok { // flat, so that the way into a ring can be named
			alternatives = append(alternatives, inner...)
			continue
		}
		alternatives = append(alternatives, tree)
	}
	return map[string]any{"or": alternatives}, nil
}
