package ddl

import "github.com/ringfence/ringfence/internal/errs"

// dropTable hides a table from the new version, and drops it at the end.
type dropTable struct {
	Name string `json:"name"`
}

func (o *dropTable) kind() string { return "drop_table" }

func (o *dropTable) validate(b *build) error {
	t, err := b.now.table(o.Name)
	if err != nil {
		return err
	}
	if t.created {
		return errs.E(errs.Invalid, "table %q is made by this migration", o.Name)
	}
	for _, r := range t.Incoming {
		if from := b.now.physical(r.Table); r.Table != t.Physical && from != nil && from.constraint(r.Name) != nil {
			return errs.E(errs.Invalid, "table %q is referred to by the foreign key %q of table %q", o.Name, r.Name, r.Table).Next("Drop that foreign key, or that table, first.")
		}
	}
	for _, c := range t.Columns {
		if len(c.Dependents) > 0 {
			return canGo(&Table{Name: t.Name}, c)
		}
	}
	return nil
}

func (o *dropTable) start(b *build) error {
	t := b.now.Tables[o.Name]
	delete(b.now.Tables, o.Name)
	b.contractLocks[t.Physical] = true
	for _, k := range t.Constraints {
		if k.Kind == "f" && k.Refers != "" {
			b.contractLocks[k.Refers] = true
		}
	}
	return nil
}

func (o *dropTable) complete(b *build) {
	b.contract = append(b.contract, "DROP TABLE "+qualified(b.old.Schema, o.Name))
}

func (o *dropTable) rollback(*build) {}
