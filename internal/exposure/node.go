package exposure

type expr func(scope) Value

// textExpr reports false when the value is not a text.
type textExpr func(scope) (string, bool)

// node is a compiled part of a rule.
type node struct {
	eval  expr
	test  func(scope) bool // the truth of eval, when there is a shorter way to it
	text  textExpr         // the text that eval gives, when there is a shorter way to it
	fixed bool             // eval gives value, whatever the context
	value Value
	parts []node // the arguments of cat, from which a hash is taken without making the text
}

func fixed(v Value) node {
	return node{eval: func(scope) Value { return v }, fixed: true, value: v}
}

// predicate is a node that is always true or false.
func predicate(test func(scope) bool) node {
	return node{eval: func(s scope) Value { return boolean(test(s)) }, test: test}
}

// maybe is a node that is true, false or, when that is not known, null.
func maybe(check func(scope) (holds, known bool)) node {
	return node{
		eval: func(s scope) Value {
			holds, known := check(s)
			if !known {
				return Value{}
			}
			return boolean(holds)
		},
		test: func(s scope) bool {
			holds, known := check(s)
			return holds && known
		},
	}
}

func (n node) truth() func(scope) bool {
	if n.test != nil {
		return n.test
	}
	if n.fixed {
		is := n.value.Truthy()
		return func(scope) bool { return is }
	}
	eval := n.eval
	return func(s scope) bool { return eval(s).Truthy() }
}

// get is eval without the call when there is nothing to evaluate.
func (n *node) get(s scope) Value {
	if n.fixed {
		return n.value
	}
	return n.eval(s)
}

// string is the way to the node's text.
func (n node) string() textExpr {
	if n.text != nil {
		return n.text
	}
	if n.fixed {
		str, ok := n.value.Text()
		return func(scope) (string, bool) { return str, ok }
	}
	eval := n.eval
	return func(s scope) (string, bool) {
		v := eval(s)
		return v.str, v.kind == String
	}
}

func allFixed(nodes []node) bool {
	for i := range nodes {
		if !nodes[i].fixed {
			return false
		}
	}
	return true
}
