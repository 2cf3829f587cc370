package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

type (
	object = map[string]any
	list   = []any
)

// generator makes definitions and contexts that meet often: few names and few values.
type generator struct {
	rng     *rand.Rand
	awkward float64
	// The last definition.
	evaluators object
	last       map[string]object
}

var (
	plans    = []any{"free", "beta", "gold", "Gold", ""}
	emails   = []any{"carol@example.com", "dave@example.org", "äöü@example.com", "x"}
	versions = []any{"1.0.0", "1.2.3", "2.0.0-rc.1", "2.0.0", "v2.1", "2", "1.2.3+build", "not a version", ""}
	ages     = []any{0.0, 1.0, 17.0, 18.0, 42.5, -3.0, 65.0, 1e9}
	tags     = []any{"a", "b", "staff"}
	keys     = []any{"alice", "bob", "5c3d8535-f81a-4478-a6d3-afaa4d51199e", "äöü", "0"}
	variants = []any{"red", "green", "blue", "true", "false", "1"}
)

func (g *generator) one(from []any) any    { return from[g.rng.IntN(len(from))] }
func (g *generator) chance(p float64) bool { return g.rng.Float64() < p }

func op(name string, args ...any) object { return object{name: list(args)} }
func variable(name string) object        { return object{"var": name} }

func (g *generator) context() object {
	ctx := object{}
	put := func(name string, v any) {
		switch {
		case g.chance(0.2):
		case g.chance(g.awkward):
			ctx[name] = g.one(list{nil, true, 1.0, "1", "", list{}, list{"a", 1.0}, object{"x": 1.0}})
		default:
			ctx[name] = v
		}
	}
	put("plan", g.one(plans))
	put("email", g.one(emails))
	put("version", g.one(versions))
	put("age", g.one(ages))
	put("beta", g.chance(0.5))
	put("choice", g.one(variants))
	put("tags", g.some(tags))
	put("user", object{"name": g.one(emails), "tier": g.one(plans), "age": g.one(ages)})
	if g.chance(0.8) {
		ctx["targetingKey"] = g.one(keys)
	}
	return ctx
}

func (g *generator) some(from []any) list {
	out := list{}
	for range g.rng.IntN(4) {
		out = append(out, g.one(from))
	}
	return out
}

func (g *generator) definition() ([]byte, []string) {
	evaluators, flags := object{}, object{}
	for i := range 3 {
		evaluators[fmt.Sprintf("rule %d", i)] = g.truth(2, false)
	}
	g.last, g.evaluators = map[string]object{}, evaluators
	names := make([]string, 20)
	for i := range names {
		names[i] = fmt.Sprintf("flag-%d", i)
		g.last[names[i]] = g.flag()
		flags[names[i]] = g.last[names[i]]
	}
	def := object{"flags": flags, "$evaluators": evaluators}
	if g.chance(0.5) {
		def["metadata"] = object{"flagSetId": "shop", "version": "7", "team": g.one(plans)}
	}
	raw, err := json.Marshal(def)
	if err != nil {
		panic(err) // what was made here can be written
	}
	return raw, append(names, "missing")
}

func (g *generator) flag() object {
	values := []func(int) any{
		func(i int) any { return i%2 == 0 }, func(i int) any { return fmt.Sprint("value ", i) }, func(i int) any { return float64(i) / 2 },
		func(i int) any { return object{"n": float64(i), "list": list{"x", nil}} },
	}
	value := values[g.rng.IntN(len(values))]
	all := object{}
	for i, name := range variants {
		all[name.(string)] = value(i)
	}
	f := object{"state": "ENABLED", "variants": all, "defaultVariant": g.one(variants)}
	switch g.rng.IntN(10) {
	case 0:
		f["state"] = "DISABLED"
	case 1:
		f["defaultVariant"] = nil
	case 2:
		delete(f, "defaultVariant")
	}
	if g.chance(0.9) {
		f["targeting"] = g.rule()
	}
	if g.chance(0.3) {
		f["metadata"] = object{"team": g.one(plans), "risk": g.one(ages), "old": g.chance(0.5)}
	}
	return f
}

// rule is a whole one: an object.
func (g *generator) rule() any {
	if g.chance(0.03) {
		return object{}
	}
	for {
		if r, ok := g.variant(4).(object); ok {
			return r
		}
	}
}

// variant is an expression that gives the name of a variant or null.
func (g *generator) variant(depth int) any {
	n := g.rng.IntN(12)
	switch {
	case depth == 0 || n < 2:
		return g.one(append(list{nil}, variants...))
	case n < 7:
		args := list{}
		for range 1 + g.rng.IntN(2) {
			args = append(args, g.truth(depth-1, true), g.variant(depth-1))
		}
		if g.chance(0.7) {
			args = append(args, g.variant(depth-1))
		}
		return object{"if": args}
	case n < 10:
		return g.fractional(depth)
	case n == 10:
		return variable("choice")
	}
	return g.truth(depth-1, true)
}

func (g *generator) fractional(depth int) any {
	args := list{}
	switch g.rng.IntN(4) {
	case 0:
		args = append(args, g.text(2))
	case 1:
		args = append(args, op("cat", variable("$flagd.flagKey"), g.text(1)))
	}
	if len(args) == 1 {
		if _, isRule := args[0].(object); !isRule {
			args = list{}
		}
	}
	for range 1 + g.rng.IntN(4) {
		share := list{g.variant(min(depth-1, 1))}
		switch g.rng.IntN(6) {
		case 0:
		case 1:
			share = append(share, g.weight())
		default:
			share = append(share, float64(g.rng.IntN(100)))
		}
		args = append(args, share)
	}
	return object{"fractional": args}
}

func (g *generator) weight() any {
	switch g.rng.IntN(3) {
	case 0:
		return op("-", variable("$flagd.timestamp"), 1_700_000_000.0)
	case 1:
		return op("if", g.truth(1, true), 30.0, 0.0)
	}
	return op("-", 50.0, g.one(list{10.0, 60.0}))
}
