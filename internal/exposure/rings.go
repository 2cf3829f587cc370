package exposure

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

const (
	maxRings     = 64
	maxRingBytes = 4 << 20 // a ring's rule with its lists of users put in
)

// Rings is a compiled ring plan of one salt. It may be used by many at once.
type Rings struct {
	rings      []ring
	salt       hash32 // what is hashed before each key
	attributes []string
}

type ring struct {
	name string
	ways []way // being let in by one is enough
}

// way is one audience of a ring: a percentage, or else a rule.
type way struct {
	percent bool
	below   uint64 // of a percentage, the first bucket that is out
	rule    *Rule
	users   int // of a rule that lists users, how many
}

// Membership says in which ring a context is, and why.
type Membership struct {
	Index int    `json:"index"`
	Ring  string `json:"ring"`
	Why   string `json:"why"`
}

// Compile compiles rings in their order, from the innermost to the last, which takes everyone. Percent rings hash
// the salt with the targeting key.
func Compile(salt string, rings []fleet.Ring) (*Rings, error) {
	if len(rings) == 0 || len(rings) > maxRings {
		return nil, errs.E(errs.Invalid, "%d rings; expected 1 to %d", len(rings), maxRings)
	}
	r := &Rings{salt: hash32{}.add(salt)}
	for i, from := range rings {
		to, err := r.compile(salt, from)
		if err == nil {
			err = r.place(to, i == len(rings)-1)
		}
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "ring %q", from.Name)
		}
		r.rings = append(r.rings, to)
	}
	slices.Sort(r.attributes)
	r.attributes = slices.Compact(r.attributes)
	return r, nil
}

// place checks a ring against those before it.
func (r *Rings) place(next ring, last bool) error {
	if next.name == "" {
		return errs.E(errs.Invalid, "has no name")
	}
	for _, before := range r.rings {
		if before.name == next.name {
			return errs.E(errs.Invalid, "is there twice; names of rings must differ")
		}
	}
	if takesEveryone := len(next.ways) == 0; takesEveryone != last {
		if last {
			return errs.E(errs.Invalid, "is the last and must take everyone, so it cannot have an audience")
		}
		return errs.E(errs.Invalid, "has no audience; only the last ring takes everyone")
	}
	return nil
}

func (r *Rings) compile(salt string, from fleet.Ring) (ring, error) {
	to := ring{name: from.Name}
	below, err := threshold(from.Percent)
	switch {
	case err != nil:
		return ring{}, err
	case below > 0 && len(from.Audience) > 0:
		return ring{}, errs.E(errs.Invalid, "has both an audience and a percentage; expected one")
	case below > 0:
		to.ways = []way{{percent: true, below: below}}
	case len(from.Audience) > 0:
		if to.ways, err = r.ways(salt, from.Audience); err != nil {
			return ring{}, err
		}
	}
	return to, nil
}

// ways compiles a ring's rule; the alternatives of an or are compiled one by one, so that the one that let a
// context in can be named.
func (r *Rings) ways(salt string, raw json.RawMessage) ([]way, error) {
	tree, err := decode(raw, maxRingBytes)
	if err != nil {
		return nil, err
	}
	alternatives, ok := operand(tree, "or")
	if !ok || len(alternatives) == 0 {
		w, err := r.way(salt, tree)
		return []way{w}, err
	}
	ways := make([]way, len(alternatives))
	for i, alternative := range alternatives {
		if ways[i], err = r.way(salt, alternative, "or", strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	return ways, nil
}

func (r *Rings) way(salt string, tree any, path ...string) (way, error) {
	if below, ok := percentOf(salt, tree); ok {
		return way{percent: true, below: below}, nil
	}
	rule, err := compileTree(tree, Options{Strict: true}, path...)
	if err != nil {
		return way{}, err
	}
	names, all := rule.Attributes()
	if all {
		return way{}, errs.E(errs.Invalid, "the rule computes which attribute it reads; expected plain names, since only those are taken from requests")
	}
	r.attributes = append(r.attributes, names...)
	w := way{rule: rule}
	w.users, _ = usersOf(tree)
	return w, nil
}

// Attributes returns the names of the context attributes that Lookup reads, sorted, without targetingKey.
func (r *Rings) Attributes() []string { return slices.Clone(r.attributes) }

// Len returns the number of rings.
func (r *Rings) Len() int { return len(r.rings) }

// Name returns the name of ring i.
func (r *Rings) Name(i int) string { return r.rings[i].name }

// Lookup returns the index of the innermost ring that has ctx. It is on the way of each request.
func (r *Rings) Lookup(ctx *Context) int {
	i, _ := r.find(ctx)
	return i
}

// find returns the innermost ring of ctx and the way in, -1 for the last ring's.
func (r *Rings) find(ctx *Context) (index, by int) {
	const unknown = everyone + 1
	last, place := len(r.rings)-1, uint64(unknown)
	for i := range r.rings[:last] {
		ways := r.rings[i].ways
		for j := range ways {
			w := &ways[j]
			if w.percent && place == unknown {
				place = r.bucket(ctx)
			}
			if w.percent && place < w.below || !w.percent && w.rule.Match(ctx) {
				return i, j
			}
		}
	}
	return last, -1
}

// bucket is the place of ctx among everyone; without a key it is above every percentage.
func (r *Rings) bucket(ctx *Context) uint64 {
	if ctx.TargetingKey == "" {
		return everyone
	}
	return bucket(r.salt.add(ctx.TargetingKey).sum(), everyone)
}

// Explain does what Lookup does and says why.
func (r *Rings) Explain(ctx *Context) Membership {
	i, j := r.find(ctx)
	place := r.bucket(ctx)
	m := Membership{Index: i, Ring: r.rings[i].name}
	if j < 0 {
		m.Why = r.whyLast(place)
		return m
	}
	w := r.rings[i].ways[j]
	switch {
	case w.percent:
		m.Why = fmt.Sprintf("bucket %s of 100 is below %s", inPercent(place), inPercent(w.below))
	case w.users > 0:
		m.Why = fmt.Sprintf("targeting key %q is listed", ctx.TargetingKey)
	default:
		m.Why = "the ring's rule matched"
	}
	if n := len(r.rings[i].ways); n > 1 {
		m.Why += fmt.Sprintf(" (audience %d of %d)", j+1, n)
	}
	return m
}

// whyLast explains why a context is in no ring but the last.
func (r *Rings) whyLast(place uint64) string {
	largest, rules := uint64(0), false
	for _, ring := range r.rings {
		for _, w := range ring.ways {
			largest, rules = max(largest, w.below), rules || !w.percent
		}
	}
	var why []string
	if rules {
		why = append(why, "no rule of a ring before matched")
	}
	switch {
	case largest > 0 && place == everyone:
		why = append(why, "without a targeting key no percentage applies")
	case largest > 0:
		why = append(why, fmt.Sprintf("bucket %s of 100 is not below %s", inPercent(place), inPercent(largest)))
	}
	return strings.Join(append(why, "the last ring takes everyone"), "; ")
}
