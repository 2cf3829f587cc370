package exposure

import "math"

var logicOperators map[string]logicOperator

// In init, since compiling an operator's arguments looks up operators.
func init() {
	shared := func(build func([]node) node) logicOperator {
		return logicOperator{strict: func(s scope, v []Value) Value {
			args := make([]node, len(v))
			for i := range v {
				args[i] = fixed(v[i])
			}
			return build(args).eval(s)
		}}
	}
	whole := func(build func([]node) node) logicOperator { // for those that rules have null for when they are too large
		strict := shared(build).strict
		return logicOperator{strict: func(s scope, v []Value) Value { return tooLarge(strict(s, v)) }}
	}
	logicOperators = map[string]logicOperator{
		"var": {strict: logicVar}, "val": {strict: logicVal}, "exists": {strict: logicExists},
		"missing": {strict: logicMissing}, "missing_some": {least: 2, strict: logicMissingSome},

		"if": {listed: true, lazy: logicIf}, "?:": {listed: true, lazy: logicIf},
		"and": {listed: true, lazy: logicJunction(false)}, "or": {listed: true, lazy: logicJunction(true)},
		"??": {lazy: logicCoalesce}, "try": {lazy: logicTry}, "throw": {least: 1, strict: func(_ scope, v []Value) Value { return thrown(v[0]) }},
		"!": shared(buildNot), "!!": shared(buildTruth),

		"==": {least: 2, listed: true, lazy: logicChain(logicEqual(true))}, "!=": {least: 2, listed: true, lazy: logicChain(logicEqual(false))},
		"===": {least: 2, listed: true, lazy: logicChain(logicSame(true))}, "!==": {least: 2, listed: true, lazy: logicChain(logicSame(false))},
		"<": {least: 2, listed: true, lazy: logicChain(logicOrder(less))}, "<=": {least: 2, listed: true, lazy: logicChain(logicOrder(less | equal))},
		">": {least: 2, listed: true, lazy: logicChain(logicOrder(greater))}, ">=": {least: 2, listed: true, lazy: logicChain(logicOrder(greater | equal))},

		"+": {strict: logicFold(0, 0, add)}, "*": {strict: logicFold(0, 1, multiply)},
		"-": {least: 1, strict: logicFold(1, 0, subtract)}, "/": {least: 1, strict: logicFold(1, 1, divide)}, "%": {least: 2, strict: logicFold(2, 0, math.Mod)},
		"max": {least: 1, strict: logicFold(2, math.Inf(-1), math.Max)}, "min": {least: 1, strict: logicFold(2, math.Inf(1), math.Min)},

		"in": shared(buildIn), "cat": whole(buildCat), "substr": shared(buildSubstr), "merge": whole(buildMerge),
		"map": {least: 2, listed: true, lazy: logicMap}, "filter": {least: 2, listed: true, lazy: logicFilter}, "reduce": {least: 2, listed: true, lazy: logicReduce},
		"all": {least: 2, listed: true, lazy: logicQuantify(false, false)}, "some": {least: 2, listed: true, lazy: logicQuantify(true, true)},
		"none": {least: 2, listed: true, lazy: logicQuantify(true, false)},
	}
}

// logicFold folds numbers from the left. A single one is folded onto the unit when there are at least so many arguments to
// begin with: 0 always, 1 for one, 2 never.
func logicFold(begin int, unit float64, step func(acc, x float64) float64) func(scope, []Value) Value {
	return func(_ scope, v []Value) Value {
		if begin == 0 || begin == 1 && len(v) == 1 {
			v = append([]Value{number(unit)}, v...)
		}
		acc, ok := v[0].asNumber()
		for _, x := range v[1:] {
			n, isNumber := x.asNumber()
			acc, ok = step(acc, n), ok && isNumber
		}
		if result := number(acc); ok && result.kind == Number {
			return result
		}
		return notANumber
	}
}

// logicChain compares each argument with the next, as far as it has to.
func logicChain(holds func(a, b Value) Value) func([]node) expr {
	return func(args []node) expr {
		return func(s scope) Value {
			a := args[0].eval(s)
			for i := 1; i < len(args); i++ {
				if a.kind == fault {
					return a
				}
				b := args[i].eval(s)
				if b.kind == fault {
					return b
				}
				if v := holds(a, b); !v.Truthy() || v.kind == fault {
					return v
				}
				a = b
			}
			return boolean(true)
		}
	}
}

// logicEqual compares two texts as texts and all else as numbers, null being 0.
func logicEqual(want bool) func(a, b Value) Value {
	return func(a, b Value) Value {
		if a.kind == String && b.kind == String {
			return boolean((a.str == b.str) == want)
		}
		x, okX := a.asNumber()
		y, okY := b.asNumber()
		if !okX || !okY {
			return notANumber
		}
		return boolean((x == y) == want)
	}
}

func logicSame(want bool) func(a, b Value) Value {
	return func(a, b Value) Value { return boolean(strictEqual(a, b) == want) }
}

func logicOrder(want ordering) func(a, b Value) Value {
	return func(a, b Value) Value {
		got := compare(a, b)
		if got == 0 {
			return notANumber
		}
		return boolean(got&want != 0)
	}
}

// logicVar reads a path with dots, from the item where the expression stands.
func logicVar(s scope, v []Value) Value {
	path := ""
	if len(v) > 0 {
		path, _ = pathText(v[0])
	}
	if found := lookup(s, path); found.kind != Null || len(v) < 2 {
		return found
	}
	return v[1]
}

// climb leaves as many levels as a list of one number before a path says. The index of a loop is a level of its own.
func climb(s scope, path []Value) (Value, []Value) {
	if len(path) == 0 || path[0].kind != List || path[0].length() != 1 {
		return s.loop.whole(), path
	}
	levels, _ := path[0].at(0).asNumber()
	f := s.loop
	for n := math.Abs(levels); n > 0; n -= 2 {
		if n == 1 {
			return object(map[string]any{"index": float64(f.index)}), path[1:]
		}
		if f.outer == nil {
			return Value{}, path[1:]
		}
		f = f.outer
	}
	return f.whole(), path[1:]
}

// logicVal reads step by step, each argument being one.
func logicVal(s scope, path []Value) Value {
	at, path := climb(s, path)
	for _, step := range path {
		name, ok := pathText(step)
		if !ok {
			return Value{}
		}
		at = at.field(name)
	}
	return at
}

func logicExists(s scope, path []Value) Value {
	at, path := climb(s, path)
	for _, step := range path {
		name, ok := pathText(step)
		if !ok || !at.has(name) {
			return boolean(false)
		}
		at = at.field(name)
	}
	return boolean(true)
}

// has reports whether field leads anywhere, if only to null.
func (v Value) has(name string) bool {
	if v.kind == Object {
		_, ok := v.ref.(map[string]any)[name]
		return ok
	}
	return v.field(name).kind != Null
}

func logicMissing(s scope, paths []Value) Value {
	list := Value{kind: List, ref: paths}
	if len(paths) > 0 && paths[0].kind == List {
		list = paths[0]
	}
	return newList(missing(s, list))
}

func logicMissingSome(s scope, v []Value) Value {
	gone := missing(s, v[1])
	if n, ok := v[0].asNumber(); ok && float64(v[1].length()-len(gone)) >= n {
		gone = nil
	}
	return newList(gone)
}
