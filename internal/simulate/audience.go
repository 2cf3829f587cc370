package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

// maxNesting is how deep segments may refer to each other; plans that are deeper are refused elsewhere.
const maxNesting = 32

// coverage is the share of the users in some rings: the largest percentage, as they nest, and audiences independent of it.
type coverage struct {
	percent float64
	named   map[string]float64
}

func (c coverage) share() float64 {
	out := 1 - c.percent
	for _, k := range slices.Sorted(maps.Keys(c.named)) { // in order, so that rounding is the same each time
		out *= 1 - c.named[k]
	}
	return 1 - out
}

// measure finds the share of the users that each ring and those before it hold, and what had to be assumed for that.
func (c Case) measure() (shares []float64, assumed []string, err error) {
	m := measuring{Case: c, all: coverage{named: map[string]float64{}}, used: map[string]bool{}}
	for i, r := range c.Plan.Rings {
		if i == len(c.Plan.Rings)-1 {
			shares = append(shares, 1)
			break
		}
		if err := m.ring(r); err != nil {
			return nil, nil, err
		}
		shares = append(shares, m.all.share())
	}
	for _, name := range slices.Sorted(maps.Keys(c.Shares)) {
		if !m.used[name] {
			return nil, nil, errs.E(errs.Invalid, "share of %q: the plan has no such segment and no such ring with a rule or list", clip(name)).
				Next("Give shares of segments that the plan's rings name.")
		}
		if s := c.Shares[name]; !(s >= 0 && s <= 1) {
			return nil, nil, errs.E(errs.Invalid, "share of %q: got %v, expected 0 to 100%%", clip(name), s)
		}
	}
	return shares, m.assumed, nil
}

type measuring struct {
	Case
	all     coverage
	used    map[string]bool // names whose share was given and needed
	assumed []string
}

func (m *measuring) ring(r resource.Ring) error {
	if s, given := m.Shares[r.Name]; given && r.Audience.Percent == nil && r.Audience.Segment != r.Name {
		m.used[r.Name] = true
		m.all.named["ring "+r.Name] = s
		return nil
	}
	return m.audience(r.Audience, "ring "+r.Name, 0)
}

// audience adds who is in a; name says where it stands, and tells audiences of the same users from others.
func (m *measuring) audience(a resource.Audience, name string, depth int) error {
	if depth > maxNesting {
		return errs.E(errs.Invalid, "%s: segments refer to each other in a circle or deeper than %d levels", name, maxNesting)
	}
	switch {
	case a.Percent != nil:
		m.all.percent = max(m.all.percent, *a.Percent/100)
	case a.Users != nil:
		m.all.named[name+" "+strings.Join(a.Users, "\n")] = min(1, float64(len(a.Users))/float64(m.Users))
	case a.Any != nil:
		for i, one := range a.Any {
			if err := m.audience(one, fmt.Sprintf("%s, part %d", name, i+1), depth+1); err != nil {
				return err
			}
		}
	case a.Segment != "":
		return m.segment(a.Segment, depth)
	default:
		m.assume(name)
	}
	return nil
}

func (m *measuring) segment(name string, depth int) error {
	key := "segment " + name
	if s, given := m.Shares[name]; given {
		m.used[name] = true
		m.all.named[key] = s
		return nil
	}
	if s, known := m.Segments[name]; known {
		return m.audience(s.Audience, key, depth+1)
	}
	m.assume(key)
	return nil
}

func (m *measuring) assume(name string) {
	if _, known := m.all.named[name]; !known {
		m.all.named[name] = defaultShare
		m.assumed = append(m.assumed, fmt.Sprintf("%s holds %s of the users", name, percent(defaultShare)))
	}
}
