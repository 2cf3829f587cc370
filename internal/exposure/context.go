package exposure

// Context is what is known of a user or a request.
//
// Attributes hold strings, bools, numbers, nil, lists ([]any, []string) and objects (map[string]any). The names
// targetingKey and $flagd in rules always mean the fields here, not attributes of that name. Evaluation keeps no
// reference to a Context, so one may be used again for the next request.
type Context struct {
	TargetingKey string // "" when unknown; rules then see null
	Attributes   map[string]any
	Timestamp    int64  // seconds since 1970, $flagd.timestamp
	FlagKey      string // $flagd.flagKey
}

const (
	keyName   = "targetingKey"
	flagdName = "$flagd"
)

// scope is where a rule is evaluated: at the top of it, or in the body of a loop.
type scope struct {
	ctx  *Context
	loop *frame
}

// frame is the innermost loop that an expression is in. Its body sees the item (for reduce also the accumulator)
// and nothing of the context, as in JSONLogic.
type frame struct {
	item   Value
	acc    Value
	reduce bool
	left   *int   // node evaluations that the outermost loop may still spend
	outer  *frame // of Logic, what is around the loop
	index  int    // of Logic, the item's place in its list
}

// attribute returns a top-level name of the context.
func (c *Context) attribute(name string) Value {
	switch name {
	case keyName:
		if c.TargetingKey == "" {
			return Value{}
		}
		return text(c.TargetingKey)
	case flagdName:
		return object(c.flagd())
	}
	return valueOf(c.Attributes[name])
}

func (c *Context) flagd() map[string]any {
	return map[string]any{"flagKey": c.FlagKey, "timestamp": float64(c.Timestamp)}
}

// whole returns the context as one object.
func (c *Context) whole() Value {
	all := make(map[string]any, len(c.Attributes)+2)
	for k, v := range c.Attributes {
		all[k] = v
	}
	delete(all, keyName)
	if c.TargetingKey != "" {
		all[keyName] = c.TargetingKey
	}
	all[flagdName] = c.flagd()
	return object(all)
}

// name returns a name in the item of a loop.
func (f *frame) name(name string) Value {
	if !f.reduce {
		return f.item.field(name)
	}
	switch name {
	case "current":
		return f.item
	case "accumulator":
		return f.acc
	}
	return Value{}
}

// whole returns what {"var": ""} is in a loop.
func (f *frame) whole() Value {
	if !f.reduce {
		return f.item
	}
	v := object(map[string]any{"current": f.item, "accumulator": f.acc})
	if v.num = 1 + f.item.weight() + f.acc.weight(); v.num > maxListWeight {
		return Value{}
	}
	return v
}
