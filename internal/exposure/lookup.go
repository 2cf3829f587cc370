package exposure

import "strings"

// compileVar compiles {"var": [path, default]}.
func compileVar(c *compiler, args arguments) (node, error) {
	nodes, err := c.all(args)
	if err != nil {
		return node{}, err
	}
	path := fixed(Value{})
	if len(nodes) > 0 {
		path = nodes[0]
	}
	if path.fixed && path.value.str == flagdName+".flagKey" && c.loops == 0 && c.opts.FlagKey != "" {
		return fixed(text(c.opts.FlagKey)), nil
	}
	read := c.read(path)
	if len(nodes) < 2 {
		return node{eval: read, text: c.readText(path)}, nil
	}
	otherwise := nodes[1].eval
	return node{eval: func(s scope) Value {
		if v := read(s); v.kind != Null {
			return v
		}
		return otherwise(s)
	}}, nil
}

func (c *compiler) whole() expr {
	if c.loops > 0 {
		return func(s scope) Value { return s.loop.whole() }
	}
	c.readsAll = true
	return func(s scope) Value { return s.ctx.whole() }
}

// read compiles the access to a path.
func (c *compiler) read(path node) expr {
	if !path.fixed {
		c.readsAll = c.readsAll || c.loops == 0
		return func(s scope) Value {
			p, ok := pathText(path.eval(s))
			if !ok {
				return Value{}
			}
			return lookup(s, p)
		}
	}
	p, ok := pathText(path.value)
	switch {
	case !ok:
		return fixed(Value{}).eval
	case p == "":
		return c.whole()
	case c.loops > 0:
		return func(s scope) Value { return lookup(s, p) }
	}
	c.reads(p)
	switch p {
	case keyName:
		return readKey
	case flagdName + ".flagKey":
		return func(s scope) Value { return text(s.ctx.FlagKey) }
	case flagdName + ".timestamp":
		return func(s scope) Value { return number(float64(s.ctx.Timestamp)) }
	}
	name, rest, nested := strings.Cut(p, ".")
	switch {
	case name == keyName || name == flagdName:
		return func(s scope) Value { return lookup(s, p) }
	case nested:
		return func(s scope) Value { return follow(valueOf(s.ctx.Attributes[name]), rest) }
	}
	return func(s scope) Value { return valueOf(s.ctx.Attributes[name]) }
}

// readText is the short way to the text of an attribute or of the targeting key, nil for all else.
func (c *compiler) readText(path node) textExpr {
	name := path.value.str
	switch {
	case c.loops > 0 || !path.fixed || name == "" || name == flagdName || strings.Contains(name, "."):
		return nil
	case name == keyName:
		return func(s scope) (string, bool) { return s.ctx.TargetingKey, s.ctx.TargetingKey != "" }
	}
	return func(s scope) (string, bool) {
		str, ok := s.ctx.Attributes[name].(string)
		return str, ok
	}
}

func readKey(s scope) Value {
	if s.ctx.TargetingKey == "" {
		return Value{}
	}
	return text(s.ctx.TargetingKey)
}

// reads notes that a path of the context is read.
func (c *compiler) reads(path string) {
	name, _, _ := strings.Cut(path, ".")
	c.readsFlag = c.readsFlag || name == flagdName && path != flagdName+".timestamp"
	if c.loops == 0 && name != keyName && name != flagdName {
		c.attributes[name] = struct{}{}
	}
}

// pathText is the path that v names: a text, or the index of an item. Null names everything, as "" does.
func pathText(v Value) (string, bool) {
	switch v.kind {
	case Null:
		return "", true
	case String:
		return v.str, true
	case Number:
		return string(appendNumber(nil, v.num)), true
	}
	return "", false
}

// lookup finds a path where s stands.
func lookup(s scope, path string) Value {
	name, rest, nested := strings.Cut(path, ".")
	var v Value
	switch {
	case path == "" && s.loop != nil:
		return s.loop.whole()
	case path == "":
		return s.ctx.whole()
	case s.loop != nil:
		v = s.loop.name(name)
	default:
		v = s.ctx.attribute(name)
	}
	if nested {
		return follow(v, rest)
	}
	return v
}

func follow(v Value, path string) Value {
	for {
		name, rest, more := strings.Cut(path, ".")
		v = v.field(name)
		if !more || v.kind == Null {
			return v
		}
		path = rest
	}
}

// compileMissing compiles {"missing": [path, …]}: the paths that lead nowhere.
func compileMissing(c *compiler, args arguments) (node, error) {
	nodes, err := c.all(args)
	if err != nil {
		return node{}, err
	}
	c.readsPaths(nodes)
	return node{eval: func(s scope) Value {
		paths := make([]Value, len(nodes))
		for i := range nodes {
			paths[i] = nodes[i].eval(s)
		}
		if len(paths) > 0 && paths[0].kind == List {
			return newList(missing(s, paths[0]))
		}
		return newList(missing(s, Value{kind: List, ref: paths}))
	}}, nil
}

// compileMissingSome compiles {"missing_some": [n, [path, …]]}: none when at least n of the paths lead somewhere,
// else those that do not.
func compileMissingSome(c *compiler, args arguments) (node, error) {
	nodes, err := c.all(args)
	if err != nil {
		return node{}, err
	}
	need, paths := nodes[0].eval, nodes[1]
	c.readsPaths([]node{paths})
	return node{eval: func(s scope) Value {
		list := paths.eval(s)
		gone := missing(s, list)
		if n, ok := need(s).asNumber(); ok && float64(list.length()-len(gone)) >= n {
			gone = nil
		}
		return newList(gone)
	}}, nil
}

func missing(s scope, paths Value) []Value {
	var gone []Value
	for i := range paths.length() {
		p, ok := pathText(paths.at(i))
		v := Value{}
		if ok {
			v = lookup(s, p)
		}
		if v.kind == Null || v.kind == String && v.str == "" {
			gone = append(gone, paths.at(i))
		}
	}
	return gone
}

func (c *compiler) readsPaths(nodes []node) {
	for _, n := range nodes {
		if !n.fixed {
			c.readsAll = c.readsAll || c.loops == 0
			continue
		}
		if n.value.kind != List {
			n.value = Value{kind: List, ref: []Value{n.value}}
		}
		for i := range n.value.length() {
			if p, ok := pathText(n.value.at(i)); ok {
				c.readsAll = c.readsAll || p == "" && c.loops == 0
				c.reads(p)
			}
		}
	}
}
