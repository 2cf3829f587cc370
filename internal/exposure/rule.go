package exposure

import (
	"encoding/json"
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// Limits of a rule, so that neither compiling nor evaluating one can take a process down.
const (
	MaxRuleBytes  = 64 << 10 // a rule as written, unless Options say otherwise
	maxDepth      = 200      // nested lists and objects; two for each operator
	maxOperators  = 5000     // operators in a rule, with what its $refs put in
	maxText       = 64 << 10 // bytes of a text that cat makes; longer is null
	maxListWeight = 10000    // items of a list that a rule makes; more is null
	maxLoopWork   = 100000   // values computed in one outermost loop; more is null
)

// Options of CompileRule.
type Options struct {
	// Evaluators are the rules that {"$ref": "name"} stands for, as in flagd's $evaluators. They may not refer to
	// each other.
	Evaluators map[string]json.RawMessage
	// Strict also refuses what flagd accepts although it cannot be meant: operators with too few or too many
	// arguments, which are null for everyone, and objects of several keys, which are no rule.
	Strict bool
	// MaxBytes is the largest rule; 0 means MaxRuleBytes.
	MaxBytes int
	// FlagKey is the key of the flag whose rule this is, $flagd.flagKey; the context's FlagKey then does not matter.
	FlagKey string
	// Bucketing is the version by which fractional places users; empty is V2.
	Bucketing Bucketing
}

// Rule is a compiled rule. It may be used by many at once.
type Rule struct {
	root       node
	test       func(scope) bool
	attributes []string
	all        bool
	flagKey    string // to be put into the context, "" when what reads it has it compiled in
}

// CompileRule compiles a rule in flagd's targeting grammar. Errors are of kind Invalid and name the place in the
// rule as a JSON pointer.
func CompileRule(raw json.RawMessage, opts Options) (*Rule, error) {
	tree, err := decode(raw, opts.MaxBytes)
	if err != nil {
		return nil, err
	}
	return compileTree(tree, opts)
}

// CompileTree is CompileRule for a rule that is decoded already. The rule keeps parts of the tree.
func CompileTree(tree any, opts Options) (*Rule, error) { return compileTree(tree, opts) }

func decode(raw json.RawMessage, limit int) (any, error) {
	if limit == 0 {
		limit = MaxRuleBytes
	}
	if len(raw) > limit {
		return nil, errs.E(errs.Invalid, "rule has %d bytes, at most %d are allowed", len(raw), limit)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "rule is not JSON")
	}
	return tree, nil
}

// compileTree compiles a decoded rule that is found at path.
func compileTree(tree any, opts Options, path ...string) (*Rule, error) {
	c := &compiler{opts: opts, path: path, attributes: map[string]struct{}{}}
	root, err := c.node(tree)
	if err != nil {
		return nil, err
	}
	r := &Rule{root: root, test: root.truth(), all: c.readsAll}
	for name := range c.attributes {
		r.attributes = append(r.attributes, name)
	}
	slices.Sort(r.attributes)
	if c.readsAll || c.readsFlag {
		r.flagKey = opts.FlagKey
	}
	return r, nil
}

// Eval returns what the rule gives for ctx.
func (r *Rule) Eval(ctx *Context) Value { return r.root.eval(scope{ctx: r.seenBy(ctx)}) }

// Match reports whether the rule is truthy for ctx.
func (r *Rule) Match(ctx *Context) bool { return r.test(scope{ctx: r.seenBy(ctx)}) }

// seenBy puts the flag's key into the context of the few rules that might read it from there.
func (r *Rule) seenBy(ctx *Context) *Context {
	if r.flagKey == "" {
		return ctx
	}
	own := *ctx
	own.FlagKey = r.flagKey
	return &own
}

// Attributes returns the context attributes that the rule reads, sorted, without targetingKey and $flagd. The rule
// may read any attribute when all is set: it takes the context as a whole or computes a name.
func (r *Rule) Attributes() (names []string, all bool) { return slices.Clone(r.attributes), r.all }
