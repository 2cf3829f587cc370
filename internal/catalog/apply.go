package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
	"github.com/ringfence/ringfence/internal/store"
)

// MaxSet is how many resources may be applied at once.
const MaxSet = 1000

// Action is what applying a resource does.
type Action string

// The actions.
const (
	Created   Action = "created"
	Changed   Action = "changed"
	Unchanged Action = "unchanged"
)

// Item is what happened, or in a dry run would happen, to one resource.
type Item struct {
	Kind    string             `json:"kind" doc:"kind of the resource"`
	Name    string             `json:"name" doc:"name of the resource"`
	Action  Action             `json:"action" enum:"created,changed,unchanged" doc:"what was done, or in a dry run would be"`
	Changes []resource.Change  `json:"changes,omitempty" doc:"the fields that differ"`
	Before  *resource.Resource `json:"before,omitempty" doc:"the resource as it was"`
	After   *resource.Resource `json:"after" doc:"the resource as it is now, in canonical form"`
}

// Result is what Apply did.
type Result struct {
	DryRun bool   `json:"dryRun" doc:"nothing was written"`
	Items  []Item `json:"items" doc:"one for each resource, in the order given"`
}

// Applied is the data of the event resource.applied.
type Applied struct {
	Action  Action            `json:"action" doc:"created or changed"`
	Changes []resource.Change `json:"changes" doc:"the fields that differ"`
	More    int               `json:"more,omitempty" doc:"how many further changes are left out"`
}

// maxChanges bounds what one event holds.
const maxChanges = 200

// Apply makes what is declared be as in set, all of it or nothing; resources that set does not name stay as they are.
func (c *Catalog) Apply(ctx context.Context, actor string, now time.Time, set []resource.Resource, dryRun bool) (Result, error) {
	return c.apply(ctx, actor, now, set, dryRun, func(s state, set []resource.Resource) error { return cmp.Or(reviews(s, set), c.governed(s, set)) })
}

// Replace is Apply of after alone, when what is there is before; errs.Conflict when it is not. It does not ask whether the
// change needs a review.
func (c *Catalog) Replace(ctx context.Context, actor string, now time.Time, before, after resource.Resource) error {
	_, err := c.apply(ctx, actor, now, []resource.Resource{after}, false, func(s state, _ []resource.Resource) error {
		doc, ok := s.docs[before.Key()]
		if !ok {
			return errs.E(errs.Conflict, "%s is not there any more", before.Key()).Next("look at what is there")
		}
		is, err := decode(doc)
		if err == nil && len(resource.Changes(&before, &is)) > 0 {
			return errStale
		}
		return err
	})
	if errors.Is(err, errStale) {
		return errs.E(errs.Conflict, "%s was changed meanwhile", before.Key())
	}
	return err
}

// errStale is no conflict that a retry of the same would get over.
var errStale = errors.New("changed meanwhile")

// reviews refuses changes of flags that their reviewers have not seen.
func reviews(s state, set []resource.Resource) error {
	for _, r := range set {
		doc, ok := s.docs[r.Key()]
		if r.Kind != resource.KindFlagSet || !ok {
			continue
		}
		before, err := decode(doc)
		if err != nil {
			return err
		}
		old, _ := flag.Of(before)
		now, _ := flag.Of(r)
		if old == nil || now == nil {
			continue
		}
		if envs := flag.Reviewed(old, now); len(envs) > 0 {
			return errs.E(errs.Denied, "flag set %s: what is answered in %s changes only with a review", r.Metadata.Name, strings.Join(envs, ", ")).
				Next("ask for one: ringfence flags propose -f FILE --reason …")
		}
	}
	return nil
}

func (c *Catalog) apply(ctx context.Context, actor string, now time.Time, set []resource.Resource, dryRun bool, allow func(state, []resource.Resource) error) (Result, error) {
	if len(set) == 0 || len(set) > MaxSet {
		return Result{}, errs.E(errs.Invalid, "got %d resources, expected 1 to %d", len(set), MaxSet)
	}
	set, problems := c.canonical(set)
	if len(problems) > 0 {
		return Result{}, resource.Refuse(problems)
	}
	var res Result
	var kept error // what says no for a reason is kept apart from a stale write: both are conflicts
	err := c.retry(ctx, func() error {
		s, err := c.read(ctx)
		if err != nil {
			return err
		}
		if err := judge(s, set); err != nil {
			return err
		}
		if err := c.access(ctx, s, set, nil); err != nil {
			return err
		}
		if err := allow(s, set); err != nil && !dryRun {
			return err
		}
		if kept = c.withdrawn(ctx, s, set); kept != nil {
			return nil
		}
		res = Result{DryRun: dryRun, Items: plan(s, set)}
		if dryRun {
			return nil
		}
		return c.commit(ctx, actor, now, s, res.Items)
	})
	if err = cmp.Or(err, kept); err != nil {
		return Result{}, err
	}
	return res, nil
}

// canonical judges each resource on its own.
func (c *Catalog) canonical(set []resource.Resource) ([]resource.Resource, []resource.Problem) {
	var problems []resource.Problem
	out := make([]resource.Resource, len(set))
	for i, r := range set {
		full, ps := resource.Validate(r, CheckRule)
		if len(ps) == 0 {
			ps = append(c.windows(full), c.expressions(full)...)
		}
		if len(ps) == 0 && r.Kind == resource.KindFlagSet {
			_, ps = flag.Of(full)
		}
		if len(ps) == 0 && resource.IsOpenSLO(r.Kind) {
			ps = slo.Of(full)
		}
		for _, p := range ps {
			p.Index = i
			problems = append(problems, p)
		}
		out[i] = full
	}
	return out, problems
}

// windows judges the recurrence rules in a resource.
func (c *Catalog) windows(r resource.Resource) []resource.Problem {
	if c.CheckWindow == nil {
		return nil
	}
	var problems []resource.Problem
	check := func(at string, w *resource.Window) {
		if w == nil {
			return
		}
		if err := c.CheckWindow(*w); err != nil {
			problems = append(problems, resource.Problem{Kind: r.Kind, Name: r.Metadata.Name, Path: at, Msg: err.Error()})
		}
	}
	switch r.Kind {
	case resource.KindFreeze:
		if f, err := resource.As[resource.Freeze](r); err == nil {
			check("spec.when", &f.When)
		}
	case resource.KindService:
		if s, err := resource.As[resource.Service](r); err == nil {
			check("spec.peak", s.Peak)
		}
	case resource.KindAlertRouting:
		if a, err := resource.As[resource.AlertRouting](r); err == nil {
			for _, name := range slices.Sorted(maps.Keys(a.Times)) {
				for i, w := range a.Times[name] {
					check(resource.Item(resource.Field("spec.times", name), i), &w)
				}
			}
		}
	}
	return problems
}

// expressions judges what only those can who evaluate it.
func (c *Catalog) expressions(r resource.Resource) []resource.Problem {
	if c.CheckRules == nil || r.Kind != resource.KindAlertRules {
		return nil
	}
	rules, err := resource.As[resource.AlertRules](r)
	if err != nil {
		return nil
	}
	problems := c.CheckRules(rules)
	for i := range problems {
		problems[i].Kind, problems[i].Name = r.Kind, r.Metadata.Name
	}
	return problems
}

// CheckRule says what is wrong with a targeting rule.
func CheckRule(rule json.RawMessage) error {
	_, err := exposure.CompileRule(rule, exposure.Options{Strict: true})
	return err
}

// judge looks at the whole that would be there after set is applied.
func judge(s state, set []resource.Resource) error {
	fresh, segments := map[string]bool{}, false
	var problems []resource.Problem
	for i, r := range set {
		fresh[r.Key()], segments = true, segments || r.Kind == resource.KindSegment
		if !slices.Contains(resource.Declared, r.Kind) {
			problems = append(problems, resource.Problem{Index: i, Kind: r.Kind, Name: r.Metadata.Name, Path: "kind",
				Msg: "releases and configs are not applied but made, and stay as they are", Expected: "one of " + strings.Join(resource.Declared, ", ")})
		}
	}
	var whole []resource.Resource
	for _, r := range s.set {
		if !fresh[r.Key()] {
			whole = append(whole, r)
		}
	}
	stay := len(whole)
	whole = append(whole, set...)
	found := resource.Check(whole)
	found = append(found, flagChanges(s, set, stay)...)
	found = append(found, compares(whole, stay)...)
	found = append(found, reaches(whole, stay)...)
	if len(found) == 0 {
		found = objectives(whole, set)
	}
	if len(found) == 0 {
		found = compiles(whole, func(i int) bool { return segments || i >= stay })
	}
	for _, p := range found {
		p.Index = max(p.Index-stay, -1)
		problems = append(problems, p)
	}
	return resource.Refuse(problems)
}

// plan says what has to be done for set.
func plan(s state, set []resource.Resource) []Item {
	items := make([]Item, len(set))
	for i, r := range set {
		it := Item{Kind: r.Kind, Name: r.Metadata.Name, Action: Created, After: &r}
		if doc, ok := s.docs[r.Key()]; ok {
			if old, err := decode(doc); err == nil {
				it.Before, it.Action = &old, Changed
			}
		}
		it.Changes = resource.Changes(it.Before, it.After)
		if it.Before != nil && len(it.Changes) == 0 {
			it.Action, it.Before = Unchanged, nil
		}
		items[i] = it
	}
	return items
}

func (c *Catalog) commit(ctx context.Context, actor string, now time.Time, s state, items []Item) error {
	return c.write(ctx, actor, now, s, items, store.Write{})
}

// write is commit with more in the same write.
func (c *Catalog) write(ctx context.Context, actor string, now time.Time, s state, items []Item, w store.Write) error {
	for _, it := range items {
		if it.Action == Unchanged {
			continue
		}
		body, err := json.Marshal(it.After)
		if err != nil {
			return fmt.Errorf("%s: %w", it.After.Key(), err)
		}
		w.Puts = append(w.Puts, store.Doc{Kind: it.Kind, Name: it.Name, Rev: s.docs[it.After.Key()].Rev, Updated: now, Body: body})
		data := Applied{Action: it.Action, Changes: it.Changes}
		if n := len(data.Changes); n > maxChanges {
			data.Changes, data.More = data.Changes[:maxChanges], n-maxChanges
		}
		e, err := audit.New(now, "resource.applied", actor, it.After.Key(), data)
		if err != nil {
			return err
		}
		w.Events = append(w.Events, e)
	}
	if len(w.Puts)+len(w.Deletes)+len(w.Events) == 0 {
		return nil
	}
	s.head.Updated = now
	w.Puts = append(w.Puts, s.head)
	_, err := c.Store.Commit(ctx, w)
	return err
}
