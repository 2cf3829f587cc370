package main

import "fmt"

// truth is an expression that gives true or false.
func (g *generator) truth(depth int, refs bool) any {
	n := g.rng.IntN(20)
	switch {
	case n == 0 && refs:
		return object{"$ref": fmt.Sprintf("rule %d", g.rng.IntN(3))}
	case n < 3 && depth > 0:
		return op("and", g.truth(depth-1, refs), g.truth(depth-1, refs), g.truth(depth-1, refs))
	case n < 5 && depth > 0:
		return op("or", g.truth(depth-1, refs), g.truth(depth-1, refs))
	case n == 5 && depth > 0:
		return op(g.one(list{"!", "!!"}).(string), g.truth(depth-1, refs))
	case n < 9:
		return op(g.one(list{"==", "!=", "===", "!=="}).(string), g.text(depth), g.one(append(plans, emails...)))
	case n < 11:
		return op(g.one(list{"<", "<=", ">", ">="}).(string), g.number(depth), g.one(ages))
	case n == 11:
		return op(g.one(list{"<", "<="}).(string), 0.0, g.number(depth), 50.0)
	case n == 12:
		return op("in", g.text(depth), g.some(append(plans, emails...)))
	case n == 13:
		return op("in", g.one(list{"@example", "äöü", "zzz"}), g.text(depth))
	case n == 14:
		return op(g.one(list{"starts_with", "ends_with"}).(string), g.textRule(depth), g.one(list{"carol", "äöü", "@example.com", ""}))
	case n < 17:
		relation := g.one(list{"=", "!=", "<", "<=", ">", ">=", "~", "^"})
		return op("sem_ver", variable("version"), relation, g.one(list{"1.0.0", "2.0.0", "1.2.3", "2.0.0-rc.1"}))
	case n == 17:
		return op("in", g.one(tags), g.items(depth))
	case n == 18:
		return op(g.one(list{"some", "all", "none"}).(string), variable("tags"), op("==", variable(""), g.one(tags)))
	}
	return op("!", op("missing", g.one(list{"email", "user.name", "gone"})))
}

func (g *generator) textRule(depth int) any {
	for {
		if r, ok := g.text(depth).(object); ok {
			return r
		}
	}
}

// text is an expression that gives a text, or null for what is not there.
func (g *generator) text(depth int) any {
	n := g.rng.IntN(12)
	switch {
	case n < 5:
		return variable(g.one(list{"plan", "email", "user.name", "user.tier", "gone", "user.gone.more"}).(string))
	case n == 5:
		return variable("targetingKey")
	case n == 6:
		return variable("$flagd.flagKey")
	case n == 7 && depth > 0:
		return op("cat", g.text(depth-1), g.one(list{"-", "", "@example.com"}), g.text(depth-1))
	case n == 8 && depth > 0:
		return op("if", g.truth(depth-1, false), g.text(depth-1), g.text(depth-1))
	case n == 9 && depth > 0:
		return op("substr", g.one(emails[:3]), float64(g.rng.IntN(3)), float64(1+g.rng.IntN(3)))
	case n == 10:
		return object{"var": list{"plan", "free"}}
	}
	return g.one(append(plans, emails...))
}

// number is an expression that gives a number.
func (g *generator) number(depth int) any {
	n := g.rng.IntN(10)
	switch {
	case n < 4:
		return object{"var": list{"age", g.one(ages)}}
	case n == 4 && g.awkward > 0:
		return variable("age")
	case n == 5:
		return variable("$flagd.timestamp")
	case n < 8 && depth > 0:
		return op(g.one(list{"+", "-", "*", "max", "min"}).(string), g.known(depth-1), g.known(depth-1))
	case n == 8 && depth > 0 && g.chance(0.5):
		return op("reduce", list{1.0, 2.0, g.one(ages)}, op(g.one(list{"+", "*", "max"}).(string), variable("current"), variable("accumulator")), 1.0)
	case n == 8 && depth > 0:
		return op("%", g.known(depth-1), 7.0)
	}
	return g.one(ages)
}

// items is an expression that gives a list.
func (g *generator) items(depth int) any {
	tagged := object{"var": list{"tags", list{}}}
	n := g.rng.IntN(6)
	switch {
	case n == 0 && depth > 0:
		return op("filter", tagged, op("!=", variable(""), g.one(tags)))
	case n == 1 && depth > 0:
		return op("map", tagged, op("cat", variable(""), g.one(list{"", "b", "taff"})))
	case n == 2 && depth > 0:
		return op("merge", tagged, g.some(tags), g.one(tags))
	case n == 3:
		return g.some(tags)
	case n == 4:
		return op("missing", g.one(list{"email", "gone"}), "a")
	}
	return tagged
}

// known is a number that is there: arithmetic without one is an error of its own in flagd.
func (g *generator) known(depth int) any {
	if g.chance(0.5) {
		return g.one(ages)
	}
	return object{"var": list{"age", g.one(ages)}}
}
