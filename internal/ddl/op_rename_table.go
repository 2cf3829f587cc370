package ddl

import "github.com/ringfence/ringfence/internal/errs"

// renameTable gives the new version's view another name; the table has it from the contract on.
type renameTable struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func (o *renameTable) kind() string { return "rename_table" }

func (o *renameTable) validate(b *build) error {
	if _, err := b.now.table(o.From); err != nil {
		return err
	}
	if b.now.Tables[o.To] != nil {
		return errs.E(errs.Invalid, "table %q exists already", o.To)
	}
	return checkName("a table", o.To)
}

func (o *renameTable) start(b *build) error {
	t := b.now.Tables[o.From]
	delete(b.now.Tables, o.From)
	t.Name = o.To
	b.now.Tables[o.To] = t
	if !t.created {
		b.contractLocks[t.Physical] = true
	}
	return nil
}

func (o *renameTable) complete(b *build) {
	b.contract = append(b.contract, b.on(o.From)+"RENAME TO "+Quote(o.To))
}

func (o *renameTable) rollback(*build) {}
