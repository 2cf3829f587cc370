package ddl

import (
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// renameConstraint renames a constraint at the contract; no version sees its name.
type renameConstraint struct {
	Table string `json:"table"`
	From  string `json:"from"`
	To    string `json:"to"`

	table *Table
	on    *Constraint
}

func (o *renameConstraint) kind() string { return "rename_constraint" }

func (o *renameConstraint) validate(b *build) error {
	t, err := b.now.table(o.Table)
	if err != nil {
		return err
	}
	if t.constraint(o.From) == nil {
		return errs.E(errs.Invalid, "table %q has no constraint %q", o.Table, o.From)
	}
	if err := checkName("a constraint", o.To); err != nil {
		return err
	}
	return b.free(t, o.To)
}

func (o *renameConstraint) start(b *build) error {
	o.table = b.now.Tables[o.Table]
	i := slices.Index(o.table.Constraints, o.table.constraint(o.From))
	k := *o.table.Constraints[i]
	k.Name = o.To
	o.on = &k
	o.table.Constraints[i] = &k
	if !o.table.created {
		b.contractLocks[o.table.Physical] = true
	}
	return nil
}

func (o *renameConstraint) complete(b *build) {
	for column := range b.shadows[o.table.Physical] {
		if slices.Contains(o.on.Columns, column) {
			return // the constraint goes with a column of it, and its duplicate takes the new name
		}
	}
	b.late = append(b.late, b.on(o.table.Name)+"RENAME CONSTRAINT "+Quote(o.From)+" TO "+Quote(o.To))
}

func (o *renameConstraint) rollback(*build) {}
