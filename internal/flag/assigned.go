package flag

import (
	"math"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
)

// Participants tells who takes part in an experiment and with which variant. It may be used by many at once.
type Participants struct {
	condition, variant *exposure.Rule
}

// Compile prepares an assignment for asking about many users. It is of the flag of that key, whose set has that bucketing.
func (a Assignment) Compile(flagKey string, b exposure.Bucketing) (*Participants, error) {
	condition, shares, err := a.rules()
	if err != nil {
		return nil, err
	}
	p := &Participants{}
	for _, r := range []struct {
		tree any
		into **exposure.Rule
	}{{condition, &p.condition}, {shares, &p.variant}} {
		raw, err := marshal(r.tree)
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "experiment %q", a.Experiment)
		}
		if *r.into, err = exposure.CompileRule(raw, exposure.Options{FlagKey: flagKey, MaxBytes: maxRule, Bucketing: b}); err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "experiment %q", a.Experiment)
		}
	}
	return p, nil
}

// Of returns the variant of a participant, and whether the user is one. What stands before the experiment in Lower's order
// may still give a participant something else.
func (p *Participants) Of(ctx *exposure.Context) (variant string, in bool) {
	if !p.condition.Match(ctx) {
		return "", false
	}
	return p.variant.Eval(ctx).Text()
}

// rules are the rule for who takes part, and the one that gives them their variants.
func (a Assignment) rules() (condition, variant any, err error) {
	total := 0
	shares := []any{op("cat", a.Salt, variable("targetingKey"))}
	for _, w := range a.Variants {
		if w.Weight < 0 || w.Weight > math.MaxInt32 {
			return nil, nil, errs.E(errs.Invalid, "the weight of %.80q is %d, expected 0 to 2147483647", w.Variant, w.Weight)
		}
		total += w.Weight
		shares = append(shares, []any{w.Variant, float64(w.Weight)})
	}
	if total == 0 || total > math.MaxInt32 {
		return nil, nil, errs.E(errs.Invalid, "the weights sum up to %d, expected 1 to 2147483647", total)
	}
	condition, err = a.participants()
	return condition, op("fractional", shares...), err
}

// participants is the rule for who takes part. The salt of the share is unlike the experiment's, so that who takes part says
// nothing about which variant they get.
func (a Assignment) participants() (any, error) {
	conditions := []any{}
	for _, h := range a.Holdouts {
		held, err := exposure.PercentRule(h.Salt, h.Percent)
		if err != nil {
			return nil, err
		}
		if held != false {
			conditions = append(conditions, op("!", held))
		}
	}
	if g := a.Group; g != nil {
		in, err := exposure.SliceRule(g.Salt, g.From, g.To)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, in)
	}
	if len(a.Audience) > 0 {
		audience, err := exposure.DecodeRule(a.Audience)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, audience)
	}
	part, err := exposure.PercentRule(a.Salt+"/share", a.Share)
	return all(append(conditions, part)...), err
}
