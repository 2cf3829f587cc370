package flag

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/resource"
)

// arity is how many arguments an operator takes, which stand in a list; a single one may stand alone when bare is set.
type arity struct {
	least, most int // most -1 means any number
	bare        bool
}

// operators are those of flagd's targeting schema whose arguments are any expressions.
var operators = map[string]arity{
	"substr": {2, 3, false}, "<": {2, 3, false}, "<=": {2, 3, false},
	"==": {2, 2, false}, "===": {2, 2, false}, "!=": {2, 2, false}, "!==": {2, 2, false}, ">": {2, 2, false}, ">=": {2, 2, false},
	"%": {2, 2, false}, "/": {2, 2, false}, "in": {2, 2, false},
	"map": {2, 2, false}, "filter": {2, 2, false}, "all": {2, 2, false}, "none": {2, 2, false}, "some": {2, 2, false}, "reduce": {3, 3, false},
	"*": {2, -1, false}, "!": {1, 1, true}, "!!": {1, 1, true},
	"if": {1, -1, false}, "or": {1, -1, false}, "and": {1, -1, false}, "+": {1, -1, false}, "-": {1, -1, false},
	"max": {1, -1, false}, "min": {1, -1, false}, "merge": {1, -1, false}, "cat": {1, -1, false},
}

// special are the operators with a grammar of their own. Set in init, as they come back to the table.
var special map[string]func(c *checker, operand any, path string)

func init() {
	special = map[string]func(*checker, any, string){
		"var": (*checker).variable, "missing": (*checker).missing, "missing_some": (*checker).missingSome, "$ref": (*checker).reference,
		"starts_with": (*checker).affix, "ends_with": (*checker).affix, "sem_ver": (*checker).version, "fractional": (*checker).fractional,
	}
}

func (a arity) String() string {
	switch {
	case a.most < 0:
		return fmt.Sprintf("a list of at least %d", a.least)
	case a.least == a.most:
		return fmt.Sprintf("a list of %d", a.least)
	}
	return fmt.Sprintf("a list of %d to %d", a.least, a.most)
}

// rule checks a whole rule: an object, which may be empty.
func (c *checker) rule(v any, path string) {
	obj, ok := v.(map[string]any)
	if !ok {
		c.bad(path, "a rule, as in {\"if\": […]}", "got %s", kindOf(v))
		return
	}
	if len(obj) > 0 {
		c.expression(obj, path)
	}
}

// expression checks what may stand where a value is wanted.
func (c *checker) expression(v any, path string) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			c.expression(e, resource.Item(path, i))
		}
	case map[string]any:
		c.operation(v, path)
	}
}

func (c *checker) operation(obj map[string]any, path string) {
	if len(obj) != 1 {
		c.bad(path, "one operator", "an object of %d keys is no rule", len(obj))
		return
	}
	for name, operand := range obj {
		at := resource.Field(path, name)
		if check, ok := special[name]; ok {
			check(c, operand, at)
			return
		}
		n, ok := operators[name]
		if !ok {
			c.bad(at, "one of "+operatorNames(), "unknown operator %.40q", name)
			return
		}
		list, isList := operand.([]any)
		switch {
		case !isList && n.bare:
		case !isList:
			c.bad(at, n.String(), "got %s", kindOf(operand))
			return
		case len(list) < n.least || n.most >= 0 && len(list) > n.most:
			c.bad(at, n.String(), "got %d arguments", len(list))
		}
		c.expression(operand, at)
	}
}

func operatorNames() string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(operators)), maps.Keys(special))
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (c *checker) variable(operand any, path string) {
	switch v := operand.(type) {
	case string:
		if strings.HasPrefix(v, "$flagd.") && v != "$flagd.timestamp" && v != "$flagd.flagKey" {
			c.bad(path, "$flagd.flagKey or $flagd.timestamp", "there is no %.40s", v)
		}
	case []any:
		if len(v) == 0 {
			c.bad(path, "the name of an attribute", "got an empty list")
		}
		c.expression(v, path)
	default:
		c.expression(v, path)
	}
}

func (c *checker) missing(operand any, path string) {
	list, ok := operand.([]any)
	if !ok {
		c.bad(path, "a list of names", "got %s", kindOf(operand))
		return
	}
	for i, e := range list {
		if _, ok := e.(string); !ok {
			c.bad(resource.Item(path, i), "a name", "got %s", kindOf(e))
		}
	}
}

func (c *checker) missingSome(operand any, path string) {
	list, ok := c.list(operand, path, arity{2, 2, false})
	if !ok {
		return
	}
	if _, isNumber := list[0].(float64); !isNumber {
		c.bad(resource.Item(path, 0), "a number", "got %s", kindOf(list[0]))
	}
	c.missing(list[1], resource.Item(path, 1))
}

func (c *checker) list(operand any, path string, n arity) ([]any, bool) {
	list, ok := operand.([]any)
	if !ok {
		c.bad(path, n.String(), "got %s", kindOf(operand))
		return nil, false
	}
	if len(list) < n.least || n.most >= 0 && len(list) > n.most {
		c.bad(path, n.String(), "got %d arguments", len(list))
		return nil, false
	}
	return list, true
}

func (c *checker) reference(operand any, path string) {
	name, ok := operand.(string)
	if !ok {
		c.bad(path, "the name of an evaluator", "got %s", kindOf(operand))
		return
	}
	raw, known := c.evaluators[name]
	switch {
	case c.refs == refsNone:
		c.bad(path, "a rule without $ref", "an evaluator cannot refer to another one")
	case c.refs == refsKnown && !known:
		c.bad(path, "one of $evaluators", "there is no evaluator %.80q", name)
	}
	c.expanded += len(raw)
}

func (c *checker) affix(operand any, path string) {
	list, _ := c.list(operand, path, arity{2, 2, false})
	for i, e := range list {
		c.textOrRule(e, resource.Item(path, i))
	}
}

func (c *checker) textOrRule(v any, path string) {
	switch v.(type) {
	case string:
	case map[string]any:
		c.expression(v, path)
	default:
		c.bad(path, "text or an expression", "got %s", kindOf(v))
	}
}

var (
	relations = []string{"=", "!=", ">", "<", ">=", "<=", "~", "^"}
	// A version as sem_ver reads it: flagd's schema wants all three numbers, its evaluators do not.
	versionRE = regexp.MustCompile(`^[vV]?(0|[1-9]\d*)(\.(0|[1-9]\d*)(\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?)?)?$`)
)

func (c *checker) version(operand any, path string) {
	list, ok := c.list(operand, path, arity{3, 3, false})
	if !ok {
		return
	}
	for _, i := range []int{0, 2} {
		at := resource.Item(path, i)
		c.textOrRule(list[i], at)
		if s, isText := list[i].(string); isText && !versionRE.MatchString(s) {
			c.bad(at, "a version as in 1.2.3", "got %.40q", s)
		}
	}
	if s, _ := list[1].(string); !slices.Contains(relations, s) {
		c.bad(resource.Item(path, 1), "one of "+strings.Join(relations, " "), "got %s", kindOf(list[1]))
	}
}

func (c *checker) fractional(operand any, path string) {
	list, ok := c.list(operand, path, arity{1, -1, false})
	if !ok {
		return
	}
	for i, e := range list {
		at := resource.Item(path, i)
		switch e := e.(type) {
		case []any:
			c.share(e, at)
		case map[string]any:
			if i > 0 {
				c.bad(at, "a variant and its weight", "got %s", kindOf(e))
				continue
			}
			c.expression(e, at)
		default:
			c.bad(at, "a variant and its weight, or first an expression to bucket by", "got %s", kindOf(e))
		}
	}
}

func (c *checker) share(list []any, path string) {
	if len(list) < 1 || len(list) > 2 {
		c.bad(path, "a variant and its weight", "got a list of %d", len(list))
		return
	}
	c.expression(list[0], resource.Item(path, 0))
	if len(list) == 1 {
		return
	}
	at := resource.Item(path, 1)
	switch w := list[1].(type) {
	case map[string]any:
		c.expression(w, at)
	case float64:
		if w < 0 || w != math.Trunc(w) || w > math.MaxInt32 {
			c.bad(at, "a whole number from 0 to 2147483647", "got %s", numberName(w))
		}
	default:
		c.bad(at, "a whole number, or an expression that gives one", "got %s", kindOf(w))
	}
}

// outcome finds variants that a rule names and that do not exist.
func (c *checker) outcome(f *Flag, v any, path string, depth int) {
	if depth > maxDepth || len(f.names) == 0 {
		return
	}
	switch v := v.(type) {
	case string:
		if f.find(v) < 0 {
			c.bad(path, "one of "+strings.Join(f.names, ", "), "%.80q is no variant", v)
		}
	case map[string]any:
		if branches, ok := v["if"].([]any); ok && len(v) == 1 && len(branches) > 1 {
			at := resource.Field(path, "if")
			for i := range branches {
				if i%2 == 1 || i == len(branches)-1 {
					c.outcome(f, branches[i], resource.Item(at, i), depth+1)
				}
			}
		}
		if shares, ok := v["fractional"].([]any); ok && len(v) == 1 {
			at := resource.Field(path, "fractional")
			for i, e := range shares {
				if share, ok := e.([]any); ok && len(share) > 0 {
					c.outcome(f, share[0], resource.Item(resource.Item(at, i), 0), depth+1)
				}
			}
		}
	}
}
