package ui

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// ruleLine is a line of a rule in words.
type ruleLine struct {
	Depth      int
	If, Gets   string
	Shares     []string
	Otherwise  bool
	Unreadable bool
}

const maxRuleLines = 60

// ruleLines writes a targeting rule as it is read: if this, then that, one line for each way to an outcome.
func ruleLines(rule any) []ruleLine {
	var out []ruleLine
	outcome(rule, 0, "", false, &out)
	if len(out) > maxRuleLines {
		out = append(out[:maxRuleLines], ruleLine{If: "and more, in the JSON below", Unreadable: true})
	}
	return out
}

// outcome writes what a rule comes to, when a condition holds.
func outcome(rule any, depth int, condition string, otherwise bool, out *[]ruleLine) {
	if len(*out) > maxRuleLines {
		return
	}
	line := ruleLine{Depth: depth, If: condition, Otherwise: otherwise}
	op, args := operation(rule)
	switch {
	case op == "if" && depth < 6:
		if condition != "" || otherwise {
			*out = append(*out, line)
			depth++
		}
		for i := 0; i < len(args); i += 2 {
			if i+1 < len(args) {
				outcome(args[i+1], depth, inWords(args[i]), false, out)
			} else {
				outcome(args[i], depth, "", true, out)
			}
		}
		if len(args)%2 == 0 {
			*out = append(*out, ruleLine{Depth: depth, Otherwise: true, Gets: "the default variant"})
		}
		return
	case op == "fractional":
		line.Shares = shares(args)
	default:
		line.Gets = result(rule)
	}
	*out = append(*out, line)
}

func result(v any) string {
	switch v := v.(type) {
	case nil:
		return "the default variant"
	case string:
		return v
	case map[string]any:
		return inWords(v)
	}
	return compact(v)
}

// operation splits {"op": args}.
func operation(v any) (string, []any) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return "", nil
	}
	for op, args := range m {
		if list, ok := args.([]any); ok {
			return op, list
		}
		return op, []any{args}
	}
	return "", nil
}

// shares writes the parts of a fractional.
func shares(args []any) []string {
	var out []string
	total, weights := 0.0, map[int]float64{}
	for i, a := range args {
		part, ok := a.([]any)
		if !ok || len(part) == 0 {
			continue
		}
		weights[i] = 1
		if len(part) > 1 {
			if n, ok := partOf(part[1]); ok {
				weights[i] = n
			}
		}
		total += weights[i]
	}
	for i, a := range args {
		if part, ok := a.([]any); ok && len(part) > 0 && total > 0 {
			out = append(out, percent(weights[i]/total)+" "+result(part[0]))
		} else if !ok {
			out = append(out, "by "+inWords(a))
		}
	}
	return out
}

func partOf(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	}
	return 0, false
}

var comparisons = map[string]string{"==": "is", "===": "is", "!=": "is not", "!==": "is not", "<": "is less than", "<=": "is at most", ">": "is more than", ">=": "is at least",
	"in": "is in", "starts_with": "begins with", "ends_with": "ends with"}

// inWords writes a condition in words; what has none, as JSON.
func inWords(v any) string {
	op, args := operation(v)
	switch {
	case op == "var" && len(args) > 0:
		if name, ok := args[0].(string); ok {
			return map[string]string{"$flagd.timestamp": "the time", "$flagd.flagKey": "the flag’s key", "targetingKey": "the user"}[name] + namedOnly(name)
		}
	case op == "$ref" && len(args) == 1:
		return fmt.Sprintf("whoever is %v", args[0])
	case (op == "and" || op == "or") && len(args) > 0:
		parts := make([]string, len(args))
		for i, a := range args {
			if parts[i] = inWords(a); slices.Contains([]string{"and", "or"}, opOf(a)) {
				parts[i] = "(" + parts[i] + ")"
			}
		}
		return strings.Join(parts, " "+op+" ")
	case op == "!" && len(args) == 1:
		return "not (" + inWords(args[0]) + ")"
	case op == "!!" && len(args) == 1:
		return inWords(args[0]) + " is given"
	case op == "sem_ver" && len(args) == 3:
		return fmt.Sprintf("version %s %v %s", inWords(args[0]), args[1], inWords(args[2]))
	case comparisons[op] != "" && len(args) == 2:
		return inWords(args[0]) + " " + comparisons[op] + " " + inWords(args[1])
	case (op == "<" || op == "<=") && len(args) == 3:
		return inWords(args[1]) + " is between " + inWords(args[0]) + " and " + inWords(args[2])
	}
	switch v := v.(type) {
	case string:
		return "“" + v + "”"
	case []any:
		parts := make([]string, min(len(v), 8))
		for i := range parts {
			parts[i] = inWords(v[i])
		}
		if len(v) > len(parts) {
			parts = append(parts, fmt.Sprintf("%d more", len(v)-len(parts)))
		}
		return strings.Join(parts, ", ")
	}
	return compact(v)
}

func opOf(v any) string {
	op, _ := operation(v)
	return op
}

// namedOnly is an attribute's name unless it has words of its own.
func namedOnly(name string) string {
	switch name {
	case "$flagd.timestamp", "$flagd.flagKey", "targetingKey":
		return ""
	}
	return name
}
