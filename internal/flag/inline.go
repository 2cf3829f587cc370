package flag

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/ringfence/ringfence/internal/exposure"
)

// prerequisites is the rule that holds when all prerequisites of a flag are met.
func (l *lowerer) prerequisites(f *Definition) any {
	conditions := make([]any, len(f.Prerequisites))
	for i, p := range f.Prerequisites {
		conditions[i] = l.met(p)
	}
	return all(conditions...)
}

// met holds when a flag gives one of the variants that are needed. Its whole rule is put in, since a rule cannot ask another
// flag.
func (l *lowerer) met(p Prerequisite) any {
	f := l.doc.Flags[p.Flag]
	if f == nil || !f.EnabledIn(l.env) {
		return false
	}
	byDefault := slices.Contains(p.Variants, f.DefaultIn(l.env))
	tree := l.tree(f)
	if tree == nil {
		return byDefault
	}
	if size := sizeOf(tree, maxRule); size >= maxRule || l.inlined+size > maxInlined {
		l.bad(f.path, "fewer or smaller prerequisites", "its rule is too large to be put into the flags that need it")
		return false
	}
	tree, err := l.owned(tree, f.Key)
	if err != nil {
		l.bad(f.path, "a rule that names what it reads", "%s, which cannot be done where another flag needs this one", err)
		return false
	}
	l.inlined += sizeOf(tree, maxRule)
	var results []any
	for _, v := range p.Variants {
		results = append(results, meant(v)...)
	}
	if byDefault {
		results = append(results, nil)
	}
	return op("in", tree, results)
}

// sizeOf is about how many bytes a tree has when it is written; it stops counting at most.
func sizeOf(tree any, most int) (n int) {
	switch v := tree.(type) {
	case string:
		return len(v) + 3
	case []any:
		for _, e := range v {
			if n += sizeOf(e, most-n); n >= most {
				return most
			}
		}
		return n + 3
	case map[string]any:
		for key, e := range v {
			if n += len(key) + 4 + sizeOf(e, most-n); n >= most {
				return most
			}
		}
		return n + 3
	}
	return 6
}

// meant are the results of a rule that name a variant.
func meant(variant string) []any {
	results := []any{variant}
	switch variant {
	case "true":
		return append(results, true)
	case "false":
		return append(results, false)
	}
	var n float64
	if json.Unmarshal([]byte(variant), &n) == nil && numberName(n) == variant {
		results = append(results, n)
	}
	return results
}

// owned makes a rule say by itself what it takes from the flag that it stands in.
func (l *lowerer) owned(tree any, key string) (any, error) {
	o := owner{key: key, evaluators: l.doc.evaluators, bucketing: l.doc.Bucketing}
	tree, _ = o.expression(tree)
	return tree, o.err
}

// owner rewrites rules for the flag of a key.
type owner struct {
	key        string
	evaluators map[string]any
	bucketing  exposure.Bucketing
	err        error
}

// loops are the operators whose second argument sees an item instead of the context.
var loops = []string{"map", "filter", "all", "none", "some", "reduce"}

// expression tells also whether anything had to be changed.
func (o *owner) expression(tree any) (any, bool) {
	switch v := tree.(type) {
	case []any:
		return o.list(v)
	case map[string]any:
		if len(v) == 1 {
			for name, operand := range v {
				return o.operation(v, name, operand)
			}
		}
	}
	return tree, false
}

func (o *owner) list(list []any) (any, bool) {
	out, changed := make([]any, len(list)), false
	for i, e := range list {
		var c bool
		out[i], c = o.expression(e)
		changed = changed || c
	}
	return out, changed
}

func (o *owner) operation(whole map[string]any, name string, operand any) (any, bool) {
	args, isList := operand.([]any)
	switch {
	case name == "var":
		return o.variable(whole, operand)
	case name == "$ref":
		ref, _ := operand.(string)
		if tree, changed := o.expression(o.evaluators[ref]); changed {
			return tree, true
		}
		return whole, false
	case name == "fractional" && isList && len(args) > 0:
		return o.fractional(args)
	case slices.Contains(loops, name) && isList && len(args) > 1:
		args = slices.Clone(args)
		var changed, more bool
		args[0], changed = o.expression(args[0])
		if len(args) > 2 {
			args[2], more = o.expression(args[2])
		}
		return map[string]any{name: args}, changed || more
	}
	inner, changed := o.expression(operand)
	return map[string]any{name: inner}, changed
}

func (o *owner) variable(whole map[string]any, operand any) (any, bool) {
	path := operand
	if args, ok := operand.([]any); ok && len(args) > 0 {
		path = args[0]
	}
	name, plain := path.(string)
	switch {
	case plain && name == "$flagd.flagKey":
		return o.key, true
	case !plain || name == "$flagd" || name == "":
		o.err = fmt.Errorf("it reads the whole context or a name that it computes")
	}
	if args, ok := operand.([]any); ok && len(args) > 1 {
		otherwise, changed := o.expression(args[1])
		return op("var", args[0], otherwise), changed
	}
	return whole, false
}

// fractional names the key that users are placed by where it is the flag's and theirs.
func (o *owner) fractional(args []any) (any, bool) {
	shares := args
	var by any
	if _, isShare := args[0].([]any); !isShare {
		shares = args[1:]
		by, _ = o.expression(args[0])
		if _, isText := operand(by, "cat"); isText || o.bucketing == exposure.V3 { // never null, or null is nothing to place by
			list, changed := o.list(args)
			return map[string]any{"fractional": list}, changed
		}
	}
	if o.bucketing == exposure.V3 {
		o.err = fmt.Errorf("it has a fractional without a key to place users by")
	}
	rest, _ := o.list(shares)
	user := variable("targetingKey")
	key := op("if", user, op("cat", o.key, user))
	if by != nil {
		key = op("if", op("!==", by, nil), by, key)
	}
	return op("fractional", slices.Concat([]any{key}, rest.([]any))...), true
}

// operand returns the arguments of an operator.
func operand(tree any, name string) ([]any, bool) {
	m, _ := tree.(map[string]any)
	args, ok := m[name].([]any)
	return args, ok && len(m) == 1
}

// ownable tells what keeps a flag's rules from being put into another flag, empty for nothing.
func (d *Document) ownable(f *Definition) error {
	o := owner{key: f.Key, evaluators: d.evaluators, bucketing: d.Bucketing}
	o.expression(f.targeting)
	for _, env := range slices.Sorted(maps.Keys(f.Environments)) {
		o.expression(f.Environments[env].targeting)
	}
	return o.err
}
