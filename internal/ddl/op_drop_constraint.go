package ddl

import (
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// dropConstraint drops a constraint that is on one column.
type dropConstraint struct {
	Name  string `json:"name"`
	Table string `json:"table"`
	Up    string `json:"up"`
	Down  string `json:"down"`

	all dropConstraints
}

func (o *dropConstraint) kind() string { return "drop_constraint" }

func (o *dropConstraint) validate(b *build) error {
	t, err := b.now.table(o.Table)
	if err != nil {
		return err
	}
	k := t.constraint(o.Name)
	if k == nil {
		return errs.E(errs.Invalid, "table %q has no constraint %q", o.Table, o.Name)
	}
	if len(k.Columns) != 1 {
		return errs.E(errs.Invalid, "constraint %q is on %d columns", o.Name, len(k.Columns)).Next("Use drop_multicolumn_constraint.")
	}
	column := nameOf(t, k.Columns[0])
	o.all = dropConstraints{Name: o.Name, Table: o.Table, Down: map[string]string{column: o.Down}}
	if o.Up != "" {
		o.all.Up = map[string]string{column: o.Up}
	}
	return o.all.validate(b)
}

func (o *dropConstraint) start(b *build) error { return o.all.start(b) }
func (o *dropConstraint) complete(b *build)    { o.all.complete(b) }
func (o *dropConstraint) rollback(b *build)    { o.all.rollback(b) }

// nameOf is what the new version calls a physical column.
func nameOf(t *Table, physical string) string {
	i := slices.IndexFunc(t.Columns, func(c *Column) bool { return c.Physical == physical })
	if i < 0 {
		return physical
	}
	return t.Columns[i].Name
}
