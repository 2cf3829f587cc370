package ddl

import "github.com/ringfence/ringfence/internal/errs"

// addColumn adds a column, which the old version does not see. What the old version writes is completed by up.
type addColumn struct {
	Table  string     `json:"table"`
	Up     string     `json:"up"`
	Column columnSpec `json:"column"`

	table  *Table
	column *Column
}

func (o *addColumn) kind() string { return "add_column" }

func (o *addColumn) validate(b *build) error {
	t, err := b.now.table(o.Table)
	if err != nil {
		return err
	}
	c := o.Column
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case t.column(c.Name) != nil:
		return errs.E(errs.Invalid, "table %q already has a column %q", o.Table, c.Name)
	case c.PK:
		return errs.E(errs.Invalid, "column %q: a primary key is not added with a column", c.Name).Next("Add the column, and the key by create_constraint in a second migration.")
	case t.created:
		return nil
	case c.serial() || c.Generated != nil:
		return errs.E(errs.Invalid, "column %q: adding it would rewrite the table under an exclusive lock", c.Name).
			Next("Add a column of a plain type, filled by up, and give it its sequence or its default afterwards.")
	case !c.Nullable && c.Default == nil && o.Up == "":
		return errs.E(errs.Invalid, "column %q is not nullable and has no default: up is needed, for what the old version writes", c.Name)
	}
	return nil
}

func (o *addColumn) start(b *build) error {
	t, c := b.now.Tables[o.Table], o.Column
	physical := c.Name
	if old := b.old.physical(t.Physical); old != nil && old.column(c.Name) != nil {
		physical = ownName("new", c.Name) // the old version has a column of that name
	}
	o.table, o.column = t, c.model(c.Name, physical)
	fields := b.fieldsOf(t)
	if t.created {
		return o.toNewTable(b)
	}
	// A default that is not surely constant is given to rows that are there by the fill, as if it were up.
	fast := c.Default != nil && constant(*c.Default)
	text := c
	if !fast {
		text.Default = nil
	}
	line := b.on(t.Physical) + "ADD COLUMN " + text.text(physical)
	if !c.Nullable && fast {
		line += " NOT NULL"
	}
	b.alter(t, line)
	if c.Default != nil && !fast {
		b.alter(t, b.on(t.Physical)+"ALTER COLUMN "+Quote(physical)+" SET DEFAULT "+*c.Default)
	}
	o.comment(b)
	t.Columns = append(t.Columns, o.column)
	b.touches(t.Physical)
	up := o.Up
	if up == "" && c.Default != nil && !fast {
		up = *c.Default
	}
	if up != "" {
		if err := b.up(t, o.column, "up of column "+c.Name, up, fields); err != nil {
			return err
		}
	}
	if !c.Nullable && !fast {
		b.require(t, ownName("nn", physical), "CHECK ("+Quote(physical)+" IS NOT NULL)", "")
	}
	return o.constraints(b)
}

func (o *addColumn) comment(b *build) {
	if o.Column.Comment != nil {
		b.alter(o.table, "COMMENT ON COLUMN "+qualified(b.old.Schema, o.table.Physical)+"."+Quote(o.column.Physical)+" IS "+Literal(*o.Column.Comment))
	}
}

func (o *addColumn) constraints(b *build) error {
	t, c := o.table, o.Column
	physical := map[string]string{c.Name: o.column.Physical}
	if k := c.Check; k != nil {
		if err := b.free(t, k.Name); err != nil {
			return err
		}
		def := checkText(rewrite(k.Constraint, physical), k.NoInherit)
		b.require(t, k.Name, def, "")
		t.Constraints = append(t.Constraints, &Constraint{Name: k.Name, Kind: "c", Columns: []string{o.column.Physical}, Definition: def})
	}
	if f := c.References; f != nil {
		if err := b.free(t, f.Name); err != nil {
			return err
		}
		if err := checkName("a foreign key", f.Name); err != nil {
			return err
		}
		def, refers, err := b.foreignKey([]string{o.column.Physical}, f.table())
		if err != nil {
			return err
		}
		b.require(t, f.Name, def+f.suffix(), refers)
		t.Constraints = append(t.Constraints, &Constraint{Name: f.Name, Kind: "f", Columns: []string{o.column.Physical}, Definition: def, Refers: refers})
	}
	if c.Unique {
		return b.index(t, o.uniqueName(), true, "ON "+qualified(b.old.Schema, t.Physical)+" ("+Quote(o.column.Physical)+")")
	}
	return nil
}

func (o *addColumn) uniqueName() string { return ownName("uq", o.table.Physical, o.column.Physical) }

// toNewTable adds the column to a table that this migration made: nobody uses it yet.
func (o *addColumn) toNewTable(b *build) error {
	t, c := o.table, o.Column
	line := b.on(t.Physical) + "ADD COLUMN " + c.text(c.Name)
	o.column.Physical = c.Name
	if !c.Nullable && c.Generated == nil {
		line += " NOT NULL"
	}
	if c.Unique {
		line += " UNIQUE"
	}
	if c.Check != nil {
		line += ", ADD CONSTRAINT " + Quote(c.Check.Name) + " " + checkText(c.Check.Constraint, c.Check.NoInherit)
	}
	var locks []Lock
	if f := c.References; f != nil {
		def, refers, err := b.foreignKey([]string{c.Name}, f.table())
		if err != nil {
			return err
		}
		line += ", ADD CONSTRAINT " + Quote(f.Name) + " " + def + f.suffix()
		if refers != "" {
			locks = []Lock{{refers, shareRow}}
			b.undoing[refers] = true
		}
	}
	sql := []string{line}
	if c.Comment != nil {
		sql = append(sql, "COMMENT ON COLUMN "+qualified(b.old.Schema, t.Physical)+"."+Quote(c.Name)+" IS "+Literal(*c.Comment))
	}
	b.creates = append(b.creates, Step{Kind: StepQuick, Title: "add column " + c.Name + " to table " + t.Physical, Locks: locks, SQL: sql, Takes: quick})
	t.Columns = append(t.Columns, o.column)
	return nil
}

func (o *addColumn) complete(b *build) {
	if o.table.created {
		return
	}
	c, fast := o.Column, o.Column.Default != nil && constant(*o.Column.Default)
	if !c.Nullable && !fast {
		b.notNull(o.Table, o.column.Physical, o.column.Physical)
	}
	if o.column.Physical != c.Name {
		b.contract = append(b.contract, b.on(o.Table)+"RENAME COLUMN "+Quote(o.column.Physical)+" TO "+Quote(c.Name))
	}
	if c.Unique {
		name := ownNameFree(o.table, o.Table+"_"+c.Name+"_key")
		b.late = append(b.late, b.on(o.table.Name)+"ADD CONSTRAINT "+Quote(name)+" UNIQUE USING INDEX "+Quote(o.uniqueName()))
	}
}

// ownNameFree is name as PostgreSQL would choose it, cut to size, unless the table has it already.
func ownNameFree(t *Table, name string) string {
	if len(name) > maxIdent || t.named(name) {
		return ownName("key", name)
	}
	return name
}

func (o *addColumn) rollback(b *build) {
	if !o.table.created {
		b.undoColumn(o.table.Physical, o.column)
	}
}
