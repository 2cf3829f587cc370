package exposure

import (
	"slices"

	"pgregory.net/rapid"
)

// Values that rules and contexts are drawn from: few, so that they often meet, and awkward ones among them.
var scalars = []any{nil, true, false, 0.0, 1.0, -1.0, 2.0, 3.0, 50.0, 0.5, 1e21, 1e-7, "", "0", "1", "2", " 3 ", "abc", "b", "äöü", "1.2.3", "v1.2", "1.2.3-rc.1", "1e2", "user.name", "plan"}

var paths = []any{"plan", "age", "user.name", "user.tags.0", "list", "list.1", "gone", "targetingKey", "$flagd.flagKey", "$flagd.timestamp", "$flagd", "", "current", "accumulator", "current.x", "x", 0.0, 1.0, nil}

var relations = []any{"=", "!=", "<", "<=", ">", ">=", "~", "^", "?"}

func drawScalar(t *rapid.T) any { return rapid.SampledFrom(scalars).Draw(t, "scalar") }

// drawData draws decoded JSON without rules in it.
func drawData(t *rapid.T, depth int) any {
	switch n := rapid.IntRange(0, 9).Draw(t, "data"); {
	case depth > 0 && n < 2:
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return drawData(t, depth-1) }), 0, 4).Draw(t, "items")
	case depth > 0 && n < 4:
		keys := rapid.SampledFrom([]string{"name", "x", "tags", "targetingKey"})
		return rapid.MapOfN(keys, rapid.Custom(func(t *rapid.T) any { return drawData(t, depth-1) }), 0, 3).Draw(t, "members")
	}
	return drawScalar(t)
}

func drawContext(t *rapid.T) *Context {
	c := &Context{
		TargetingKey: rapid.SampledFrom([]string{"", "alice", "bob", "5c3d8535", "äöü"}).Draw(t, "key"),
		FlagKey:      rapid.SampledFrom([]string{"", "flag"}).Draw(t, "flag"),
		Timestamp:    rapid.Int64Range(0, 2e9).Draw(t, "time"),
		Attributes:   map[string]any{},
	}
	for _, name := range []string{"plan", "age", "user", "list", "targetingKey"} {
		if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
			c.Attributes[name] = drawData(t, 3)
		}
	}
	return c
}

// drawRule draws a rule that compiles: any operator with any number of arguments.
func drawRule(t *rapid.T, depth int) any {
	n := rapid.IntRange(0, 19).Draw(t, "form")
	switch {
	case depth == 0 || n < 3:
		return drawScalar(t)
	case n < 5:
		return map[string]any{"var": rapid.SampledFrom(paths).Draw(t, "path")}
	case n == 5:
		return drawRules(t, depth, 3)
	}
	names := make([]string, 0, len(operators))
	for name := range operators {
		names = append(names, name)
	}
	slices.Sort(names)
	name := rapid.SampledFrom(names).Draw(t, "operator")
	switch {
	case n == 6:
		return map[string]any{name: drawRule(t, depth-1)}
	case name == "sem_ver" && n < 15:
		return map[string]any{name: []any{drawRule(t, 1), rapid.SampledFrom(relations).Draw(t, "relation"), drawRule(t, 1)}}
	case name == "fractional" && n < 18:
		return map[string]any{name: drawShares(t, depth)}
	}
	return map[string]any{name: drawRules(t, depth, 4)}
}

func drawRules(t *rapid.T, depth, most int) []any {
	rules := make([]any, rapid.IntRange(0, most).Draw(t, "arguments"))
	for i := range rules {
		rules[i] = drawRule(t, depth-1)
	}
	return rules
}

func drawShares(t *rapid.T, depth int) []any {
	var args []any
	if rapid.Bool().Draw(t, "own key") {
		args = append(args, drawRule(t, depth-1))
	}
	for range rapid.IntRange(1, 3).Draw(t, "shares") {
		args = append(args, []any{drawRule(t, 1), drawRule(t, 1)})
	}
	return args
}
