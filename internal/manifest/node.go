package manifest

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/resource"
)

// reader turns the nodes of one document into the values that JSON has, noting where each stands.
type reader struct {
	root     *yaml.Node
	budget   *int // values that may still be made, shared by the documents of a file: what aliases unfold to counts
	doc      document
	problems []Problem
}

func placeOf(n *yaml.Node) place { return place{n.Line, n.Column} }

func (r *reader) bad(n *yaml.Node, path, expected, format string, args ...any) any {
	if len(r.problems) < 100 {
		r.problems = append(r.problems, Problem{File: r.doc.file, Line: n.Line, Column: n.Column, Field: path,
			Msg: fmt.Sprintf(format, args...), Expected: expected})
	}
	return nil
}

func (r *reader) value(n *yaml.Node, path string, depth int) any {
	if *r.budget--; *r.budget < 0 || depth > maxDepth {
		if *r.budget < 0 && *r.budget != -1 {
			return nil // said once
		}
		return r.bad(n, path, "a resource", "too many values, or nested too deep")
	}
	r.doc.values[path] = placeOf(n)
	switch n.Kind {
	case yaml.AliasNode:
		v := r.value(n.Alias, path, depth+1)
		r.doc.values[path] = placeOf(n) // what is wrong is wrong here, if not there
		return v
	case yaml.MappingNode:
		return r.mapping(n, path, depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, e := range n.Content {
			list = append(list, r.value(e, resource.Item(path, i), depth+1))
		}
		return list
	}
	return r.scalar(n, path)
}

func (r *reader) mapping(n *yaml.Node, path string, depth int) any {
	obj := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		at := resource.Field(path, key.Value)
		switch {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
			r.bad(key, at, "the fields themselves", "merge keys are not read")
			continue
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			r.bad(n.Content[i], path, "the name of a field; put it in quotes when it looks like something else", "a key that is not text")
			continue
		}
		if first, twice := r.doc.keys[at]; twice {
			r.bad(n.Content[i], at, "each once", "stands already in line %d", first.line)
			continue
		}
		r.doc.keys[at] = placeOf(n.Content[i])
		obj[key.Value] = r.value(val, at, depth+1)
	}
	return obj
}

// scalar follows YAML's own idea of types, without its surprises: a date stays text, and there is no infinity.
func (r *reader) scalar(n *yaml.Node, path string) any {
	switch tag := n.ShortTag(); tag {
	case "!!null":
		return nil
	case "!!str", "!!timestamp", "!!merge": // a date is text, and so is << as a value
		return n.Value
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return r.bad(n, path, "true or false", "got %q", n.Value)
		}
		return b
	case "!!int":
		var i int64
		if err := n.Decode(&i); err != nil {
			return r.bad(n, path, "a whole number of at most 64 bits", "got %.80q", n.Value)
		}
		return json.Number(strconv.FormatInt(i, 10))
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return r.bad(n, path, "a finite number", "got %.80q", n.Value)
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
	default:
		return r.bad(n, path, "text, a number, true or false", "the tag %.80s is not known here", tag)
	}
}
