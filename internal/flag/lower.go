package flag

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// Lower makes the plain set that is served in an environment: everything that flagd has no words for becomes targeting. For
// a context, the first of these decides that has something to say:
//
//  1. a prerequisite that is not met: the default variant
//  2. the user's choice about the preview
//  3. the ring that the user is in, with the split of the ring in trial
//  4. the experiment that runs on the flag
//  5. a window of its schedule
//  6. its own rule, and without one its default variant
//
// A flag of which nothing but its own rule is left comes out as it is written. What is wrong with the live state is
// left out and told, so that the rest can be served; with problems, the last set without any is the better one to serve.
func Lower(doc *Document, env string, live Live) (json.RawMessage, []resource.Problem) {
	l := &lowerer{doc: doc, env: env, live: live, trees: map[string]any{}, asWritten: map[string]bool{}, evaluators: map[string]json.RawMessage{}}
	for name, tree := range doc.evaluators {
		l.evaluators[name], _ = marshal(tree) // what was read from JSON can be written
	}
	if !doc.HasEnvironment(env) {
		l.bad("", "", "there is no environment %.80q", env)
		return nil, l.problems
	}
	flags := make(map[string]any, len(doc.Flags))
	for _, key := range doc.Keys() {
		flags[key] = l.flag(doc.Flags[key])
	}
	out := map[string]any{"flags": flags}
	if doc.Schema != "" {
		out["$schema"] = doc.Schema
	}
	if len(doc.evaluators) > 0 {
		out["$evaluators"] = doc.evaluators
	}
	if metadata := l.setMetadata(); len(metadata) > 0 {
		out["metadata"] = metadata
	}
	raw, err := marshal(out)
	if err != nil || len(raw) > MaxBytes {
		l.bad("", "at most 8 MiB", "the set has %d bytes when it is put together", len(raw))
		return nil, l.problems
	}
	return raw, l.problems
}

type lowerer struct {
	doc        *Document
	env        string
	live       Live
	trees      map[string]any  // rules put together, by flag
	asWritten  map[string]bool // of these, those that were compiled when the document was read
	inlined    int             // bytes of the prerequisites put in so far
	problems   []resource.Problem
	evaluators map[string]json.RawMessage
}

func (l *lowerer) bad(path, expected, format string, args ...any) {
	if len(l.problems) < maxProblems {
		l.problems = append(l.problems, resource.Problem{Path: path, Expected: expected, Msg: fmt.Sprintf(format, args...)})
	}
}

func (l *lowerer) setMetadata() map[string]any {
	m := l.doc.Metadata
	if l.doc.Bucketing != exposure.V2 {
		m = maps.Clone(m)
		m[bucketingKey] = string(l.doc.Bucketing)
	}
	return m
}

// flag is a flag of the plain set.
func (l *lowerer) flag(f *Definition) map[string]any {
	state := "DISABLED"
	if f.EnabledIn(l.env) {
		state = "ENABLED"
	}
	out := map[string]any{"state": state, "variants": f.variants}
	if name := f.DefaultIn(l.env); name != "" {
		out["defaultVariant"] = name
	}
	if tree := l.checked(f); tree != nil {
		out["targeting"] = tree
	}
	if m := l.metadata(f); len(m) > 0 {
		out["metadata"] = m
	}
	return out
}

// metadata is the flag's own, and what those who see an answer want to know of it.
func (l *lowerer) metadata(f *Definition) map[string]any {
	m := map[string]any{}
	for name, value := range map[string]string{"owner": f.Owner, "kind": string(f.Kind),
		"ringfence.rollout": l.live.Exposures[f.Key].Rollout, "ringfence.experiment": l.live.Experiments[f.Key].Experiment} {
		if value != "" {
			m[name] = value
		}
	}
	if f.Archived {
		m["archived"] = true
	}
	maps.Copy(m, f.metadata)
	return m
}

// checked is the rule of a flag. One that is too large is put together without what is live; when that is too large still,
// the default variant is served.
func (l *lowerer) checked(f *Definition) any {
	tree := l.tree(f)
	if tree == nil || l.asWritten[f.Key] {
		return tree
	}
	err := l.compiles(f, tree)
	if err == nil {
		return tree
	}
	l.bad(resource.Field(f.path, "targeting"), "fewer users or smaller rules", "%s", err)
	still := &lowerer{doc: l.doc, env: l.env, trees: map[string]any{}, asWritten: map[string]bool{}, evaluators: l.evaluators}
	if tree = still.tree(f); tree == nil || still.compiles(f, tree) != nil {
		return nil
	}
	return tree
}

func (l *lowerer) compiles(f *Definition, tree any) error {
	if sizeOf(tree, maxRule) >= maxRule {
		return fmt.Errorf("the rule has more than %d bytes when it is put together", maxRule)
	}
	_, err := exposure.CompileTree(tree, exposure.Options{Evaluators: l.evaluators, FlagKey: f.Key, MaxBytes: maxRule, Bucketing: l.doc.Bucketing})
	return err
}

// tree puts the rule of a flag together; nil when there is none.
func (l *lowerer) tree(f *Definition) any {
	if tree, ok := l.trees[f.Key]; ok {
		return tree
	}
	l.trees[f.Key] = nil // in a circle, which problems have told of
	var b branches
	l.choices(&b, f)
	l.rings(&b, f)
	l.experiment(&b, f)
	for _, w := range f.Schedule {
		b.add(w.rule(), w.Variant)
	}
	tree := b.otherwise(f.targetingIn(l.env))
	l.asWritten[f.Key] = len(b.list) == 0 && len(f.Prerequisites) == 0
	switch met := l.prerequisites(f); {
	case tree == nil || met == false:
		tree = nil
	case met != true:
		tree = op("if", met, tree)
	}
	l.trees[f.Key] = tree
	return tree
}

// branches are those of an if.
type branches struct {
	list   []any // conditions and what they give, in turn
	closed bool  // the last condition always holds
}

func (b *branches) add(condition, result any) {
	if b.closed || condition == false {
		return
	}
	if b.closed = condition == true; b.closed { // what gave the same before need not be asked
		name, _ := result.(string)
		for n := len(b.list); n > 0 && b.list[n-1] == name; n = len(b.list) {
			b.list = b.list[:n-2]
		}
	}
	b.list = append(b.list, condition, result)
}

func (b *branches) otherwise(rest any) any {
	switch {
	case len(b.list) == 0:
		return rest
	case !b.closed && rest != nil:
		return op("if", append(b.list, rest)...)
	}
	return op("if", b.list...)
}

func op(name string, args ...any) any { return map[string]any{name: args} }

func variable(name string) any { return map[string]any{"var": name} }

// all is and of several, without the constants.
func all(conditions ...any) any {
	if slices.ContainsFunc(conditions, func(c any) bool { return c == false }) {
		return false
	}
	conditions = slices.DeleteFunc(conditions, func(c any) bool { return c == true })
	switch len(conditions) {
	case 0:
		return true
	case 1:
		return conditions[0]
	}
	return op("and", conditions...)
}

func (l *lowerer) choices(b *branches, f *Definition) {
	c, ok := l.live.Choices[f.Key]
	if f.Preview == nil || !ok {
		return
	}
	if len(c.In) > 0 {
		b.add(listed(c.In), f.Preview.Variant)
	}
	if len(c.Out) > 0 {
		b.add(listed(c.Out), nil)
	}
}

func listed(keys []string) any {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	list := make([]any, len(keys))
	for i, k := range keys {
		list[i] = k
	}
	return op("in", variable("targetingKey"), list)
}

// rule holds in the window. A part of a second belongs to the second that it is in.
func (w Window) rule() any {
	now := variable("$flagd.timestamp")
	from, until := any(true), any(true)
	if !w.From.IsZero() {
		from = op(">=", now, float64(w.From.Unix()))
	}
	if !w.Until.IsZero() {
		until = op("<", now, float64(w.Until.Unix()))
	}
	return all(from, until)
}

// rings adds what the rings decide.
func (l *lowerer) rings(b *branches, f *Definition) {
	e, ok := l.live.Exposures[f.Key]
	if !ok {
		return
	}
	at := resource.Field(resource.Field("flags", f.Key), "exposure")
	audiences, ok := l.audiences(f, e, at)
	if !ok {
		return
	}
	var without []any // audiences that are passed over, which no later ring may take back
	for i, audience := range audiences {
		here := all(except(without), audience)
		if t := e.Trial; t != nil && t.Ring == i {
			part, _ := exposure.PercentRule(t.Salt, 100-t.Control)
			b.add(all(here, part), t.Variant)
		}
		if e.Variants[i] == "" {
			without = append(without, audience)
			continue
		}
		b.add(here, e.Variants[i])
	}
}

// except holds for those for whom none of the conditions does.
func except(conditions []any) any {
	switch len(conditions) {
	case 0:
		return true
	case 1:
		return op("!", conditions[0])
	}
	return op("!", op("or", conditions...))
}

// audiences are the rings' rules, when the exposure makes sense.
func (l *lowerer) audiences(f *Definition, e Exposure, at string) ([]any, bool) {
	rings := fleet.RingsIn(e.Rings, l.live.Unit)
	if l.doc.Bucketing != exposure.V2 {
		l.bad(at, "bucketing v2", "rings place users by v2, as everywhere else, and this set is of %s", l.doc.Bucketing)
		return nil, false
	}
	if _, err := exposure.Compile(e.Salt, rings); err != nil {
		l.bad(at, "", "%s", err)
		return nil, false
	}
	if problem := e.problem(f); problem != "" {
		l.bad(at, "", "%s", problem)
		return nil, false
	}
	out := make([]any, len(rings))
	for i, r := range rings {
		out[i], _ = exposure.RingRule(e.Salt, r) // compiled above
	}
	return out, true
}

// problem says what of an exposure does not fit the flag or itself.
func (e Exposure) problem(f *Definition) string {
	if len(e.Variants) != len(e.Rings) {
		return fmt.Sprintf("%d variants for %d rings", len(e.Variants), len(e.Rings))
	}
	for _, v := range e.Variants {
		if v != "" && f.find(v) < 0 {
			return fmt.Sprintf("%.80q is no variant", v)
		}
	}
	t := e.Trial
	switch {
	case t == nil:
	case t.Ring < 0 || t.Ring >= len(e.Rings):
		return fmt.Sprintf("the ring %d in trial is none of %d", t.Ring, len(e.Rings))
	case f.find(t.Variant) < 0:
		return fmt.Sprintf("%.80q is no variant", t.Variant)
	case !(t.Control >= 0 && t.Control <= maxControl):
		return fmt.Sprintf("control is %v, expected 0 to %d", t.Control, maxControl)
	case t.Salt == e.Salt:
		return "the trial has the salt of the rings, by which its sides would be unlike each other"
	}
	return ""
}

// experiment adds what an experiment's participants get.
func (l *lowerer) experiment(b *branches, f *Definition) {
	a, ok := l.live.Experiments[f.Key]
	if !ok {
		return
	}
	at := resource.Field(resource.Field("flags", f.Key), "experiment")
	for _, w := range a.Variants {
		if f.find(w.Variant) < 0 {
			l.bad(at, "one of "+strings.Join(f.names, ", "), "%.80q is no variant", w.Variant)
			return
		}
	}
	condition, shares, err := a.rules()
	if err != nil {
		l.bad(at, "", "%s", err)
		return
	}
	b.add(condition, shares)
}
