package flag

// prerequisites is the rule that holds when all prerequisites of a flag are met.
func (l *lowerer) prerequisites(f *Definition) any {
	conditions := make([]any, len(f.Prerequisites))
	for i, p := range f.Prerequisites {
		conditions[i] = l.met(p)
	}
	return all(conditions...)
}

// met holds when a flag gives one of the variants that are needed.
func (l *lowerer) met(p Prerequisite) any {
	f := l.doc.Flags[p.Flag]
	if f == nil || !f.EnabledIn(l.env) {
		return false
	}
	otherwise := false
	var names []any
	for _, v := range p.Variants {
		names = append(names, v)
		otherwise = otherwise || v == f.DefaultIn(l.env)
		names = append(names, meant(v)...)
	}
	tree := l.tree(f)
	if tree == nil {
		return otherwise
	}
	if otherwise {
		names = append(names, nil)
	}
	return op("in", own(tree, f.Key), names)
}

// meant are the results of a rule, other than a text, that name a variant.
func meant(variant string) []any {
	switch variant {
	case "true":
		return []any{true}
	case "false":
		return []any{false}
	}
	return nil
}

// own makes a rule independent of the flag that it stands in.
func own(tree any, key string) any { return tree }
