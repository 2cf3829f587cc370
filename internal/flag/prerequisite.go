package flag

import (
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/resource"
)

func (c *checker) prerequisites(obj map[string]any, path string) (needed []Prerequisite) {
	v, ok := obj["prerequisites"]
	if !ok {
		return nil
	}
	at := resource.Field(path, "prerequisites")
	list, isList := v.([]any)
	if !isList || len(list) > maxPrerequisites {
		c.bad(at, "a list of at most 20 with flag and variant", "got %s", sized(v, maxPrerequisites))
		return nil
	}
	for i, e := range list {
		here := resource.Item(at, i)
		o, isObject := e.(map[string]any)
		if !isObject {
			c.bad(here, "an object with flag and variant", "got %s", kindOf(e))
			continue
		}
		c.unknown(o, here, "flag", "variant", "variants")
		p := Prerequisite{Flag: c.words(o, "flag", here, maxKey)}
		if _, ok := o["flag"]; !ok {
			c.bad(here, "flag, the key of a flag of this set", "there is no flag")
		}
		one, several := o["variant"], o["variants"]
		switch {
		case (one == nil) == (several == nil):
			c.bad(here, "either variant or variants", "got both or neither")
		case one != nil:
			if s := c.words(o, "variant", here, maxKey); s != "" {
				p.Variants = []string{s}
			}
		default:
			p.Variants = c.names(o, "variants", here, maxVariants)
		}
		needed = append(needed, p)
	}
	return needed
}

// crossCheck checks what flags say of each other and of the set, when all is read.
func (c *checker) crossCheck() {
	d := c.doc
	for _, key := range d.Keys() {
		f, path := d.Flags[key], d.Flags[key].path
		for _, env := range slices.Sorted(maps.Keys(f.Environments)) {
			c.environment(env, resource.Field(resource.Field(path, "environments"), env))
		}
		at := resource.Field(path, "prerequisites")
		for i, p := range f.Prerequisites {
			c.prerequisite(p, resource.Item(at, i))
		}
	}
	for _, circle := range d.circles() {
		c.bad(resource.Field(d.Flags[circle[0]].path, "prerequisites"), "prerequisites that do not lead back to it",
			"flags need each other in a circle: %s", wayRound(circle))
	}
}

// wayRound names the flags of a circle; of very long ones the middle is left out.
func wayRound(circle []string) string {
	const head, tail = 16, 4
	way := append(slices.Clone(circle), circle[0])
	if len(way) > head+tail {
		way = slices.Concat(way[:head], []string{"…"}, way[len(way)-tail:])
	}
	return strings.Join(way, " → ")
}

func (c *checker) prerequisite(p Prerequisite, path string) {
	if p.Flag == "" {
		return
	}
	other, ok := c.doc.Flags[p.Flag]
	switch {
	case !ok:
		c.bad(resource.Field(path, "flag"), "a flag of this set", "there is no flag %.80q", p.Flag)
		return
	case other.Archived:
		c.bad(resource.Field(path, "flag"), "a flag that is not archived", "the flag %.80q is archived", p.Flag)
	}
	if err := c.doc.ownable(other); err != nil {
		c.bad(resource.Field(path, "flag"), "a flag whose rule names what it reads", "the rule of %.80q cannot be put in here: %s", p.Flag, err)
	}
	for _, v := range p.Variants {
		if other.find(v) < 0 {
			c.bad(path, "one of "+strings.Join(other.names, ", "), "%.80q is no variant of %.80q", v, p.Flag)
		}
	}
}

// circles are the ways over prerequisites that lead back to where they began, at the first of their keys.
func (d *Document) circles() (found [][]string) {
	done := map[string]bool{} // false while on the way
	var way []string
	var walk func(key string)
	walk = func(key string) {
		f := d.Flags[key]
		if f == nil || done[key] {
			return
		}
		if _, open := done[key]; open {
			circle := way[slices.Index(way, key):]
			first := slices.Index(circle, slices.Min(circle))
			found = append(found, slices.Concat(circle[first:], circle[:first]))
			return
		}
		done[key], way = false, append(way, key)
		for _, p := range f.Prerequisites {
			walk(p.Flag)
		}
		done[key], way = true, way[:len(way)-1]
	}
	for _, key := range d.Keys() {
		walk(key)
	}
	return found
}
