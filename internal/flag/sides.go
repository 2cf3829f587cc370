package flag

import (
	"encoding/json"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
)

// Side is on which side of a trial's comparison a user is.
type Side string

// The sides. Of those who are not in the ring in trial, or have no targeting key to be split by, nothing is compared.
const (
	None      Side = "none"
	Treatment Side = "treatment"
	Control   Side = "control"
)

// Sides tells, of an exposure, who is in which ring and on which side. It may be used by many at once.
type Sides struct {
	rings *exposure.Rings
	trial int // -1 for none
	part  *exposure.Rule
}

// Compile prepares an exposure for asking about many users.
func (e Exposure) Compile() (*Sides, error) {
	rings, err := exposure.Compile(e.Salt, e.Rings)
	if err != nil {
		return nil, err
	}
	s := &Sides{rings: rings, trial: -1}
	t := e.Trial
	if t == nil {
		return s, nil
	}
	if t.Ring < 0 || t.Ring >= len(e.Rings) || !(t.Control >= 0 && t.Control <= maxControl) || t.Salt == e.Salt {
		return nil, errs.E(errs.Invalid, "the trial is not one of these rings: ring %d of %d, control %v, salt %q", t.Ring, len(e.Rings), t.Control, t.Salt)
	}
	s.trial = t.Ring
	tree, err := exposure.PercentRule(t.Salt, 100-t.Control)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the trial")
	}
	s.part, err = exposure.CompileRule(raw, exposure.Options{Strict: true})
	return s, err
}

// Of returns the ring of a user, and the side when the ring is in trial. It allocates nothing.
func (s *Sides) Of(ctx *exposure.Context) (ring int, side Side) {
	ring = s.rings.Lookup(ctx)
	switch {
	case ring != s.trial || ctx.TargetingKey == "":
		return ring, None
	case s.part.Match(ctx):
		return ring, Treatment
	}
	return ring, Control
}

// Ring is the name of a ring.
func (s *Sides) Ring(i int) string { return s.rings.Name(i) }

// Attributes are the names of what Of reads of a context, besides the targeting key.
func (s *Sides) Attributes() []string { return s.rings.Attributes() }
