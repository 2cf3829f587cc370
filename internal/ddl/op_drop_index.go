package ddl

import (
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// dropIndex drops an index at the contract, so that the old version keeps its speed until then.
type dropIndex struct {
	Name string `json:"name"`
}

func (o *dropIndex) kind() string { return "drop_index" }

func (o *dropIndex) find(b *build) *Table {
	for _, t := range b.now.Tables {
		if slices.ContainsFunc(t.Indexes, func(i *Index) bool { return i.Name == o.Name }) {
			return t
		}
	}
	return nil
}

func (o *dropIndex) validate(b *build) error {
	if o.find(b) != nil {
		return nil
	}
	for _, t := range b.now.Tables {
		if t.constraint(o.Name) != nil {
			return errs.E(errs.Invalid, "index %q belongs to a constraint of table %q", o.Name, t.Name).Next("Use drop_multicolumn_constraint.")
		}
	}
	return errs.E(errs.Invalid, "index %q does not exist in schema %q", o.Name, b.now.Schema)
}

func (o *dropIndex) start(b *build) error {
	t := o.find(b)
	t.Indexes = slices.DeleteFunc(t.Indexes, func(i *Index) bool { return i.Name == o.Name })
	b.contractLocks[t.Physical] = true
	return nil
}

func (o *dropIndex) complete(b *build) { // it may have gone with a column of it
	b.contract = append(b.contract, "DROP INDEX IF EXISTS "+qualified(b.old.Schema, o.Name))
}

func (o *dropIndex) rollback(*build) {}
