package exposure

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

type compiler struct {
	opts       Options
	path       []string
	depth      int
	operators  int
	work       int // values computed by what is compiled so far, evaluated once
	loops      int // loops around the part being compiled
	inRef      bool
	attributes map[string]struct{}
	readsAll   bool
	logic      bool // the dialect is Logic's
	readsFlag  bool // the flag's key, or what it is in, by a name that is looked up at evaluation
}

func (c *compiler) fail(format string, args ...any) error {
	return errs.E(errs.Invalid, "%s: %s", c.at(), fmt.Sprintf(format, args...))
}

// at names the place; of very deep ones the middle is left out.
func (c *compiler) at() string {
	const head, tail = 16, 4
	path := c.path
	if len(path) > head+tail {
		path = slices.Concat(path[:head], []string{"…"}, path[len(path)-tail:])
	}
	if len(path) == 0 {
		return "rule"
	}
	at := "rule at "
	for _, step := range path {
		at += "/" + escaped.Replace(step)
	}
	return at
}

// in compiles something one step further down. An operand that is not in a list is no step of its own.
func (c *compiler) in(step string, raw any, compile func(any) (node, error)) (node, error) {
	if step == bare {
		return compile(raw)
	}
	c.path = append(c.path, step)
	n, err := compile(raw)
	c.path = c.path[:len(c.path)-1]
	return n, err
}

func (c *compiler) node(raw any) (node, error) {
	c.work++
	if c.depth++; c.depth > maxDepth {
		return node{}, c.fail("nested more than %d deep", maxDepth)
	}
	defer func() { c.depth-- }()
	switch raw := raw.(type) {
	case []any:
		return c.list(raw)
	case map[string]any:
		if len(raw) == 1 {
			for name, operand := range raw {
				return c.operation(name, operand)
			}
		}
		if c.opts.Strict {
			return node{}, c.fail("an object with %d keys is no rule; expected one operator", len(raw))
		}
	}
	return fixed(valueOf(raw)), nil
}

func (c *compiler) list(raw []any) (node, error) {
	items, err := c.nodes(raw)
	if err != nil {
		return node{}, err
	}
	if c.logic {
		return logicList(items), nil
	}
	make := func(s scope) Value {
		values := make([]Value, len(items))
		for i := range items {
			values[i] = items[i].eval(s)
		}
		return newList(values)
	}
	if allFixed(items) {
		return fixed(constantList(items)), nil
	}
	return node{eval: make}, nil
}

// constantList is not bound by maxListWeight: the size of the rule bounds it.
func constantList(items []node) Value {
	values := make([]Value, len(items))
	for i := range items {
		values[i] = items[i].value
	}
	return Value{kind: List, num: float64(len(values) + 1), ref: values}
}

func (c *compiler) nodes(raw []any) ([]node, error) { return c.all(arguments{list: raw}) }

// arguments are those of an operator; a single one may be given without a list.
type arguments struct {
	list []any
	bare bool
}

// bare is the step to an argument without a list.
const bare = "\x00"

func (a arguments) step(i int) string {
	if a.bare {
		return bare
	}
	return strconv.Itoa(i)
}

func (c *compiler) argument(args arguments, i int) (node, error) {
	return c.in(args.step(i), args.list[i], c.node)
}

func (c *compiler) all(args arguments) ([]node, error) {
	nodes := make([]node, len(args.list))
	for i := range nodes {
		n, err := c.argument(args, i)
		if err != nil {
			return nil, err
		}
		nodes[i] = n
	}
	return nodes, nil
}

// operation compiles {name: operand}.
func (c *compiler) operation(name string, operand any) (node, error) {
	return c.in(name, operand, func(operand any) (node, error) {
		if c.logic {
			return c.logicOperation(name, operand)
		}
		if name == "$ref" {
			return c.reference(operand)
		}
		op, known := operators[name]
		if !known {
			return node{}, c.fail("unknown operator %q", name)
		}
		if c.operators++; c.operators > maxOperators {
			return node{}, c.fail("more than %d operators", maxOperators)
		}
		if list, ok := operand.([]any); ok {
			return c.apply(name, op, arguments{list: list})
		}
		if op.spread {
			return c.spread(op, operand)
		}
		return c.apply(name, op, arguments{list: []any{operand}, bare: true})
	})
}

// apply checks the number of arguments and compiles the operator.
func (c *compiler) apply(name string, op operator, args arguments) (node, error) {
	n := len(args.list)
	few, many := n < op.min, op.max >= 0 && n > op.max
	if (few || many || n < op.sense) && c.opts.Strict {
		return node{}, c.fail("%q has %d arguments; expected %s", name, n, op.arity())
	}
	if few || many && op.exact {
		return fixed(Value{}), nil
	}
	if many {
		args.list = args.list[:op.max]
	}
	if op.special != nil {
		return op.special(c, args)
	}
	nodes, err := c.all(args)
	if err != nil {
		return node{}, err
	}
	return fold(op.build(nodes), nodes), nil
}

// fold evaluates now what does not depend on the context.
func fold(n node, args []node) node {
	if allFixed(args) && !n.fixed {
		return fixed(n.eval(scope{}))
	}
	return n
}

// spread compiles an operator whose operand is not a list: an expression that may give the list of arguments.
func (c *compiler) spread(op operator, operand any) (node, error) {
	n, err := c.node(operand)
	if err != nil {
		return node{}, err
	}
	eval := func(s scope) Value {
		v := n.eval(s)
		if v.kind != List {
			v = Value{kind: List, ref: []Value{v}}
		}
		if v.length() < op.min {
			return Value{}
		}
		args := make([]node, v.length())
		for i := range args {
			args[i] = fixed(v.at(i))
		}
		return op.build(args).eval(s)
	}
	return fold(node{eval: eval}, []node{n}), nil
}

func (c *compiler) reference(operand any) (node, error) {
	name, ok := operand.(string)
	if !ok {
		return node{}, c.fail("$ref must be the name of an evaluator")
	}
	raw, ok := c.opts.Evaluators[name]
	if !ok {
		return node{}, c.fail("there is no evaluator %q", name)
	}
	if c.inRef {
		return node{}, c.fail("an evaluator cannot refer to another one")
	}
	tree, err := decode(json.RawMessage(raw), c.opts.MaxBytes)
	if err != nil {
		return node{}, errs.Wrap(errs.Invalid, err, "evaluator %q", name)
	}
	c.inRef = true
	defer func() { c.inRef = false }()
	return c.in(name, tree, c.node)
}

// escaped makes a key a step of a JSON pointer.
var escaped = strings.NewReplacer("~", "~0", "/", "~1")
