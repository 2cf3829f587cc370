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
		if circle := d.circle(key); circle != nil && slices.Min(circle) == key {
			c.bad(at, "prerequisites that do not lead back to it", "flags need each other in a circle: %s", strings.Join(append(circle, key), " → "))
		}
	}
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

// circle is the way from a flag over prerequisites back to it, nil when there is none.
func (d *Document) circle(from string) []string {
	seen := map[string]bool{}
	var walk func(key string, way []string) []string
	walk = func(key string, way []string) []string {
		f := d.Flags[key]
		if f == nil || seen[key] {
			return nil
		}
		seen[key] = true
		way = append(way, key)
		for _, p := range f.Prerequisites {
			if p.Flag == from {
				return slices.Clone(way)
			}
			if found := walk(p.Flag, way); found != nil {
				return found
			}
		}
		return nil
	}
	return walk(from, nil)
}
