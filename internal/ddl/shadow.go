package ddl

import (
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// shadowing is how a column's shadow differs from it.
type shadowing struct {
	typ      string  // empty for the column's own
	nullable *bool   // nil for as it is
	def      *string // a default of its own
}

// canShadow says what stands in the way of a column that changes.
func (b *build) canShadow(t *Table, c *Column) error {
	switch {
	case t.created || c.created:
		return errs.E(errs.Invalid, "column %q of table %q is made by this migration", c.Name, t.Name).Next("Declare it as it shall be where it is made.")
	case c.Generated, c.Identity:
		return errs.E(errs.Invalid, "column %q of table %q is generated: it cannot be changed by way of a second column", c.Name, t.Name).Next("Use an sql operation, with the change written out.")
	case b.shadows[t.Physical][c.Physical] != nil || b.isShadow(t, c) || b.used[t.Physical][c.Physical]:
		return errs.E(errs.Invalid, "column %q of table %q is changed twice in one migration", c.Name, t.Name).Next("Put the changes into one alter_column, build what stands on the column after it is altered, or make two migrations of it.")
	}
	if err := canGo(t, c); err != nil {
		return err
	}
	for _, k := range t.Constraints {
		if k.Kind == "x" && slices.Contains(k.Columns, c.Physical) {
			return errs.E(errs.Invalid, "column %q of table %q is part of the exclusion constraint %q, which cannot be built beside it", c.Name, t.Name, k.Name)
		}
	}
	_, err := b.syncOf(t)
	return err
}

// canGo says what stands in the way of dropping a column.
func canGo(t *Table, c *Column) error {
	for _, r := range t.Incoming {
		if slices.Contains(r.Columns, c.Physical) {
			return errs.E(errs.Invalid, "column %q of table %q is referred to by the foreign key %q of table %q", c.Name, t.Name, r.Name, r.Table).Next("Drop that foreign key in an earlier migration.")
		}
	}
	if len(c.Dependents) > 0 {
		return errs.E(errs.Invalid, "column %q of table %q is used by %s, and could not be dropped at the end", c.Name, t.Name, strings.Join(c.Dependents, ", ")).Next("Drop these in an earlier migration.")
	}
	return nil
}

func (b *build) isShadow(t *Table, c *Column) bool {
	for _, s := range b.shadows[t.Physical] {
		if s == c {
			return true
		}
	}
	return false
}

// shadow makes a second column, which the new version sees in the first one's place.
func (b *build) shadow(t *Table, c *Column, how shadowing) *Column {
	s := *c
	s.Physical, s.created = ownName("new", c.Physical), true
	column := Quote(s.Physical) + " " + c.Type
	if how.typ != "" && how.typ != c.Type {
		s.Type, s.Collation = how.typ, ""
		column = Quote(s.Physical) + " " + how.typ
		if c.Default != "" {
			s.Default = "CAST((" + c.Default + ") AS " + how.typ + ")"
		}
	} else if c.Collation != "" {
		column += " COLLATE " + c.Collation
	}
	if how.nullable != nil {
		s.NotNull = !*how.nullable
	}
	if how.def != nil {
		s.Default = *how.def
	}
	b.alter(t, b.on(t.Physical)+"ADD COLUMN "+column)
	if s.Default != "" {
		b.alter(t, b.on(t.Physical)+"ALTER COLUMN "+Quote(s.Physical)+" SET DEFAULT "+s.Default)
	}
	if c.Comment != "" {
		b.alter(t, "COMMENT ON COLUMN "+qualified(b.old.Schema, t.Physical)+"."+Quote(s.Physical)+" IS "+Literal(c.Comment))
	}
	if s.NotNull {
		b.require(t, ownName("nn", s.Physical), "CHECK ("+Quote(s.Physical)+" IS NOT NULL)", "")
	}
	t.Columns[slices.Index(t.Columns, c)] = &s
	if b.shadows[t.Physical] == nil {
		b.shadows[t.Physical] = map[string]*Column{}
	}
	b.shadows[t.Physical][c.Physical] = &s
	b.retire(t, c)
	b.touches(t.Physical)
	return &s
}

// retire notes a column that only the old version sees from now on.
func (b *build) retire(t *Table, c *Column) {
	b.retired[t.Physical] = append(b.retired[t.Physical], c)
	for _, k := range t.Constraints {
		if k.Kind == "f" && k.Refers != "" && slices.Contains(k.Columns, c.Physical) {
			b.contractLocks[k.Refers] = true // the constraint's triggers there go with the column
		}
	}
}

// require adds a constraint to a table and has the rows checked against it, when they have been filled.
func (b *build) require(t *Table, name, definition, refers string) {
	locks := []Lock{{t.Physical, accessExclusive}}
	if refers != "" {
		locks = []Lock{{t.Physical, shareRow}}
		if refers != t.Physical {
			locks = append(locks, Lock{refers, shareRow})
			slices.SortFunc(locks, func(a, c Lock) int { return strings.Compare(a.Table, c.Table) })
		}
		b.undoing[refers] = true
	}
	definition = strings.TrimSuffix(definition, " NOT VALID")
	b.confirms = append(b.confirms,
		Step{Kind: StepQuick, Title: "add constraint " + name + " to table " + t.Physical + ", for what is written from now on", Locks: locks, Takes: quick,
			SQL: []string{b.on(t.Physical) + "ADD CONSTRAINT " + Quote(name) + " " + definition + " NOT VALID"}},
		Step{Kind: StepSlow, Title: "check the rows of table " + t.Physical + " against " + name, Locks: []Lock{{t.Physical, shareUpdate}}, Takes: duration(t.Bytes, scanRate),
			SQL: []string{b.on(t.Physical) + "VALIDATE CONSTRAINT " + Quote(name)}})
}

// index has an index built. definition is all of CREATE INDEX behind the index's name.
func (b *build) index(t *Table, name string, unique bool, definition string) error {
	if t.created {
		b.creates = append(b.creates, Step{Kind: StepQuick, Title: "create index " + name, Takes: quick, SQL: []string{createIndexText(name, unique, false) + definition}})
		return nil
	}
	if t.Partitioned {
		return errs.E(errs.Invalid, "table %q is partitioned or has children: an index cannot be built concurrently on it", t.Name).Next("Build it on the partitions by sql operations.")
	}
	b.indexes = append(b.indexes, Step{Kind: StepIndex, Title: "build index " + name + " on table " + t.Physical, Name: name, Takes: duration(t.Bytes, indexRate),
		Locks: []Lock{{t.Physical, shareUpdate}}, SQL: []string{createIndexText(name, unique, true) + definition}})
	return nil
}

func createIndexText(name string, unique, concurrently bool) string {
	s := "CREATE "
	if unique {
		s += "UNIQUE "
	}
	s += "INDEX "
	if concurrently {
		s += "CONCURRENTLY "
	}
	return s + Quote(name) + " "
}

// swap puts a shadow in its column's place, at the contract. table and column are as they are called then.
func (b *build) swap(table, column string, old, s *Column) {
	if old.Sequence != "" {
		b.contract = append(b.contract, "ALTER SEQUENCE "+old.Sequence+" OWNED BY "+qualified(b.old.Schema, table)+"."+Quote(s.Physical))
	}
	if s.NotNull {
		b.notNull(table, s.Physical, s.Physical)
	}
	b.contract = append(b.contract, b.on(table)+"DROP COLUMN "+Quote(column), b.on(table)+"RENAME COLUMN "+Quote(s.Physical)+" TO "+Quote(column))
}

// notNull makes a column NOT NULL, at the contract. Its check spares the scan, and goes afterwards: in a statement of its own, as
// PostgreSQL would drop it first.
func (b *build) notNull(table, column, physical string) {
	b.contract = append(b.contract, b.on(table)+"ALTER COLUMN "+Quote(column)+" SET NOT NULL", b.on(table)+"DROP CONSTRAINT "+Quote(ownName("nn", physical)))
}

// undoColumn drops a column that start added.
func (b *build) undoColumn(physicalTable string, c *Column) {
	b.undo = append(b.undo, "ALTER TABLE IF EXISTS "+qualified(b.old.Schema, physicalTable)+" DROP COLUMN IF EXISTS "+Quote(c.Physical))
}

// duplicate builds for the shadows what their columns have: keys, checks, foreign keys, indexes.
func (b *build) duplicate() error {
	for _, name := range slices.Sorted(maps.Keys(b.shadows)) {
		t := b.now.physical(name)
		if t == nil {
			continue // dropped by the same migration
		}
		to := map[string]string{}
		for phys, s := range b.shadows[name] {
			to[phys] = s.Physical
		}
		touched := func(columns []string) bool {
			return slices.ContainsFunc(columns, func(c string) bool { return to[c] != "" })
		}
		for _, k := range t.Constraints {
			if touched(k.Columns) {
				if err := b.duplicateConstraint(t, k, to); err != nil {
					return err
				}
			}
		}
		for _, i := range t.Indexes {
			if !touched(i.Columns) {
				continue
			}
			unique, definition, err := indexDefinition(i.Definition)
			if err != nil {
				return err
			}
			dup := ownName("dup", i.Name)
			if err := b.index(t, dup, unique, rewriteIndex(definition, to)); err != nil {
				return err
			}
			b.late = append(b.late, "ALTER INDEX "+qualified(b.old.Schema, dup)+" RENAME TO "+Quote(i.Name))
		}
	}
	return nil
}

func (b *build) duplicateConstraint(t *Table, k *Constraint, to map[string]string) error {
	dup := ownName("dup", k.Name)
	renamed := b.on(t.Name) + "RENAME CONSTRAINT " + Quote(dup) + " TO " + Quote(k.Name)
	switch k.Kind {
	case "c":
		b.require(t, dup, rewrite(k.Definition, to), "")
		b.late = append(b.late, renamed)
	case "f":
		head, tail, found := strings.Cut(k.Definition, " REFERENCES ")
		if !found || strings.Contains(tail, "SET NULL (") || strings.Contains(tail, "SET DEFAULT (") {
			return errs.E(errs.Invalid, "the foreign key %q of table %q names the columns that it sets, which cannot be built beside it", k.Name, t.Name)
		}
		b.require(t, dup, rewrite(head, to)+" REFERENCES "+tail, k.Refers)
		if k.Refers != "" {
			b.contractLocks[k.Refers] = true
		}
		b.late = append(b.late, renamed)
	case "p", "u":
		_, definition, err := indexDefinition(k.Index)
		if err != nil {
			return err
		}
		if err := b.index(t, dup, true, rewriteIndex(definition, to)); err != nil {
			return err
		}
		how := "UNIQUE"
		if k.Kind == "p" {
			how = "PRIMARY KEY"
		}
		add := b.on(t.Name) + "ADD CONSTRAINT " + Quote(k.Name) + " " + how + " USING INDEX " + Quote(dup)
		if strings.HasSuffix(k.Definition, "INITIALLY DEFERRED") {
			add += " DEFERRABLE INITIALLY DEFERRED"
		} else if strings.HasSuffix(k.Definition, "DEFERRABLE") {
			add += " DEFERRABLE"
		}
		b.late = append(b.late, add)
	}
	return nil
}

// indexDefinition takes apart what pg_get_indexdef printed: what follows the index's name.
func indexDefinition(def string) (unique bool, rest string, err error) {
	all, _ := tokens(def)
	for i, t := range all {
		if t.is("unique") && i == 1 {
			unique = true
		}
		if t.is("on") && i > 1 {
			return unique, def[t.from:], nil
		}
	}
	return false, "", errs.E(errs.Internal, "index definition %q is not understood", def)
}

// rewriteIndex replaces columns in ON table USING method (…) …, from the first parenthesis on.
func rewriteIndex(def string, to map[string]string) string {
	all, _ := tokens(def)
	for _, t := range all {
		if t.is("(") {
			return def[:t.from] + rewrite(def[t.from:], to)
		}
	}
	return def
}

// views is the last step of the expansion.
func (b *build) views() Step {
	s := Step{Kind: StepViews, Title: "make the views of version " + b.version, Name: b.version, Takes: quick, All: b.fromCatalog}
	if b.fromCatalog {
		return s
	}
	s.Views = b.now.Views()
	return s
}

// physicalOf writes an expression about a table with the columns' physical names.
func physicalOf(t *Table, expr string) string {
	to := map[string]string{}
	for _, c := range t.Columns {
		if c.Name != c.Physical {
			to[c.Name] = c.Physical
		}
	}
	return rewrite(expr, to)
}

// beside changes a column by way of a shadow, with its expressions.
func (b *build) beside(t *Table, c *Column, how shadowing, up, down string) (*Column, error) {
	if err := b.canShadow(t, c); err != nil {
		return nil, err
	}
	if up == "" {
		up = Quote(c.Name)
	}
	if down == "" {
		down = Quote(c.Name)
	}
	if err := checkExpr("down of column "+c.Name, down); err != nil {
		return nil, err
	}
	fields := b.fieldsOf(t)
	s := b.shadow(t, c, how)
	if err := b.up(t, s, "up of column "+c.Name, up, fields); err != nil {
		return nil, err
	}
	return s, b.down(t, c, "down of column "+c.Name, down)
}

// same reports whether the versions agree about what a column holds. What is asked of it is then asked of the column itself.
func same(table, column, up, down string) bool {
	return isColumn(up, table, column) && (down == "" || isColumn(down, table, column))
}

// attach adds a constraint to columns of the new version: a check or a foreign key.
func (b *build) attach(t *Table, k *Constraint) error {
	if err := checkName("a constraint", k.Name); err != nil {
		return err
	}
	if err := b.free(t, k.Name); err != nil {
		return err
	}
	if t.created {
		var locks []Lock
		if k.Refers != "" {
			locks = []Lock{{k.Refers, shareRow}}
			b.undoing[k.Refers] = true
		}
		b.creates = append(b.creates, Step{Kind: StepQuick, Title: "add constraint " + k.Name + " to table " + t.Physical, Locks: locks, Takes: quick,
			SQL: []string{b.on(t.Physical) + "ADD CONSTRAINT " + Quote(k.Name) + " " + k.Definition}})
	} else {
		b.require(t, k.Name, k.Definition, k.Refers)
		b.touches(t.Physical)
	}
	t.Constraints = append(t.Constraints, k)
	return nil
}

// detach drops a constraint that attach added.
func (b *build) detach(t *Table, name string) {
	if !t.created {
		b.undo = append(b.undo, "ALTER TABLE IF EXISTS "+qualified(b.old.Schema, t.Physical)+" DROP CONSTRAINT IF EXISTS "+Quote(name))
	}
}

// key builds the index of a key that becomes a constraint at the contract.
func (b *build) key(t *Table, kind, name string, columns []string, more string) error {
	if err := checkName("a constraint", name); err != nil {
		return err
	}
	if err := b.free(t, name); err != nil {
		return err
	}
	how := "UNIQUE"
	if kind == "p" {
		how = "PRIMARY KEY"
	}
	if t.created {
		b.creates = append(b.creates, Step{Kind: StepQuick, Title: "add constraint " + name + " to table " + t.Physical, Takes: quick,
			SQL: []string{b.on(t.Physical) + "ADD CONSTRAINT " + Quote(name) + " " + how + " (" + quoteAll(columns) + ")" + more}})
		t.Constraints = append(t.Constraints, &Constraint{Name: name, Kind: kind, Columns: columns})
		return nil
	}
	index := ownName("key", name)
	b.use(t, columns...)
	b.touches(t.Physical)
	if err := b.index(t, index, true, "ON "+qualified(b.old.Schema, t.Physical)+" ("+quoteAll(columns)+")"+more); err != nil {
		return err
	}
	// Not among the table's constraints: it is built already, and needs no duplicate.
	b.late = append(b.late, b.on(t.Name)+"ADD CONSTRAINT "+Quote(name)+" "+how+" USING INDEX "+Quote(index))
	return nil
}

// unkey drops what key built.
func (b *build) unkey(t *Table, name string) {
	if !t.created {
		b.undo = append(b.undo, "DROP INDEX IF EXISTS "+qualified(b.old.Schema, ownName("key", name)))
	}
}
