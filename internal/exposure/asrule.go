package exposure

import (
	"encoding/json"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// RingRule is a ring's audience as a decoded rule whose truth, in any flagd provider, is what Lookup finds of the ring
// alone. The last ring's is true.
func RingRule(salt string, ring fleet.Ring) (any, error) {
	if len(ring.Audience) == 0 {
		if ring.Percent == 0 {
			return true, nil
		}
		return PercentRule(salt, ring.Percent)
	}
	tree, err := decode(ring.Audience, maxRingBytes)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "ring %q", ring.Name)
	}
	return tree, nil
}

// PercentRule is a decoded rule that is true for a percentage of the targeting keys, which grows without losing anyone and
// depends on nothing but them and the salt.
func PercentRule(salt string, percent float64) (any, error) {
	below, err := threshold(percent)
	if err != nil || below == 0 {
		return false, err
	}
	return percentTree(salt, below), nil
}

// SliceRule is a decoded rule that is true for the targeting keys from one percentage to another. Slices of one salt that
// do not overlap have nobody in common, and one that begins at 0 is PercentRule's.
func SliceRule(salt string, from, to float64) (any, error) {
	begin, err := threshold(from)
	if err != nil {
		return nil, err
	}
	end, err := threshold(to)
	if err != nil {
		return nil, err
	}
	if end <= begin {
		return nil, errs.E(errs.Invalid, "the slice from %v to %v percent has nobody", from, to)
	}
	key := map[string]any{"var": keyName}
	return map[string]any{"and": []any{key, map[string]any{"fractional": []any{
		map[string]any{"cat": []any{salt, key}},
		[]any{false, float64(begin)},
		[]any{true, float64(end - begin)},
		[]any{false, float64(everyone - end)},
	}}}}, nil
}

// DecodeRule decodes a rule of at most MaxRuleBytes, to be part of another one.
func DecodeRule(raw json.RawMessage) (any, error) { return decode(raw, MaxRuleBytes) }
