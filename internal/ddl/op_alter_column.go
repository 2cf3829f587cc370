package ddl

import "github.com/ringfence/ringfence/internal/errs"

// alterColumn changes a column: its type, default, comment, whether it may be null, and its constraints, any of them at once.
// Only a default and a comment need no second column: the new version's view has a default of its own.
type alterColumn struct {
	Table      string      `json:"table"`
	Column     string      `json:"column"`
	Type       *string     `json:"type"`
	Default    optional    `json:"default"`
	Nullable   *bool       `json:"nullable"`
	Comment    optional    `json:"comment"`
	Check      *checkSpec  `json:"check"`
	Unique     *uniqueSpec `json:"unique"`
	References *fkSpec     `json:"references"`
	Up         string      `json:"up"`
	Down       string      `json:"down"`

	table    *Table
	old, new *Column // new is old when there is no shadow
}

func (o *alterColumn) kind() string { return "alter_column" }

func (o *alterColumn) validate(b *build) error {
	t, c, err := b.now.column(o.Table, o.Column)
	if err != nil {
		return err
	}
	constrains := o.Check != nil || o.Unique != nil || o.References != nil
	switch {
	case o.Type == nil && !o.Default.set && o.Nullable == nil && !o.Comment.set && !constrains:
		return errs.E(errs.Invalid, "nothing of column %q is altered, expected type, default, nullable, comment, check, unique or references", o.Column)
	case t.created || c.created:
		return errs.E(errs.Invalid, "column %q of table %q is made, or changed already, by this migration", o.Column, o.Table).Next("Declare it as it shall be in one place.")
	case o.Nullable != nil && *o.Nullable != c.NotNull:
		return errs.E(errs.Invalid, "column %q already has nullable: %t", o.Column, *o.Nullable)
	case o.Type != nil && (o.Up == "" || o.Down == ""):
		return errs.E(errs.Invalid, "a change of type needs up and down")
	case o.Up == "" && (o.Nullable != nil && !*o.Nullable || o.Check != nil || o.References != nil):
		return errs.E(errs.Invalid, "up is needed, for what the old version writes to column %q", o.Column)
	}
	if o.Default.value != nil {
		if err := checkExpr("the default", *o.Default.value); err != nil {
			return err
		}
	}
	if o.Type != nil {
		if err := checkType(*o.Type); err != nil {
			return err
		}
	}
	if o.Unique != nil {
		if err := checkName("a unique constraint", o.Unique.Name); err != nil {
			return err
		}
	}
	return o.Check.check()
}

// shadowed reports whether the versions see different columns.
func (o *alterColumn) shadowed() bool {
	if o.Type != nil || o.Nullable != nil && *o.Nullable {
		return true
	}
	constrains := o.Check != nil || o.Unique != nil || o.References != nil || o.Nullable != nil
	up := o.Up
	if up == "" {
		up = Quote(o.Column)
	}
	return constrains && !same(o.Table, o.Column, up, o.Down)
}

func (o *alterColumn) start(b *build) error {
	t, c, err := b.now.column(o.Table, o.Column)
	if err != nil {
		return err
	}
	o.table, o.old, o.new = t, c, c
	if o.shadowed() {
		how := shadowing{nullable: o.Nullable}
		if o.Type != nil {
			how.typ = *o.Type
		}
		if o.Default.set {
			how.def = new(string)
			if o.Default.value != nil {
				how.def = o.Default.value
			}
		}
		if o.new, err = b.beside(t, c, how, o.Up, o.Down); err != nil {
			return err
		}
	} else {
		if o.Default.set {
			def := "NULLIF(1, 1)::" + c.Type // a null that is not taken for no default at all
			if o.Default.value != nil {
				def = *o.Default.value
			}
			c.viewOnly = &def
		}
		if o.Nullable != nil {
			if err := canGoNotNull(t, c); err != nil {
				return err
			}
			b.require(t, ownName("nn", c.Physical), "CHECK ("+Quote(c.Physical)+" IS NOT NULL)", "")
			c.NotNull = true
		}
		b.touches(t.Physical)
		b.use(t, c.Physical)
	}
	return o.constraints(b)
}

func canGoNotNull(t *Table, c *Column) error {
	if t.Partitioned {
		return errs.E(errs.Invalid, "table %q is partitioned or has children: column %q is not made NOT NULL there", t.Name, c.Name).Next("Use an sql operation, with the change written out.")
	}
	return nil
}

func (o *alterColumn) constraints(b *build) error {
	t, on := o.table, []string{o.new.Physical}
	if k := o.Check; k != nil {
		def := checkText(physicalOf(t, k.Constraint), k.NoInherit)
		if err := b.attach(t, &Constraint{Name: k.Name, Kind: "c", Definition: def, Columns: on}); err != nil {
			return err
		}
	}
	if f := o.References; f != nil {
		def, refers, err := b.foreignKey(on, f.table())
		if err != nil {
			return err
		}
		if err := b.attach(t, &Constraint{Name: f.Name, Kind: "f", Definition: def + f.suffix(), Columns: on, Refers: refers}); err != nil {
			return err
		}
	}
	if o.Unique != nil {
		return b.key(t, "u", o.Unique.Name, on, "")
	}
	return nil
}

func (o *alterColumn) complete(b *build) {
	if o.new != o.old {
		b.swap(o.Table, o.Column, o.old, o.new)
	} else {
		if o.Nullable != nil {
			b.notNull(o.Table, o.Column, o.old.Physical)
		}
		if o.Default.set && o.Default.value == nil {
			b.contract = append(b.contract, b.on(o.Table)+"ALTER COLUMN "+Quote(o.Column)+" DROP DEFAULT")
		} else if o.Default.set {
			b.contract = append(b.contract, b.on(o.Table)+"ALTER COLUMN "+Quote(o.Column)+" SET DEFAULT "+*o.Default.value)
		}
	}
	if o.Comment.set {
		text := "NULL"
		if o.Comment.value != nil {
			text = Literal(*o.Comment.value)
		}
		b.contract = append(b.contract, "COMMENT ON COLUMN "+qualified(b.old.Schema, o.Table)+"."+Quote(o.Column)+" IS "+text)
	}
}

func (o *alterColumn) rollback(b *build) {
	if o.Check != nil {
		b.detach(o.table, o.Check.Name)
	}
	if o.References != nil {
		b.detach(o.table, o.References.Name)
	}
	if o.Unique != nil {
		b.unkey(o.table, o.Unique.Name)
	}
	if o.new != o.old {
		b.undoColumn(o.table.Physical, o.new)
	} else if o.Nullable != nil {
		b.detach(o.table, ownName("nn", o.old.Physical))
	}
}
