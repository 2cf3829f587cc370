package exposure

import "encoding/json"

// Logic is a compiled expression of JSONLogic as its community specifies it now: with val, exists, ??, throw and try, and with
// errors where flagd's dialect has null. It is compiled and evaluated by the machinery of rules, of which it shares what
// the two dialects have in common; rules of flags and rings are never read by it.
type Logic struct{ root node }

// Thrown is the error of an expression: thrown by it, "NaN" for what is no number, or "Invalid Arguments".
type Thrown struct{ Value any }

func (e *Thrown) Error() string {
	obj, _ := e.Value.(map[string]any)
	if s, ok := obj["type"].(string); ok {
		return s
	}
	return "an error"
}

// CompileLogic compiles an expression.
func CompileLogic(raw json.RawMessage) (*Logic, error) {
	tree, err := decode(raw, 0)
	if err != nil {
		return nil, err
	}
	// All of an expression sees a frame: the outermost one is the data.
	c := &compiler{attributes: map[string]struct{}{}, loops: 1, logic: true}
	root, err := c.node(tree)
	if err != nil {
		return nil, err
	}
	return &Logic{root: root}, nil
}

// Apply evaluates the expression on any decoded JSON.
func (l *Logic) Apply(data any) (any, error) {
	left := maxLoopWork
	v := l.root.eval(scope{&Context{}, &frame{item: valueOf(data), left: &left}})
	if v.kind == fault {
		return nil, &Thrown{Value: v.ref.(Value).Any()}
	}
	return v.Any(), nil
}

// fault is the kind of a value that is an error on its way up; its ref is the Value that was thrown.
const fault Kind = Object + 1

func thrown(v Value) Value {
	if v.kind != Object {
		v = object(map[string]any{"type": v})
	}
	return Value{kind: fault, ref: v}
}

var (
	notANumber       = thrown(text("NaN"))
	invalidArguments = thrown(text("Invalid Arguments"))
)

// logicOperator is one of Logic's.
type logicOperator struct {
	least  int                            // fewer arguments are invalid
	listed bool                           // the arguments must stand in a list, as not all of them may be evaluated
	lazy   func(args []node) expr         // for operators that evaluate their arguments themselves
	strict func(s scope, v []Value) Value // for the others, whose arguments are no faults
}

// logicOperation compiles {name: operand}.
func (c *compiler) logicOperation(name string, operand any) (node, error) {
	if name == "preserve" {
		return fixed(valueOf(operand)), nil
	}
	op, known := logicOperators[name]
	if !known {
		return node{}, c.fail("unknown operator %q", name)
	}
	if c.operators++; c.operators > maxOperators {
		return node{}, c.fail("more than %d operators", maxOperators)
	}
	list, isList := operand.([]any)
	if !isList && op.listed {
		return fixed(invalidArguments), nil
	}
	if !isList {
		n, err := c.node(operand)
		return counted(op.single(n, isOperation(operand))), err
	}
	args, err := c.nodes(list)
	if err != nil || len(args) < op.least {
		return fixed(invalidArguments), err
	}
	if op.lazy != nil {
		return counted(op.lazy(args)), nil
	}
	return counted(op.all(args)), nil
}

// counted takes each evaluation from the work that may be spent.
func counted(eval expr) node {
	return node{eval: func(s scope) Value {
		if *s.loop.left--; s.loop.spent() {
			return thrown(text("Too Much Work"))
		}
		return eval(s)
	}}
}

func isOperation(tree any) bool {
	m, ok := tree.(map[string]any)
	return ok && len(m) == 1
}

// single evaluates an operator whose one argument is not in a list; what is computed may be the list of them.
func (op logicOperator) single(n node, computed bool) expr {
	return func(s scope) Value {
		v := n.eval(s)
		if v.kind == fault {
			return v
		}
		args := []Value{v}
		if computed && v.kind == List {
			args = v.items()
		}
		if len(args) < op.least {
			return invalidArguments
		}
		if op.lazy != nil {
			nodes := make([]node, len(args))
			for i := range args {
				nodes[i] = fixed(args[i])
			}
			return op.lazy(nodes)(s)
		}
		return op.strict(s, args)
	}
}

func (op logicOperator) all(args []node) expr {
	return func(s scope) Value {
		values := make([]Value, len(args))
		for i := range args {
			if values[i] = args[i].eval(s); values[i].kind == fault {
				return values[i]
			}
		}
		return op.strict(s, values)
	}
}

func (v Value) items() []Value {
	items := make([]Value, v.length())
	for i := range items {
		items[i] = v.at(i)
	}
	return items
}

// logicList makes a list of values, unless one of them is a fault.
func logicList(items []node) node {
	return node{eval: logicOperator{strict: func(_ scope, v []Value) Value { return tooLarge(newList(v)) }}.all(items)}
}

// tooLarge throws what rules have null for.
func tooLarge(v Value) Value {
	if v.kind == Null {
		return thrown(text("Too Large"))
	}
	return v
}
