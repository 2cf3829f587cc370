package catalog

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Deleted is the data of the event resource.deleted: what it was, so that it can be applied again.
type Deleted struct {
	Before resource.Resource `json:"before" doc:"the resource as it was"`
}

// Delete removes a resource that nothing refers to or runs on.
func (c *Catalog) Delete(ctx context.Context, actor string, now time.Time, kind, name string) error {
	if kind == resource.KindRelease || kind == resource.KindConfig {
		return errs.E(errs.Denied, "%s stays: releases and configs are the record of what has run", resource.Key(kind, name))
	}
	if !slices.Contains(resource.Declared, kind) {
		return errs.E(errs.Invalid, "unknown kind %q, expected one of %s", kind, strings.Join(resource.Declared, ", "))
	}
	// What says no for a reason is kept apart from a stale write, which is tried again: both are conflicts.
	var refused error
	err := c.retry(ctx, func() error {
		s, err := c.read(ctx)
		if err != nil {
			return err
		}
		doc, ok := s.docs[resource.Key(kind, name)]
		if !ok {
			return errs.E(errs.Missing, "there is no %s %q", kind, name)
		}
		if refused = c.deletable(ctx, s, kind, name); refused != nil {
			return nil
		}
		before, err := decode(doc)
		if err != nil {
			return err
		}
		if c.Governed != nil {
			refused = c.Governed(s.set, []resource.Resource{before})
		}
		if refused = cmp.Or(refused, c.access(ctx, s, nil, &before)); refused != nil {
			return nil
		}
		e, err := audit.New(now, "resource.deleted", actor, before.Key(), Deleted{Before: before})
		if err != nil {
			return err
		}
		s.head.Updated = now
		_, err = c.Store.Commit(ctx, store.Write{Puts: []store.Doc{s.head}, Deletes: []store.Doc{doc}, Events: []audit.Event{e}})
		return err
	})
	if refused != nil {
		return refused
	}
	return err
}

func (c *Catalog) deletable(ctx context.Context, s state, kind, name string) error {
	if doc, ok := s.docs[resource.Key(kind, name)]; ok && kind == resource.KindFlagSet {
		before, err := decode(doc)
		if err != nil {
			return err
		}
		old, _ := flag.Of(before)
		if old != nil && len(old.Reviewers) > 0 {
			return errs.E(errs.Denied, "flag set %s: what is answered in %s changes only with a review", name, strings.Join(slices.Sorted(maps.Keys(old.Reviewers)), ", ")).
				Next("take the reviewers out first, which they review: ringfence flags propose -f FILE --reason …")
		}
		if err := c.keeps(ctx, name, old, nil); err != nil {
			return err
		}
	}
	if users := resource.UsedBy(s.set, kind, name); len(users) > 0 {
		more := ""
		if len(users) > 10 {
			users, more = users[:10], " and others"
		}
		return errs.E(errs.Conflict, "%s %s is used by %s%s", kind, name, strings.Join(users, ", "), more).
			Next("Let them refer to something else first.")
	}
	if c.InUse != nil {
		return c.InUse(ctx, kind, name)
	}
	return nil
}
