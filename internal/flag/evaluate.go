package flag

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/ringfence/ringfence/internal/exposure"
)

// Set is the compiled content of a file.
type Set struct {
	ID        string // metadata.flagSetId, by which sets are told apart
	Version   string // metadata.version
	Metadata  map[string]any
	Bucketing exposure.Bucketing // metadata.ringfence.bucketing; V2 when it says nothing
	flags     map[string]*Flag
}

// Keys returns the keys of all flags, sorted.
func (s *Set) Keys() []string { return slices.Sorted(maps.Keys(s.flags)) }

// Len is the number of flags.
func (s *Set) Len() int { return len(s.flags) }

// Flag returns a flag, nil when there is none of this key.
func (s *Set) Flag(key string) *Flag { return s.flags[key] }

// Evaluate answers for one flag. The context's FlagKey does not matter.
func (s *Set) Evaluate(key string, ctx *exposure.Context) Result {
	f, ok := s.flags[key]
	if !ok {
		return Result{Reason: Failed, Code: NotFound, Details: "there is no flag " + strconv.Quote(key)}
	}
	return f.Evaluate(ctx)
}

// EvaluateAs is Evaluate for a caller who needs a value of one type.
func (s *Set) EvaluateAs(key string, want Type, ctx *exposure.Context) Result {
	r := s.Evaluate(key, ctx)
	if want == Any || r.Variant == "" {
		return r
	}
	if got := typeOf(r.Value); got != want {
		return Result{Reason: Failed, Code: TypeMismatch, Metadata: r.Metadata,
			Details: fmt.Sprintf("variant %q is of type %s, %s is asked for", r.Variant, got, want)}
	}
	return r
}

// Flag is one compiled flag.
type Flag struct {
	Key      string
	Type     Type
	Enabled  bool
	Default  string // the default variant, empty for the caller's default
	Metadata map[string]any

	rule      *exposure.Rule // nil when otherwise holds for everyone
	names     []string       // of the variants, sorted
	answers   []Result       // what is answered when the rule chooses that variant
	index     map[string]int // of names, when they are many
	otherwise Result         // what is answered when it chooses none
}

// few names are found faster by comparing than by hashing.
const few = 8

func (f *Flag) find(variant string) int {
	if f.index != nil {
		if i, ok := f.index[variant]; ok {
			return i
		}
		return -1
	}
	for i, name := range f.names {
		if name == variant {
			return i
		}
	}
	return -1
}

// Variants returns the names of the variants, sorted.
func (f *Flag) Variants() []string { return slices.Clone(f.names) }

// Value returns the value of a variant.
func (f *Flag) Value(variant string) (any, bool) {
	if i := f.find(variant); i >= 0 {
		return f.answers[i].Value, true
	}
	return nil, false
}

// Targeted reports whether the answer depends on the context.
func (f *Flag) Targeted() bool { return f.rule != nil }

// Evaluate answers for a context.
func (f *Flag) Evaluate(ctx *exposure.Context) Result {
	if f.rule == nil {
		return f.otherwise
	}
	v := f.rule.Eval(ctx)
	name, ok := v.Text()
	if !ok {
		if v.Kind() == exposure.Null {
			return f.otherwise
		}
		if name, ok = nameOf(v); !ok {
			return f.failed("the rule gives a list or an object, which is no variant")
		}
	}
	if i := f.find(name); i >= 0 {
		return f.answers[i]
	}
	return f.failed(fmt.Sprintf("the rule gives %.80q, which is no variant", name))
}

// nameOf is the variant that a rule means by what is no text.
func nameOf(v exposure.Value) (string, bool) {
	switch v.Kind() {
	case exposure.Bool:
		return strconv.FormatBool(v.Truthy()), true
	case exposure.Number:
		n, _ := v.Float()
		return numberName(n), true
	}
	return "", false
}

func (f *Flag) failed(details string) Result {
	return Result{Reason: Failed, Code: General, Details: details, Metadata: f.Metadata}
}
