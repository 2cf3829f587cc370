package exposure

import (
	"math"
	"strconv"
)

// share is one entry of a fractional: what it gives, and its weight in the whole.
type share struct {
	variant expr
	weight  func(scope) (uint64, bool)
}

// compileFractional compiles {"fractional": [key, [variant, weight], …]}. Without a key the flag's and the
// targeting key decide. A key that is neither text nor null, or weights that make no sense, give null.
func compileFractional(c *compiler, args arguments) (node, error) {
	hash, first := c.defaultHash(), 0
	if _, isShare := args.list[0].([]any); !isShare {
		key, err := c.argument(args, 0)
		if err != nil {
			return node{}, err
		}
		hash, first = c.hashOf(key, hash), 1
	}
	shares, constant := make([]share, 0, len(args.list)), true
	for i := first; i < len(args.list); i++ {
		_, err := c.in(args.step(i), args.list[i], func(raw any) (node, error) {
			s, same, err := c.share(raw)
			shares, constant = append(shares, s), constant && same
			return node{}, err
		})
		if err != nil {
			return node{}, err
		}
	}
	if constant {
		return node{eval: pickConstant(hash, shares)}, nil
	}
	return node{eval: func(s scope) Value { return pick(s, hash, shares) }}, nil
}

// share compiles one entry and tells whether it is the same for everyone.
func (c *compiler) share(raw any) (share, bool, error) {
	items, isList := raw.([]any)
	if !isList {
		n, err := c.node(raw)
		return share{
			func(s scope) Value { v, _, _ := shareOf(n.eval(s)); return v },
			func(s scope) (uint64, bool) { _, w, ok := shareOf(n.eval(s)); return w, ok },
		}, n.fixed, err
	}
	parts, err := c.nodes(items)
	if err != nil {
		return share{}, false, err
	}
	if allFixed(parts) {
		v, w, ok := shareOf(constantList(parts))
		return share{fixed(v).eval, func(scope) (uint64, bool) { return w, ok }}, true, nil
	}
	weight := fixed(Value{}).eval
	if len(parts) > 1 {
		weight = parts[1].eval
	}
	return share{parts[0].eval, func(s scope) (uint64, bool) {
		w, ok := weightOf(weight(s))
		return w, ok && isScalar(parts[0].eval(s))
	}}, false, nil
}

func shareOf(v Value) (variant Value, weight uint64, ok bool) {
	if v.kind != List || v.length() == 0 || !isScalar(v.at(0)) {
		return Value{}, 0, false
	}
	weight = 1
	if v.length() > 1 {
		weight, ok = weightOf(v.at(1))
		return v.at(0), weight, ok
	}
	return v.at(0), 1, true
}

func isScalar(v Value) bool { return v.kind != List && v.kind != Object }

// weightOf reads a weight: a whole number, 1 when there is none; less than 0 counts as 0.
func weightOf(v Value) (uint64, bool) {
	switch {
	case v.kind == Null:
		return 1, true
	case v.kind != Number || v.num != math.Trunc(v.num) || v.num > math.MaxInt32:
		return 0, false
	}
	return uint64(max(0, v.num)), true
}

func totalWeight(s scope, shares []share) (total uint64, ok bool) {
	for i := range shares {
		w, ok := shares[i].weight(s)
		if total += w; !ok || total > math.MaxInt32 {
			return 0, false
		}
	}
	return total, total > 0
}

func pick(s scope, hash hashExpr, shares []share) Value {
	h, ok := hash(s)
	total, sensible := totalWeight(s, shares)
	if !ok || !sensible {
		return Value{}
	}
	b, end := bucket(h, total), uint64(0)
	for i := range shares {
		w, _ := shares[i].weight(s)
		if end += w; b < end {
			return shares[i].variant(s)
		}
	}
	return Value{}
}

// pickConstant has the weights added up beforehand.
func pickConstant(hash hashExpr, shares []share) expr {
	total, ok := totalWeight(scope{}, shares)
	if !ok {
		return fixed(Value{}).eval
	}
	ends, variants := make([]uint64, len(shares)), make([]Value, len(shares))
	end := uint64(0)
	for i := range shares {
		w, _ := shares[i].weight(scope{})
		end += w
		ends[i], variants[i] = end, shares[i].variant(scope{})
	}
	return func(s scope) Value {
		h, ok := hash(s)
		if !ok {
			return Value{}
		}
		b := bucket(h, total)
		for i, end := range ends {
			if b < end {
				return variants[i]
			}
		}
		return Value{}
	}
}

// hashExpr gives the hash that decides, or false when there is nothing to decide by.
type hashExpr func(scope) (uint32, bool)

func (c *compiler) defaultHash() hashExpr {
	if c.opts.Bucketing == V3 {
		return c.defaultHashV3()
	}
	switch {
	case c.loops > 0:
	case c.opts.FlagKey != "":
		start := hash32{}.add(c.opts.FlagKey)
		return func(s scope) (uint32, bool) { return start.add(s.ctx.TargetingKey).sum(), s.ctx.TargetingKey != "" }
	default:
		return func(s scope) (uint32, bool) {
			return hash32{}.add(s.ctx.FlagKey).add(s.ctx.TargetingKey).sum(), s.ctx.TargetingKey != ""
		}
	}
	return func(s scope) (uint32, bool) { // the item stands for the context
		flag, key := s.loop.name(flagdName).field("flagKey"), s.loop.name(keyName)
		return hash32{}.add(flag.str).add(key.str).sum(), key.kind == String && key.str != ""
	}
}

// defaultHashV3 is of the list of the flag's and the targeting key.
func (c *compiler) defaultHashV3() hashExpr {
	pair := hash32{}.addCBORHead(cborList, 2)
	switch {
	case c.loops > 0:
		return func(s scope) (uint32, bool) { // the item stands for the context
			flag, key := s.loop.name(flagdName).field("flagKey"), s.loop.name(keyName)
			return pair.addCBORText(flag.str).addCBORText(key.str).sum(), key.kind == String && key.str != ""
		}
	case c.opts.FlagKey != "":
		start := pair.addCBORText(c.opts.FlagKey)
		return func(s scope) (uint32, bool) {
			return start.addCBORText(s.ctx.TargetingKey).sum(), s.ctx.TargetingKey != ""
		}
	}
	return func(s scope) (uint32, bool) {
		return pair.addCBORText(s.ctx.FlagKey).addCBORText(s.ctx.TargetingKey).sum(), s.ctx.TargetingKey != ""
	}
}

// hashOf hashes what n gives: in V3 any value but null and lists, in V2 a text. Of a cat it then takes the parts one by one,
// the constant ones beforehand.
func (c *compiler) hashOf(n node, otherwise hashExpr) hashExpr {
	if c.opts.Bucketing == V3 {
		return func(s scope) (uint32, bool) {
			v := n.eval(s)
			return hash32{}.addCBOR(v).sum(), v.kind != Null && v.kind != List
		}
	}
	if n.parts == nil {
		return func(s scope) (uint32, bool) {
			v := n.eval(s)
			switch v.kind {
			case String:
				return hash32{}.add(v.str).sum(), true
			case Null:
				return otherwise(s)
			}
			return 0, false
		}
	}
	start, parts := hash32{}, n.parts
	for len(parts) > 0 && parts[0].fixed {
		start = start.addValue(parts[0].value)
		parts = parts[1:]
	}
	return func(s scope) (uint32, bool) {
		h := start
		for i := range parts {
			h = h.addValue(parts[i].eval(s))
		}
		return h.sum(), true
	}
}

func (m hash32) addValue(v Value) hash32 {
	switch v.kind {
	case String:
		return m.add(v.str)
	case Number, Bool:
		var room [32]byte
		if v.kind == Bool {
			return m.add(string(strconv.AppendBool(room[:0], v.num != 0)))
		}
		return m.add(string(appendNumber(room[:0], v.num)))
	case Null:
		return m
	}
	b, _ := v.appendText(nil)
	return m.add(string(b))
}
