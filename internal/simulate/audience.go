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
	m := measuring{Case: c, used: map[string]bool{}}
	m.places()
	for i, r := range c.Plan.Rings {
		if i == len(c.Plan.Rings)-1 {
			shares = append(shares, 1)
			break
		}
		if err := m.ring(r); err != nil {
			return nil, nil, err
		}
		shares = append(shares, m.share())
	}
	if sum := m.placed(); sum > 1+1e-9 {
		return nil, nil, errs.E(errs.Invalid, "the units hold %s of the users together, expected at most 100 %%", percent(sum))
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
	all     *coverage            // that which a ring is being added to
	rest    coverage             // of the users in no unit that the plan names
	units   map[string]*coverage // of those in one that it names
	parts   map[string]float64   // of the users, by such a unit
	used    map[string]bool      // names whose share was given and needed
	assumed []string
}

// places finds the units that the plan names, and how many of the users are in each.
func (m *measuring) places() {
	m.rest, m.units, m.parts = coverage{named: map[string]float64{}}, map[string]*coverage{}, map[string]float64{}
	for _, r := range m.Plan.Rings {
		for _, u := range r.Units {
			m.units[u] = &coverage{named: map[string]float64{}}
		}
	}
	for _, u := range slices.Sorted(maps.Keys(m.units)) {
		s, given := m.Shares[u]
		if !given {
			s = 1 / float64(len(m.units)+1)
			m.assumed = append(m.assumed, fmt.Sprintf("unit %s holds %s of the users", u, percent(s)))
		}
		m.used[u], m.parts[u] = true, s
	}
}

// placed is the share of the users in units that the plan names.
func (m *measuring) placed() (sum float64) {
	for _, u := range slices.Sorted(maps.Keys(m.parts)) {
		sum += m.parts[u]
	}
	return sum
}

// share is that of all users whom the rings so far hold.
func (m *measuring) share() float64 {
	sum := max(0, 1-m.placed()) * m.rest.share()
	for _, u := range slices.Sorted(maps.Keys(m.units)) {
		sum += m.parts[u] * m.units[u].share()
	}
	return min(1, sum)
}

// ring adds a ring everywhere, or only in its units.
func (m *measuring) ring(r resource.Ring) error {
	places := []*coverage{&m.rest}
	for _, u := range slices.Sorted(maps.Keys(m.units)) {
		if len(r.Units) == 0 || slices.Contains(r.Units, u) {
			places = append(places, m.units[u])
		}
	}
	if len(r.Units) > 0 {
		places = places[1:]
	}
	for _, place := range places {
		m.all = place
		if err := m.ringIn(r); err != nil {
			return err
		}
	}
	return nil
}

func (m *measuring) ringIn(r resource.Ring) error {
	if r.Audience.Everyone() {
		m.all.percent = 1
		return nil
	}
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
		if said := fmt.Sprintf("%s holds %s of the users", name, percent(defaultShare)); !slices.Contains(m.assumed, said) {
			m.assumed = append(m.assumed, said)
		}
	}
}
