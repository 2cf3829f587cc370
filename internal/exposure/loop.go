package exposure

// loop is a list and what is done with each of its items.
type loop struct {
	list expr
	body node
	test func(scope) bool // the truth of body
	cost int              // values computed in one evaluation of body
}

// compileLoop compiles the operators that take a list and an expression on its items.
func compileLoop(run func(*loop, scope) Value) func(*compiler, arguments) (node, error) {
	return func(c *compiler, args arguments) (node, error) {
		list, err := c.argument(args, 0)
		if err != nil {
			return node{}, err
		}
		before := c.work
		c.loops++
		body, err := c.argument(args, 1)
		c.loops--
		l := &loop{list: list.eval, body: body, cost: c.work - before}
		if err != nil {
			return node{}, err
		}
		l.test = body.truth()
		return node{eval: func(s scope) Value { return run(l, s) }}, nil
	}
}

// enter begins a loop at s.
func enter(s scope, reduce bool) *frame {
	f := &frame{reduce: reduce}
	if s.loop != nil {
		f.left = s.loop.left
	} else {
		left := maxLoopWork
		f.left = &left
	}
	return f
}

// next takes an item, unless the work that may be spent is used up.
func (f *frame) next(item Value, cost int) bool {
	f.item = item
	*f.left -= cost
	return !f.spent()
}

// spent reports that the work is used up. What a body gave is then worth nothing: a loop in it ended in null.
func (f *frame) spent() bool { return *f.left < 0 }

func evalMap(l *loop, s scope) Value {
	list := l.list(s)
	f := enter(s, false)
	out := make([]Value, 0, list.length())
	for i := range list.length() {
		if !f.next(list.at(i), l.cost) {
			return Value{}
		}
		out = append(out, l.body.eval(scope{s.ctx, f}))
	}
	if f.spent() {
		return Value{}
	}
	return newList(out)
}

func evalFilter(l *loop, s scope) Value {
	list := l.list(s)
	f := enter(s, false)
	var out []Value
	for i := range list.length() {
		if !f.next(list.at(i), l.cost) {
			return Value{}
		}
		if l.test(scope{s.ctx, f}) {
			out = append(out, f.item)
		}
	}
	if f.spent() {
		return Value{}
	}
	return newList(out)
}

// find reports whether there is an item whose truth is want, and whether there was work left to tell.
func (l *loop) find(s scope, list Value, want bool) (found, known bool) {
	f := enter(s, false)
	for i := range list.length() {
		if !f.next(list.at(i), l.cost) {
			return false, false
		}
		if l.test(scope{s.ctx, f}) == want {
			return true, !f.spent()
		}
	}
	return false, !f.spent()
}

func evalSome(l *loop, s scope) Value { return l.quantify(s, true, true) }
func evalNone(l *loop, s scope) Value { return l.quantify(s, true, false) }

// evalAll of no items is false, as JSONLogic has it.
func evalAll(l *loop, s scope) Value { return l.quantify(s, false, false) }

// quantify gives result when an item's truth is want, else its opposite.
func (l *loop) quantify(s scope, want, result bool) Value {
	list := l.list(s)
	if !want && list.length() == 0 {
		return boolean(false)
	}
	found, known := l.find(s, list, want)
	if !known {
		return Value{}
	}
	return boolean(found == result)
}

// compileReduce compiles {"reduce": [list, expression on current and accumulator, start]}.
func compileReduce(c *compiler, args arguments) (node, error) {
	start := fixed(Value{})
	if len(args.list) == 3 {
		var err error
		if start, err = c.argument(args, 2); err != nil {
			return node{}, err
		}
	}
	return compileLoop(func(l *loop, s scope) Value {
		list := l.list(s)
		f := enter(s, true)
		f.acc = start.eval(s)
		for i := range list.length() {
			if !f.next(list.at(i), l.cost) {
				return Value{}
			}
			f.acc = l.body.eval(scope{s.ctx, f})
		}
		if f.spent() {
			return Value{}
		}
		return f.acc
	})(c, arguments{list: args.list[:2]})
}
