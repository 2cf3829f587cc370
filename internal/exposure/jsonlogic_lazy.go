package exposure

func logicIf(args []node) expr {
	return func(s scope) Value {
		i := 0
		for ; i+1 < len(args); i += 2 {
			test := args[i].eval(s)
			if test.kind == fault {
				return test
			}
			if test.Truthy() {
				return args[i+1].eval(s)
			}
		}
		if i < len(args) {
			return args[i].eval(s)
		}
		return Value{}
	}
}

// logicJunction is or when stop is true, and when it is false.
func logicJunction(stop bool) func([]node) expr {
	return func(args []node) expr {
		return func(s scope) Value {
			v := boolean(false)
			for i := range args {
				if v = args[i].eval(s); v.kind == fault || v.Truthy() == stop {
					break
				}
			}
			return v
		}
	}
}

func logicCoalesce(args []node) expr {
	return func(s scope) (v Value) {
		for i := range args {
			if v = args[i].eval(s); v.kind != Null {
				break
			}
		}
		return v
	}
}

// logicTry gives the first argument that is no fault; each sees the fault before it as the item.
func logicTry(args []node) expr {
	return func(s scope) (v Value) {
		for i := range args {
			if v = args[i].eval(s); v.kind != fault {
				break
			}
			s = scope{s.ctx, &frame{item: v.ref.(Value), left: s.loop.left, outer: s.loop}}
		}
		return v
	}
}

// logicItems evaluates the list of a loop. What is not there is empty where that has an answer; a constant that is no list
// never has.
func logicItems(n node, s scope, need bool) (list, wrong Value) {
	list = n.eval(s)
	switch {
	case list.kind == fault:
		return Value{}, list
	case list.kind != List && (need || n.fixed):
		return Value{}, invalidArguments
	}
	return list, Value{}
}

// logicEach calls do with what the body gives for each item, until it says that this is enough; a fault ends the loop.
func logicEach(s scope, list Value, f *frame, body node, do func(item, v Value) bool) (wrong Value) {
	f.left, f.outer = s.loop.left, s.loop
	for i := range list.length() {
		f.item, f.index = list.at(i), i
		if *f.left--; f.spent() { // also of a body that has no operator
			return thrown(text("Too Much Work"))
		}
		v := body.eval(scope{s.ctx, f})
		if v.kind == fault {
			return v
		}
		if !do(f.item, v) {
			break
		}
	}
	return Value{}
}

func isNull(n node) bool { return n.fixed && n.value.kind == Null }

func logicMap(args []node) expr {
	if isNull(args[1]) {
		return fixed(invalidArguments).eval
	}
	return func(s scope) Value {
		list, wrong := logicItems(args[0], s, false)
		out := []Value{}
		if wrong.kind != fault {
			wrong = logicEach(s, list, &frame{}, args[1], func(_, v Value) bool { out = append(out, v); return true })
		}
		if wrong.kind == fault {
			return wrong
		}
		return tooLarge(newList(out))
	}
}

func logicFilter(args []node) expr {
	if isNull(args[1]) {
		return fixed(invalidArguments).eval
	}
	return func(s scope) Value {
		list, wrong := logicItems(args[0], s, false)
		out := []Value{}
		if wrong.kind != fault {
			wrong = logicEach(s, list, &frame{}, args[1], func(item, v Value) bool {
				if v.Truthy() {
					out = append(out, item)
				}
				return true
			})
		}
		if wrong.kind == fault {
			return wrong
		}
		return tooLarge(newList(out))
	}
}

// logicQuantify looks for an item whose truth is want, and gives result when there is one, else its opposite.
func logicQuantify(want, result bool) func([]node) expr {
	return func(args []node) expr {
		return func(s scope) Value {
			list, wrong := logicItems(args[0], s, true)
			found := false
			if wrong.kind != fault {
				wrong = logicEach(s, list, &frame{}, args[1], func(_, v Value) bool { found = v.Truthy() == want; return !found })
			}
			switch {
			case wrong.kind == fault:
				return wrong
			case !want && list.length() == 0: // all of none
				return boolean(false)
			}
			return boolean(found == result)
		}
	}
}

func logicReduce(args []node) expr {
	return func(s scope) Value {
		list, wrong := logicItems(args[0], s, false)
		f := &frame{reduce: true}
		if len(args) > 2 {
			f.acc = args[2].eval(s)
		}
		switch {
		case wrong.kind == fault:
			return wrong
		case f.acc.kind == fault:
			return f.acc
		case len(args) < 3 && list.length() > 0: // the first item begins
			f.acc, list = list.at(0), Value{kind: List, ref: list.items()[1:]}
		}
		wrong = logicEach(s, list, f, args[1], func(_, v Value) bool { f.acc = v; return true })
		if wrong.kind == fault {
			return wrong
		}
		return f.acc
	}
}
