package flag

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/resource"
)

// maxSafe is the largest whole number that every language's provider reads the same.
const maxSafe = 1<<53 - 1

// Parse reads and compiles a file of flags, which is JSON (manifest makes it of YAML). The problems are all that is
// wrong, in order of their paths; the Set is nil when nothing can be evaluated.
func Parse(raw []byte) (*Set, []resource.Problem) {
	c := newChecker()
	_, s := c.parse(raw)
	return s, c.problems
}

func newChecker() *checker {
	return &checker{evaluators: map[string]json.RawMessage{}, refs: refsNone}
}

// parse returns the decoded file and the set that it holds.
func (c *checker) parse(raw []byte) (map[string]any, *Set) {
	if len(raw) > MaxBytes {
		c.bad("", "at most 8 MiB", "the file has %d bytes", len(raw))
		return nil, nil
	}
	tree, err := c.read(raw)
	if err != nil {
		c.bad("", "a JSON object with flags", "%s", err)
		return nil, nil
	}
	top, ok := tree.(map[string]any)
	if !ok {
		c.bad("", "an object with flags", "got %s", kindOf(tree))
		return nil, nil
	}
	flags, ok := top["flags"]
	if !ok {
		c.bad("", "flags, an object of flags by their keys", "there are no flags")
		return nil, nil
	}
	c.unknown(top, "", c.also(setFields, "$schema", "$evaluators", "flags", "metadata")...)
	s := &Set{Metadata: c.metadata(top["metadata"], "metadata"), flags: map[string]*Flag{}}
	s.ID = c.text(top["metadata"], "flagSetId")
	s.Version = c.text(top["metadata"], "version")
	s.Bucketing = c.readBucketing(top)
	c.readEvaluators(top["$evaluators"])
	c.refs = refsKnown
	schema, _ := top["$schema"].(string)
	if !c.flags(s, flags, strings.HasSuffix(schema, "flags.json")) {
		return top, nil
	}
	return top, s
}

// also adds the fields that only a Document has.
func (c *checker) also(extra []string, plain ...string) []string {
	if c.doc == nil {
		return plain
	}
	return append(plain, extra...)
}

// unknown tells of fields that have no meaning.
func (c *checker) unknown(obj map[string]any, path string, known ...string) {
	for _, name := range slices.Sorted(maps.Keys(obj)) {
		if !slices.Contains(known, name) {
			c.bad(resource.Field(path, name), "one of "+strings.Join(known, ", "), "unknown field")
		}
	}
}

// text reads a field of the set's metadata that must be text when it is there.
func (c *checker) text(metadata any, name string) string {
	obj, _ := metadata.(map[string]any)
	v, ok := obj[name]
	if s, isText := v.(string); isText || !ok {
		return s
	}
	c.bad(resource.Field("metadata", name), "text", "got %s", kindOf(v))
	return ""
}

func (c *checker) metadata(v any, path string) map[string]any {
	out := map[string]any{}
	if v == nil {
		return out
	}
	obj, ok := v.(map[string]any)
	if !ok {
		c.bad(path, "an object", "got %s", kindOf(v))
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(obj)) {
		switch obj[name].(type) {
		case string, float64, bool:
			out[name] = obj[name]
		default:
			c.bad(resource.Field(path, name), "text, a number or a boolean", "got %s", kindOf(obj[name]))
			if obj[name] != nil { // flagd hands on what it should not have been given
				out[name] = obj[name]
			}
		}
	}
	return out
}

func (c *checker) readEvaluators(v any) {
	if v == nil {
		return
	}
	const path = "$evaluators"
	obj, ok := v.(map[string]any)
	if !ok {
		c.bad(path, "an object of rules by their names", "got %s", kindOf(v))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(obj)) {
		at := resource.Field(path, name)
		if name == "" {
			c.bad(at, "a name", "the name is empty")
		}
		c.rule(obj[name], at)
		raw, err := json.Marshal(obj[name])
		if err != nil || len(raw) > maxRule {
			c.bad(at, "at most 1 MiB", "the rule has %d bytes", len(raw))
			continue
		}
		c.evaluators[name] = raw
	}
}

// flags reads all flags; a list is for the daemon's schema only.
func (c *checker) flags(s *Set, v any, mapOnly bool) bool {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > maxFlags {
			c.bad("flags", "at most 10000", "there are %d flags", len(v))
			return false
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			c.add(s, key, v[key], resource.Field("flags", key))
		}
		return true
	case []any:
		if mapOnly {
			c.bad("flags", "an object of flags by their keys, as the file's $schema has it", "got a list")
		}
		if len(v) > maxFlags {
			c.bad("flags", "at most 10000", "there are %d flags", len(v))
			return false
		}
		for i, e := range v {
			c.addItem(s, e, resource.Item("flags", i))
		}
		return true
	}
	c.bad("flags", "an object of flags by their keys", "got %s", kindOf(v))
	return false
}

func (c *checker) addItem(s *Set, v any, path string) {
	obj, ok := v.(map[string]any)
	if !ok {
		c.bad(path, "a flag", "got %s", kindOf(v))
		return
	}
	key, ok := obj["key"].(string)
	if !ok || key == "" {
		c.bad(resource.Field(path, "key"), "the key of the flag, as text", "got %s", kindOf(obj["key"]))
		return
	}
	if _, twice := s.flags[key]; twice {
		c.bad(resource.Field(path, "key"), "each flag once", "the flag %.80q stands already above", key)
		return
	}
	obj = maps.Clone(obj)
	delete(obj, "key")
	c.add(s, key, obj, path)
}

func (c *checker) add(s *Set, key string, v any, path string) {
	switch {
	case key == "":
		c.bad(path, "a key", "the key of the flag is empty")
		return
	case len(key) > maxKey || !utf8.ValidString(key):
		c.bad(path, "a key of at most 1024 bytes", "the key has %d", len(key))
		return
	}
	obj, ok := v.(map[string]any)
	if !ok {
		c.bad(path, "a flag", "got %s", kindOf(v))
		s.flags[key] = broken(key, s.Metadata, "the flag is "+kindOf(v))
		return
	}
	s.flags[key] = c.flag(s, key, obj, path)
}

// broken is a flag that cannot be evaluated.
func broken(key string, metadata map[string]any, details string) *Flag {
	return &Flag{Key: key, Enabled: true, Metadata: metadata, otherwise: Result{Reason: Failed, Code: ParseError, Details: details, Metadata: metadata}}
}

func (c *checker) flag(s *Set, key string, obj map[string]any, path string) *Flag {
	c.unknown(obj, path, c.also(flagFields, "state", "variants", "defaultVariant", "targeting", "metadata")...)
	f := &Flag{Key: key, Enabled: c.state(obj, path), Metadata: s.Metadata}
	if own := c.metadata(obj["metadata"], resource.Field(path, "metadata")); len(own) > 0 {
		f.Metadata = maps.Clone(s.Metadata)
		maps.Copy(f.Metadata, own)
	}
	why := c.variants(f, obj, path)
	if why == "" {
		why = c.defaultVariant(f, obj, path)
	}
	targeting, targeted := obj["targeting"]
	var rule *exposure.Rule
	if empty, isObject := targeting.(map[string]any); targeted && (!isObject || len(empty) > 0) {
		var problem string
		bucketing := c.flagBucketing(obj, path)
		if rule, problem = c.compile(f, targeting, bucketing, resource.Field(path, "targeting")); why == "" {
			why = problem
		}
	}
	switch {
	case !f.Enabled:
		f.otherwise = Result{Reason: Disabled, Metadata: f.Metadata}
	case why != "":
		f.otherwise = broken(key, f.Metadata, why).otherwise
	default:
		f.rule = rule
		f.otherwise = f.answer(rule != nil)
	}
	if c.doc != nil {
		c.definition(f, obj, path)
	}
	return f
}

// answer is what holds when no rule chooses.
func (f *Flag) answer(targeted bool) Result {
	if f.Default == "" {
		return Result{Reason: Default, Metadata: f.Metadata}
	}
	r := f.answers[f.find(f.Default)]
	if r.Code != "" {
		return r
	}
	if r.Reason = Static; targeted {
		r.Reason = Default
	}
	return r
}

func (c *checker) state(obj map[string]any, path string) bool {
	v, ok := obj["state"]
	switch {
	case v == "ENABLED":
		return true
	case v == "DISABLED":
		return false
	case !ok:
		c.bad(path, "state, ENABLED or DISABLED", "there is no state")
	default:
		c.bad(resource.Field(path, "state"), "ENABLED or DISABLED", "got %s", kindOf(v))
	}
	return true
}

// variants reads the variants and returns why the flag cannot be evaluated, if so.
func (c *checker) variants(f *Flag, obj map[string]any, path string) string {
	v, ok := obj["variants"]
	at := resource.Field(path, "variants")
	all, isObject := v.(map[string]any)
	switch {
	case !ok:
		c.bad(path, "variants", "there are no variants")
		return "there are no variants"
	case !isObject:
		c.bad(at, "an object of values by the names of variants", "got %s", kindOf(v))
		return "variants is " + kindOf(v)
	case len(all) == 0:
		c.bad(at, "at least one", "there are no variants")
	case len(all) > maxVariants:
		c.bad(at, "at most 1000", "there are %d variants", len(all))
		return "there are too many variants"
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value, here := all[name], resource.Field(at, name)
		got := typeOf(value)
		switch {
		case name == "":
			c.bad(here, "a name", "the name of the variant is empty")
			continue
		case got == Any:
			c.bad(here, "a boolean, text, a number or an object", "got %s", kindOf(value))
		case f.Type == Any:
			f.Type = got
		case got != f.Type:
			c.bad(here, "a "+f.Type.String()+" as the variants before it", "got %s", kindOf(value))
		}
		if n, isNumber := value.(float64); isNumber && math.Abs(n) > maxSafe && n == math.Trunc(n) {
			c.bad(here, "a whole number of at most 9007199254740991", "got %s, which not every language can hold", numberName(n))
		}
		answer := Result{Value: value, Variant: name, Reason: TargetingMatch, Metadata: f.Metadata}
		if value == nil {
			answer = Result{Reason: Failed, Code: TypeMismatch, Details: "the variant is " + kindOf(value), Metadata: f.Metadata}
		}
		f.names, f.answers = append(f.names, name), append(f.answers, answer)
	}
	if len(f.names) > few {
		f.index = make(map[string]int, len(f.names))
		for i, name := range f.names {
			f.index[name] = i
		}
	}
	return ""
}

func (c *checker) defaultVariant(f *Flag, obj map[string]any, path string) string {
	v := obj["defaultVariant"]
	name, ok := v.(string)
	at := resource.Field(path, "defaultVariant")
	switch {
	case v == nil || v == "":
		return ""
	case !ok:
		c.bad(at, "the name of a variant, or null for the caller's default", "got %s", kindOf(v))
		return "defaultVariant is " + kindOf(v)
	}
	if f.find(name) < 0 {
		c.bad(at, "one of "+strings.Join(f.names, ", "), "%.80q is no variant", name)
		return "the default variant is none of the variants"
	}
	f.Default = name
	return ""
}

// compile checks and compiles a rule; what is returned besides it says why the flag cannot be evaluated.
func (c *checker) compile(f *Flag, tree any, b exposure.Bucketing, path string) (*exposure.Rule, string) {
	before := len(c.problems)
	c.rule(tree, path)
	c.outcome(f, tree, path, 0)
	raw, err := json.Marshal(tree)
	if err != nil || len(raw) > maxRule {
		c.bad(path, "at most 1 MiB", "the rule has %d bytes", len(raw))
		return nil, "the rule is too large"
	}
	if c.expanded += len(raw); c.expanded > maxExpanded {
		c.bad(path, "at most 16 MiB in all", "the rules are too large with the evaluators that they refer to")
		return nil, "the rules are too large"
	}
	rule, err := exposure.CompileTree(tree, exposure.Options{Evaluators: c.evaluators, FlagKey: f.Key, MaxBytes: maxRule, Bucketing: b})
	if err != nil {
		if len(c.problems) == before {
			c.bad(path, "", "%s", err)
		}
		return nil, err.Error()
	}
	return rule, ""
}
