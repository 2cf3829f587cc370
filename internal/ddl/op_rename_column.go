package ddl

import "github.com/ringfence/ringfence/internal/errs"

// renameColumn gives a column of the new version's view another name; the table has it from the contract on.
type renameColumn struct {
	Table string `json:"table"`
	From  string `json:"from"`
	To    string `json:"to"`
}

func (o *renameColumn) kind() string { return "rename_column" }

func (o *renameColumn) validate(b *build) error {
	t, _, err := b.now.column(o.Table, o.From)
	if err != nil {
		return err
	}
	if t.column(o.To) != nil {
		return errs.E(errs.Invalid, "table %q already has a column %q", o.Table, o.To)
	}
	return checkName("a column", o.To)
}

func (o *renameColumn) start(b *build) error {
	t, c, err := b.now.column(o.Table, o.From)
	if err != nil {
		return err
	}
	c.Name = o.To
	if !t.created {
		b.contractLocks[t.Physical] = true
	}
	return nil
}

func (o *renameColumn) complete(b *build) {
	b.contract = append(b.contract, b.on(o.Table)+"RENAME COLUMN "+Quote(o.From)+" TO "+Quote(o.To))
}

func (o *renameColumn) rollback(*build) {}
