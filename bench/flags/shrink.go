package main

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	ours "github.com/ringfence/ringfence/internal/flag"
)

// shrink makes the rule of a flag and the context, on which the two differ, as small as it can while they still do.
func shrink(evaluators any, flag, ctx object) (small, with object, theirs, mine answer) {
	differs := func(f, c object) bool {
		raw, err := json.Marshal(object{"flags": object{"flag-0": f}, "$evaluators": evaluators})
		if err != nil {
			return false
		}
		o, err := newOracle(raw)
		set, problems := ours.Parse(raw)
		if err != nil || len(problems) > 0 {
			return false
		}
		a, b := both(o, set, "flag-0", c)
		if a != b {
			theirs, mine = a, b
		}
		return a != b
	}
	flag = maps.Clone(flag)
	delete(flag, "metadata")
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		smaller := slices.IndexFunc(candidates(flag["targeting"]), func(t any) bool {
			f := maps.Clone(flag)
			f["targeting"] = t
			return differs(f, ctx)
		})
		if smaller < 0 {
			break
		}
		flag["targeting"] = candidates(flag["targeting"])[smaller]
	}
	for _, name := range slices.Sorted(maps.Keys(ctx)) {
		c := maps.Clone(ctx)
		if delete(c, name); differs(flag, c) {
			ctx = c
		}
	}
	return flag, ctx, theirs, mine
}

// candidates are the ways to make a rule smaller by one step.
func candidates(v any) []any {
	var out []any
	switch v := v.(type) {
	case object:
		for name, operand := range v {
			if args, ok := operand.(list); ok {
				out = append(out, args...)
			}
			for _, smaller := range candidates(operand) {
				out = append(out, object{name: smaller})
			}
		}
	case list:
		for i := range v {
			out = append(out, slices.Delete(slices.Clone(v), i, i+1))
		}
		for i, e := range v {
			for _, smaller := range candidates(e) {
				with := slices.Clone(v)
				with[i] = smaller
				out = append(out, with)
			}
		}
	}
	return out
}
