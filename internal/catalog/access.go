package catalog

import (
	"context"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// concernsAccess are the kinds that decide who may do what.
func concernsAccess(kind string) bool {
	return kind == resource.KindAccessPolicy || kind == resource.KindAccessRules || kind == resource.KindGroup
}

// access judges who could do what when set is there in place of what it replaces, and gone is not.
func (c *Catalog) access(ctx context.Context, s state, set []resource.Resource, gone *resource.Resource) error {
	at := map[string]int{}
	concerned := gone != nil && concernsAccess(gone.Kind)
	for i, r := range set {
		at[r.Key()] = i
		concerned = concerned || concernsAccess(r.Kind)
	}
	if c.CheckAccess == nil || !concerned {
		return nil
	}
	var whole []resource.Resource
	for _, r := range s.set {
		if _, fresh := at[r.Key()]; !fresh && (gone == nil || r.Key() != gone.Key()) {
			whole = append(whole, r)
		}
	}
	problems := c.CheckAccess(ctx, append(whole, set...))
	for i, p := range problems {
		problems[i].Index = -1
		if j, ok := at[resource.Key(p.Kind, p.Name)]; ok {
			problems[i].Index = j
		}
	}
	return resource.Refuse(problems)
}

func (c *Catalog) governed(s state, set []resource.Resource) error {
	if c.Governed == nil {
		return nil
	}
	var changed []resource.Resource
	for i, it := range plan(s, set) {
		if it.Action != Unchanged {
			changed = append(changed, set[i])
		}
	}
	return c.Governed(s.set, changed)
}

// Change applies set and deletes gone in one write with more: for changes that somebody has approved, or that
// restore what was. Only what concerns access can be changed by it. It is judged like any other change.
func (c *Catalog) Change(ctx context.Context, actor string, now time.Time, set []resource.Resource, gone []resource.Resource, also store.Write) error {
	set, problems := c.canonical(set)
	if len(problems) > 0 {
		return resource.Refuse(problems)
	}
	return c.retry(ctx, func() error {
		s, err := c.read(ctx)
		if err != nil {
			return err
		}
		w := store.Write{Puts: slices.Clone(also.Puts), Events: slices.Clone(also.Events)}
		deleted := map[string]bool{}
		for _, r := range append(gone[:len(gone):len(gone)], set...) {
			if !concernsAccess(r.Kind) {
				return errs.E(errs.Internal, "%s does not concern access", r.Key())
			}
		}
		for _, r := range gone {
			if doc, ok := s.docs[r.Key()]; ok {
				w.Deletes = append(w.Deletes, doc)
				deleted[r.Key()] = true
				e, err := audit.New(now, "resource.deleted", actor, r.Key(), Deleted{Before: r})
				if err != nil {
					return err
				}
				w.Events = append(w.Events, e)
			}
		}
		var left state
		left.head, left.docs = s.head, s.docs
		for _, r := range s.set {
			if !deleted[r.Key()] {
				left.set = append(left.set, r)
			}
		}
		if err := judge(left, set); err != nil {
			return err
		}
		if err := c.access(ctx, left, append([]resource.Resource{}, set...), &resource.Resource{Kind: resource.KindAccessRules}); err != nil {
			return err
		}
		return c.write(ctx, actor, now, s, plan(s, set), w)
	})
}

// Try says what a set would be, in canonical form, if it were applied; nothing is.
func (c *Catalog) Try(ctx context.Context, actor string, now time.Time, set []resource.Resource) ([]resource.Resource, error) {
	if len(set) == 0 {
		return nil, nil
	}
	res, err := c.Apply(ctx, actor, now, set, true)
	out := make([]resource.Resource, len(res.Items))
	for i, it := range res.Items {
		out[i] = *it.After
	}
	return out, err
}
