package flag

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/resource"
)

// What a Document has beyond a plain file.
var (
	setFields  = []string{"bucketing", "rebucket", "service", "environments", "reviewers"}
	flagFields = []string{"description", "owner", "kind", "expires", "archived", "prerequisites", "schedule", "environments", "preview", "exposure"}
)

// Limits of a definition.
const (
	maxText          = 4000 // bytes of a description
	maxName          = 200
	maxEnvironments  = 50
	maxPrerequisites = 20
	maxWindows       = 100
	maxGroups        = 20
	maxInlined       = 4 << 20 // bytes of all prerequisites put into the flags that need them
	maxControl       = 90
	defaultControl   = 50
)

// document reads the fields of the set, when its flags are read.
func (c *checker) document(top map[string]any, s *Set) {
	d := c.doc
	d.Schema, _ = top["$schema"].(string)
	d.ID, d.Version, d.Metadata = s.ID, s.Version, s.Metadata
	d.Rebucket = c.words(top, "rebucket", "", maxText)
	d.Service = c.words(top, "service", "", maxName)
	if evaluators, ok := top["$evaluators"].(map[string]any); ok {
		d.evaluators = evaluators
	}
	d.Environments = c.names(top, "environments", "", maxEnvironments)
	c.reviewers(top)
	c.crossCheck()
}

// words reads a text that may be left out.
func (c *checker) words(obj map[string]any, name, path string, most int) string {
	v, ok := obj[name]
	s, isText := v.(string)
	switch {
	case !ok:
	case !isText:
		c.bad(resource.Field(path, name), "text", "got %s", kindOf(v))
	case s == "":
		c.bad(resource.Field(path, name), "text, or the field left out", "the text is empty")
	case len(s) > most:
		c.bad(resource.Field(path, name), "a shorter one", "the text has %d bytes, at most %d are allowed", len(s), most)
	default:
		return s
	}
	return ""
}

// names reads a list of names, each once.
func (c *checker) names(obj map[string]any, name, path string, most int) []string {
	v, ok := obj[name]
	if !ok {
		return nil
	}
	at := resource.Field(path, name)
	list, isList := v.([]any)
	if !isList || len(list) == 0 || len(list) > most {
		c.bad(at, "a list of names", "got %s", sized(v, most))
		return nil
	}
	var names []string
	for i, e := range list {
		s, isText := e.(string)
		switch {
		case !isText || s == "" || len(s) > maxName:
			c.bad(resource.Item(at, i), "a name", "got %s", kindOf(e))
		case slices.Contains(names, s):
			c.bad(resource.Item(at, i), "each name once", "%.80q stands already before", s)
		default:
			names = append(names, s)
		}
	}
	return names
}

// sized names what is there of a list of the wrong length.
func sized(v any, most int) string {
	list, ok := v.([]any)
	switch {
	case !ok:
		return kindOf(v)
	case len(list) == 0:
		return "an empty list"
	}
	return "more than " + numberName(float64(most))
}

// object reads a field that is an object; nil when it is left out or none.
func (c *checker) object(obj map[string]any, name, path, expected string) (map[string]any, string) {
	v, ok := obj[name]
	if !ok {
		return nil, ""
	}
	at := resource.Field(path, name)
	o, isObject := v.(map[string]any)
	if !isObject {
		c.bad(at, expected, "got %s", kindOf(v))
	}
	return o, at
}

func (c *checker) reviewers(top map[string]any) {
	all, path := c.object(top, "reviewers", "", "an object of reviewers by environment")
	if len(all) == 0 {
		return
	}
	c.doc.Reviewers = map[string]resource.Approval{}
	for _, env := range slices.Sorted(maps.Keys(all)) {
		obj, at := c.object(all, env, path, "an object with from and need")
		c.environment(env, at)
		c.unknown(obj, at, "from", "need", "own")
		a := resource.Approval{From: c.names(obj, "from", at, maxGroups), Need: c.oneOf(obj, "need", at, "any", "each", "all")}
		a.Own = c.boolean(obj, "own", at)
		c.doc.Reviewers[env] = a
	}
}

// environment tells of a name that is none of the set's environments.
func (c *checker) environment(name, path string) {
	if !c.doc.HasEnvironment(name) {
		c.bad(path, "one of "+strings.Join(c.doc.Environments, ", "), "there is no environment %.80q", name)
	}
}

func (c *checker) oneOf(obj map[string]any, name, path string, allowed ...string) string {
	v, ok := obj[name]
	if s, isText := v.(string); !ok || isText && slices.Contains(allowed, s) {
		return s
	}
	c.bad(resource.Field(path, name), "one of "+strings.Join(allowed, ", "), "got %s", kindOf(v))
	return ""
}

func (c *checker) boolean(obj map[string]any, name, path string) bool {
	v, ok := obj[name]
	b, isBool := v.(bool)
	if ok && !isBool {
		c.bad(resource.Field(path, name), "true or false", "got %s", kindOf(v))
	}
	return b
}

// variant reads the name of one of a flag's variants.
func (c *checker) variant(f *Flag, obj map[string]any, path string) string {
	v, ok := obj["variant"]
	s, isText := v.(string)
	switch {
	case !ok:
		c.bad(path, "variant", "there is no variant")
	case !isText:
		c.bad(resource.Field(path, "variant"), "the name of a variant", "got %s", kindOf(v))
	case f.find(s) < 0:
		c.bad(resource.Field(path, "variant"), "one of "+strings.Join(f.names, ", "), "%.80q is no variant", s)
	}
	return s
}

// definition reads the fields that a plain flag does not have.
func (c *checker) definition(f *Flag, obj map[string]any, path string) {
	d := &Definition{Flag: f, path: path, variants: obj["variants"], Description: c.words(obj, "description", path, maxText), Owner: c.words(obj, "owner", path, maxName)}
	d.metadata, _ = obj["metadata"].(map[string]any)
	if rule, ok := obj["targeting"].(map[string]any); ok && len(rule) > 0 {
		d.targeting = rule
	}
	d.Kind = Kind(c.oneOf(obj, "kind", path, string(Release), string(Experiment), string(Operational), string(Permission)))
	if s := c.words(obj, "expires", path, maxName); s != "" {
		var err error
		if d.Expires, err = time.Parse(time.DateOnly, s); err != nil {
			c.bad(resource.Field(path, "expires"), "a date as in 2026-12-31", "got %.80q", s)
		}
	}
	d.Archived = c.boolean(obj, "archived", path)
	d.Prerequisites = c.prerequisites(obj, path)
	d.Schedule = c.schedule(f, obj, path)
	if p, at := c.object(obj, "preview", path, "an object with title and variant"); p != nil {
		c.unknown(p, at, "title", "description", "variant")
		d.Preview = &Preview{Title: c.words(p, "title", at, maxName), Description: c.words(p, "description", at, maxText), Variant: c.variant(f, p, at)}
		if _, ok := p["title"]; !ok {
			c.bad(at, "title, which users are shown", "there is no title")
		}
	}
	d.Exposure = c.plan(f, obj, path)
	c.overrides(d, obj, path)
	c.doc.Flags[f.Key] = d
}

func (c *checker) plan(f *Flag, obj map[string]any, path string) *Plan {
	o, at := c.object(obj, "exposure", path, "an object with plan and variant")
	if o == nil {
		return nil
	}
	c.unknown(o, at, "plan", "ring", "variant", "control")
	if c.bucketing != exposure.V2 {
		c.bad(at, "a set of bucketing v2", "rings place users by v2, so that they are the same for gateways and flags")
	}
	p := &Plan{Plan: c.words(o, "plan", at, maxName), Ring: c.words(o, "ring", at, maxName), Variant: c.variant(f, o, at), Control: defaultControl}
	if _, ok := o["plan"]; !ok {
		c.bad(at, "plan, the name of a ring plan", "there is no plan")
	}
	if v, ok := o["control"]; ok {
		n, isNumber := v.(float64)
		if p.Control = n; !isNumber || n < 0 || n > maxControl {
			c.bad(resource.Field(at, "control"), "a percentage from 0 to 90", "got %s", told(v))
		}
	}
	return p
}

// told is kindOf, with the number of a number.
func told(v any) string {
	if n, ok := v.(float64); ok {
		return numberName(n)
	}
	return kindOf(v)
}

func (c *checker) schedule(f *Flag, obj map[string]any, path string) (windows []Window) {
	v, ok := obj["schedule"]
	if !ok {
		return nil
	}
	at := resource.Field(path, "schedule")
	list, isList := v.([]any)
	if !isList || len(list) > maxWindows {
		c.bad(at, "a list of windows with from, until and variant", "got %s", sized(v, maxWindows))
		return nil
	}
	for i, e := range list {
		here := resource.Item(at, i)
		o, isObject := e.(map[string]any)
		if !isObject {
			c.bad(here, "a window with from, until and variant", "got %s", kindOf(e))
			continue
		}
		c.unknown(o, here, "from", "until", "variant")
		w := Window{From: c.time(o, "from", here), Until: c.time(o, "until", here), Variant: c.variant(f, o, here)}
		switch {
		case o["from"] == nil && o["until"] == nil:
			c.bad(here, "from, until or both", "a window without an end is the flag's default")
		case !w.Until.IsZero() && !w.Until.After(w.From):
			c.bad(resource.Field(here, "until"), "a time after from", "the window ends before it begins")
		}
		windows = append(windows, w)
	}
	return windows
}

func (c *checker) time(obj map[string]any, name, path string) time.Time {
	s := c.words(obj, name, path, maxName)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Nanosecond() != 0 {
		c.bad(resource.Field(path, name), "a time in whole seconds as in 2026-12-31T08:00:00Z", "got %.80q", s)
		return time.Time{}
	}
	return t
}

func (c *checker) overrides(d *Definition, obj map[string]any, path string) {
	all, at := c.object(obj, "environments", path, "an object of what differs by environment")
	if len(all) > maxEnvironments {
		c.bad(at, "at most 50", "there are %d environments", len(all))
		return
	}
	for _, env := range slices.Sorted(maps.Keys(all)) {
		o, here := c.object(all, env, at, "an object with what differs")
		c.unknown(o, here, "state", "defaultVariant", "targeting", "exposure")
		if d.Environments == nil {
			d.Environments = map[string]Override{}
		}
		d.Environments[env] = c.override(d.Flag, o, here)
	}
}

func (c *checker) override(f *Flag, obj map[string]any, path string) (o Override) {
	if _, ok := obj["state"]; ok {
		on := c.state(obj, path)
		o.Enabled = &on
	}
	if _, ok := obj["defaultVariant"]; ok {
		own := Flag{names: f.names, index: f.index}
		c.defaultVariant(&own, obj, path)
		o.Default = &own.Default
	}
	if rule, ok := obj["targeting"]; ok {
		o.targeted = true
		own, isObject := rule.(map[string]any)
		if !isObject && rule != nil || len(own) > 0 {
			c.compile(f, rule, c.bucketing, resource.Field(path, "targeting"))
		}
		if len(own) > 0 {
			o.targeting = own
		}
	}
	o.Exposure = c.plan(f, obj, path)
	return o
}
