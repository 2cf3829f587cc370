package ddl

import (
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// dropColumn hides a column from the new version, and drops it at the end. What the new version writes is completed by down.
type dropColumn struct {
	Table  string `json:"table"`
	Column string `json:"column"`
	Down   string `json:"down"`
}

func (o *dropColumn) kind() string { return "drop_column" }

func (o *dropColumn) validate(b *build) error {
	t, c, err := b.now.column(o.Table, o.Column)
	if err != nil {
		return err
	}
	switch {
	case t.created || c.created:
		return errs.E(errs.Invalid, "column %q of table %q is made by this migration", o.Column, o.Table)
	case len(t.Columns) == 1:
		return errs.E(errs.Invalid, "column %q is the only one of table %q", o.Column, o.Table)
	case o.Down == "" && c.NotNull && c.Default == "" && !c.Generated && !c.Identity:
		return errs.E(errs.Invalid, "column %q is not nullable and has no default: down is needed, for what the new version writes", o.Column)
	case o.Down != "" && (c.Generated || c.Identity):
		return errs.E(errs.Invalid, "column %q is generated: it takes no down", o.Column)
	}
	return canGo(t, c)
}

func (o *dropColumn) start(b *build) error {
	t, c, err := b.now.column(o.Table, o.Column)
	if err != nil {
		return err
	}
	if o.Down != "" {
		if err := checkExpr("down of column "+o.Column, o.Down); err != nil {
			return err
		}
		if err := b.down(t, c, "down of column "+o.Column, o.Down); err != nil {
			return err
		}
	}
	t.remove(o.Column)
	b.retire(t, c)
	has := func(columns []string) bool { return slices.Contains(columns, c.Physical) }
	t.Constraints = slices.DeleteFunc(t.Constraints, func(k *Constraint) bool { return has(k.Columns) })
	t.Indexes = slices.DeleteFunc(t.Indexes, func(i *Index) bool { return has(i.Columns) })
	b.touches(t.Physical)
	return nil
}

func (o *dropColumn) complete(b *build) {
	b.contract = append(b.contract, b.on(o.Table)+"DROP COLUMN "+Quote(o.Column))
}

func (o *dropColumn) rollback(*build) {}
