package ddl

import (
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// dropConstraints drops a constraint: the new version's columns are shadows without it, while the old version's stay bound,
// and what the new version writes is made to fit by down.
type dropConstraints struct {
	Name  string            `json:"name"`
	Table string            `json:"table"`
	Up    map[string]string `json:"up"`
	Down  map[string]string `json:"down"`

	table   *Table
	dropped *Constraint
	columns []string
	changed []changedColumn
}

func (o *dropConstraints) kind() string { return "drop_multicolumn_constraint" }

func (o *dropConstraints) validate(b *build) error {
	t, err := b.now.table(o.Table)
	if err != nil {
		return err
	}
	k := t.constraint(o.Name)
	switch {
	case k == nil:
		return errs.E(errs.Invalid, "table %q has no constraint %q", o.Table, o.Name)
	case t.created || b.old.physical(t.Physical).constraint(o.Name) == nil:
		return errs.E(errs.Invalid, "constraint %q is made by this migration", o.Name)
	case k.Kind != "c" && k.Kind != "u" && k.Kind != "f":
		return errs.E(errs.Invalid, "constraint %q is neither a check nor unique nor a foreign key", o.Name).Next("Use an sql operation, with the change written out.")
	}
	o.columns = nil
	for _, c := range k.Columns {
		o.columns = append(o.columns, nameOf(t, c))
	}
	if err := onlyOf(o.columns, o.Up, o.Down); err != nil {
		return err
	}
	for _, c := range o.columns {
		if o.Down[c] == "" {
			return errs.E(errs.Invalid, "down is needed for column %q, for what the new version writes", c)
		}
		if err := checkExpr("down of column "+c, o.Down[c]); err != nil {
			return err
		}
	}
	return nil
}

func (o *dropConstraints) start(b *build) error {
	t := b.now.Tables[o.Table]
	o.table, o.dropped, o.changed = t, t.constraint(o.Name), nil
	t.Constraints = slices.DeleteFunc(t.Constraints, func(k *Constraint) bool { return k == o.dropped })
	for _, name := range o.columns {
		c := t.column(name)
		s, err := b.beside(t, c, shadowing{}, o.Up[name], o.Down[name])
		if err != nil {
			return err
		}
		o.changed = append(o.changed, changedColumn{name, c, s})
	}
	if o.dropped.Refers != "" {
		b.contractLocks[o.dropped.Refers] = true
	}
	return nil
}

func (o *dropConstraints) complete(b *build) { // the constraint goes with the columns; a check may name none
	if len(o.changed) == 0 {
		b.contract = append(b.contract, b.on(o.Table)+"DROP CONSTRAINT "+Quote(o.Name))
	}
	for _, c := range o.changed {
		b.swap(o.Table, c.name, c.old, c.new)
	}
}

func (o *dropConstraints) rollback(b *build) {
	for _, c := range o.changed {
		b.undoColumn(o.table.Physical, c.new)
	}
}
