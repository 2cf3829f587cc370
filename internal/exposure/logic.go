package exposure

func buildIf(args []node) node {
	if len(args) == 0 {
		return fixed(Value{})
	}
	tests := make([]func(scope) bool, len(args))
	for i := range args {
		tests[i] = args[i].truth()
	}
	return node{
		eval: func(s scope) Value {
			i := chosen(tests, s)
			if i < 0 {
				return Value{}
			}
			return args[i].eval(s)
		},
		test: func(s scope) bool {
			i := chosen(tests, s)
			return i >= 0 && tests[i](s)
		},
	}
}

// chosen is the index of the argument that if, then, else if, then, … else gives; -1 for none.
func chosen(tests []func(scope) bool, s scope) int {
	i := 0
	for ; i+1 < len(tests); i += 2 {
		if tests[i](s) {
			return i + 1
		}
	}
	if i < len(tests) {
		return i
	}
	return -1
}

func buildAnd(args []node) node { return buildJunction(args, false) }
func buildOr(args []node) node  { return buildJunction(args, true) }

// buildJunction is or when stop is true, and when it is false: the first argument whose truth is stop, else the last.
func buildJunction(args []node, stop bool) node {
	if len(args) == 0 {
		return fixed(boolean(false))
	}
	tests := make([]func(scope) bool, len(args))
	for i := range args {
		tests[i] = args[i].truth()
	}
	return node{
		eval: func(s scope) (v Value) {
			for i := range args {
				if v = args[i].eval(s); v.Truthy() == stop {
					break
				}
			}
			return v
		},
		test: func(s scope) bool {
			for _, test := range tests {
				if test(s) == stop {
					return stop
				}
			}
			return !stop
		},
	}
}

func buildNot(args []node) node {
	if len(args) == 0 {
		return fixed(boolean(true))
	}
	test := args[0].truth()
	return predicate(func(s scope) bool { return !test(s) })
}

func buildTruth(args []node) node {
	if len(args) == 0 {
		return fixed(boolean(false))
	}
	return predicate(args[0].truth())
}

// buildLog gives its argument on; there is nowhere to log to in here.
func buildLog(args []node) node { return args[0] }
