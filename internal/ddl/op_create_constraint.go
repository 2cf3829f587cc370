package ddl

import (
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// createConstraint adds a constraint on one or more columns. Where up and down say that the versions agree, it is put on the
// columns themselves; else the columns get shadows, and the old version is not bound by it.
type createConstraint struct {
	Name            string            `json:"name"`
	Table           string            `json:"table"`
	Type            string            `json:"type"`
	Columns         []string          `json:"columns"`
	Check           *string           `json:"check"`
	NoInherit       bool              `json:"no_inherit"`
	References      *tableFK          `json:"references"`
	IndexParameters *indexParameters  `json:"index_parameters"`
	Up              map[string]string `json:"up"`
	Down            map[string]string `json:"down"`

	table    *Table
	changed  []changedColumn
	required []*Column // columns of a primary key that may be null so far
}

// changedColumn is a column and its shadow, by the name that it has when the operation begins.
type changedColumn struct {
	name     string
	old, new *Column
}

func (o *createConstraint) kind() string { return "create_constraint" }

func (o *createConstraint) validate(b *build) error {
	t, err := b.now.table(o.Table)
	if err != nil {
		return err
	}
	if err := checkName("a constraint", o.Name); err != nil {
		return err
	}
	if err := b.free(t, o.Name); err != nil {
		return err
	}
	for _, c := range o.Columns {
		if t.column(c) == nil {
			return errs.E(errs.Invalid, "table %q has no column %q", o.Table, c)
		}
	}
	if err := onlyOf(o.Columns, o.Up, o.Down); err != nil {
		return err
	}
	if err := o.IndexParameters.check(); err != nil {
		return err
	}
	switch o.Type {
	case "unique", "primary_key":
	case "check":
		if o.Check == nil {
			return errs.E(errs.Invalid, "constraint %q of type check needs check", o.Name)
		}
		if err := checkExpr("check constraint "+o.Name, *o.Check); err != nil {
			return err
		}
	case "foreign_key":
		if o.References == nil {
			return errs.E(errs.Invalid, "constraint %q of type foreign_key needs references", o.Name)
		}
	default:
		return errs.E(errs.Invalid, "constraint %q has the type %q, expected unique, primary_key, check or foreign_key", o.Name, o.Type)
	}
	if len(o.Columns) == 0 {
		return errs.E(errs.Invalid, "constraint %q of type %s needs columns", o.Name, o.Type)
	}
	if o.Type == "primary_key" && slices.ContainsFunc(t.Constraints, func(k *Constraint) bool { return k.Kind == "p" }) {
		return errs.E(errs.Invalid, "table %q already has a primary key", o.Table)
	}
	return nil
}

// onlyOf refuses expressions for columns that the operation is not about.
func onlyOf(columns []string, exprs ...map[string]string) error {
	for _, m := range exprs {
		for c := range m {
			if !slices.Contains(columns, c) {
				return errs.E(errs.Invalid, "there is an expression for column %q, which the constraint is not on", c)
			}
		}
	}
	return nil
}

// change gives shadows to the columns whose expressions need them.
func (b *build) change(t *Table, columns []string, up, down map[string]string) ([]changedColumn, error) {
	var all []changedColumn
	for _, name := range columns {
		c, u := t.column(name), up[name]
		if u == "" {
			u = Quote(name)
		}
		if same(t.Name, name, u, down[name]) {
			continue
		}
		s, err := b.beside(t, c, shadowing{}, u, down[name])
		if err != nil {
			return nil, err
		}
		all = append(all, changedColumn{name, c, s})
	}
	return all, nil
}

func (o *createConstraint) start(b *build) error {
	t := b.now.Tables[o.Table]
	o.table, o.required = t, nil
	var err error
	if o.changed, err = b.change(t, o.Columns, o.Up, o.Down); err != nil {
		return err
	}
	on := make([]string, len(o.Columns))
	for i, c := range o.Columns {
		on[i] = t.column(c).Physical
	}
	physical := func(name string) string {
		if c := t.column(name); c != nil {
			return c.Physical
		}
		return name
	}
	switch o.Type {
	case "check":
		return b.attach(t, &Constraint{Name: o.Name, Kind: "c", Columns: on, Definition: checkText(physicalOf(t, *o.Check), o.NoInherit)})
	case "foreign_key":
		def, refers, err := b.foreignKey(on, *o.References)
		if err != nil {
			return err
		}
		return b.attach(t, &Constraint{Name: o.Name, Kind: "f", Columns: on, Definition: def, Refers: refers})
	case "primary_key":
		o.require(b, t)
		return b.key(t, "p", o.Name, on, o.IndexParameters.text(physical))
	}
	return b.key(t, "u", o.Name, on, o.IndexParameters.text(physical))
}

// require has the columns of a primary key checked for nulls.
func (o *createConstraint) require(b *build, t *Table) {
	for _, name := range o.Columns {
		c := t.column(name)
		if t.created || c.NotNull {
			continue
		}
		b.require(t, ownName("nn", c.Physical), "CHECK ("+Quote(c.Physical)+" IS NOT NULL)", "")
		c.NotNull = true
		if !b.isShadow(t, c) {
			o.required = append(o.required, c)
		}
	}
}

func (o *createConstraint) complete(b *build) {
	for _, c := range o.changed {
		b.swap(o.Table, c.name, c.old, c.new)
	}
	for i, c := range o.required {
		b.notNull(o.Table, o.nameOf(i), c.Physical)
	}
}

// nameOf is the name that the i-th required column has when the operation is completed.
func (o *createConstraint) nameOf(i int) string {
	seen := -1
	for _, name := range o.Columns {
		if slices.ContainsFunc(o.changed, func(c changedColumn) bool { return c.name == name }) {
			continue
		}
		if seen++; seen == i {
			return name
		}
	}
	return o.required[i].Name
}

func (o *createConstraint) rollback(b *build) {
	switch o.Type {
	case "check", "foreign_key":
		b.detach(o.table, o.Name)
	default:
		b.unkey(o.table, o.Name)
	}
	for _, c := range o.required {
		b.detach(o.table, ownName("nn", c.Physical))
	}
	for _, c := range o.changed {
		b.undoColumn(o.table.Physical, c.new)
	}
}
