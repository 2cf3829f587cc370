package ddl

import (
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// createTable makes a table, which only the new version sees.
type createTable struct {
	Name        string           `json:"name"`
	Comment     *string          `json:"comment"`
	Columns     []columnSpec     `json:"columns"`
	Constraints []constraintSpec `json:"constraints"`

	physical string
}

type constraintSpec struct {
	Name              string           `json:"name"`
	Type              string           `json:"type"`
	Columns           []string         `json:"columns"`
	Check             string           `json:"check"`
	NoInherit         bool             `json:"no_inherit"`
	NullsNotDistinct  bool             `json:"nulls_not_distinct"`
	Deferrable        bool             `json:"deferrable"`
	InitiallyDeferred bool             `json:"initially_deferred"`
	References        *tableFK         `json:"references"`
	IndexParameters   *indexParameters `json:"index_parameters"`
	Exclude           *struct {
		IndexMethod string `json:"index_method"`
		Elements    string `json:"elements"`
		Predicate   string `json:"predicate"`
	} `json:"exclude"`
}

func (o *createTable) kind() string { return "create_table" }

func (o *createTable) validate(b *build) error {
	if err := checkName("a table", o.Name); err != nil {
		return err
	}
	if b.now.Tables[o.Name] != nil {
		return errs.E(errs.Invalid, "table %q exists already", o.Name)
	}
	if len(o.Columns) == 0 || len(o.Columns) > maxColumns {
		return errs.E(errs.Invalid, "table %q has %d columns, expected 1 to %d", o.Name, len(o.Columns), maxColumns)
	}
	seen, keys := map[string]bool{}, 0
	for _, c := range o.Columns {
		if err := c.check(); err != nil {
			return err
		}
		if seen[c.Name] {
			return errs.E(errs.Invalid, "table %q has two columns %q", o.Name, c.Name)
		}
		seen[c.Name] = true
		if c.PK && keys == 0 {
			keys = 1
		}
	}
	for _, k := range o.Constraints {
		if err := k.validate(seen); err != nil {
			return err
		}
		if k.Type == "primary_key" {
			keys++
		}
	}
	if keys > 1 {
		return errs.E(errs.Invalid, "table %q has more than one primary key", o.Name).Next("Declare it in columns or in constraints, not in both.")
	}
	return nil
}

func (k constraintSpec) validate(columns map[string]bool) error {
	if err := checkName("a constraint", k.Name); err != nil {
		return err
	}
	for _, c := range k.Columns {
		if !columns[c] {
			return errs.E(errs.Invalid, "constraint %q is on column %q, which the table does not have", k.Name, c)
		}
	}
	if err := k.IndexParameters.check(); err != nil {
		return err
	}
	needs := func(ok bool, what string) error {
		if ok {
			return nil
		}
		return errs.E(errs.Invalid, "constraint %q of type %s needs %s", k.Name, k.Type, what)
	}
	switch k.Type {
	case "unique", "primary_key":
		return needs(len(k.Columns) > 0, "columns")
	case "check":
		return checkExpr("check constraint "+k.Name, k.Check)
	case "foreign_key":
		return needs(len(k.Columns) > 0 && k.References != nil, "columns and references")
	case "exclude":
		if err := needs(k.Exclude != nil, "exclude"); err != nil {
			return err
		}
		if k.Exclude.Predicate != "" {
			if err := checkExpr("predicate of constraint "+k.Name, k.Exclude.Predicate); err != nil {
				return err
			}
		}
		return checkExpr("elements of constraint "+k.Name, k.Exclude.Elements)
	}
	return errs.E(errs.Invalid, "constraint %q has the type %q, expected unique, primary_key, check, foreign_key or exclude", k.Name, k.Type)
}

func (o *createTable) start(b *build) error {
	o.physical = o.Name
	if b.old.physical(o.Name) != nil {
		o.physical = ownName("new", o.Name)
	}
	t := &Table{Name: o.Name, Physical: o.physical, created: true}
	if o.Comment != nil {
		t.Comment = *o.Comment
	}
	var lines, keys, comments []string
	for _, c := range o.Columns {
		line := c.text(c.Name)
		if !c.Nullable && c.Generated == nil {
			line += " NOT NULL"
		}
		if c.Unique {
			line += " UNIQUE"
		}
		if c.PK {
			keys = append(keys, c.Name)
		}
		lines = append(lines, line)
		t.Columns = append(t.Columns, c.model(c.Name, c.Name))
		if c.Comment != nil {
			comments = append(comments, "COMMENT ON COLUMN "+qualified(b.now.Schema, o.physical)+"."+Quote(c.Name)+" IS "+Literal(*c.Comment))
		}
	}
	if len(keys) > 0 {
		lines = append(lines, "PRIMARY KEY ("+quoteAll(keys)+")")
	}
	b.now.Tables[o.Name] = t // a foreign key may refer to the table itself
	locks, texts, err := o.constraints(b, t)
	if err != nil {
		return err
	}
	lines = append(lines, texts...)
	sql := []string{"CREATE TABLE " + qualified(b.now.Schema, o.physical) + " (\n  " + strings.Join(lines, ",\n  ") + "\n)"}
	if o.Comment != nil {
		sql = append(sql, "COMMENT ON TABLE "+qualified(b.now.Schema, o.physical)+" IS "+Literal(*o.Comment))
	}
	b.creates = append(b.creates, Step{Kind: StepQuick, Title: "create table " + o.physical, Locks: locks, SQL: append(sql, comments...), Takes: quick})
	return nil
}

// constraints are the lines for the table's constraints, and the locks that its foreign keys take on other tables.
func (o *createTable) constraints(b *build, t *Table) (locks []Lock, lines []string, err error) {
	refers := map[string]bool{}
	for _, c := range o.Columns {
		if c.Check != nil {
			lines = append(lines, "CONSTRAINT "+Quote(c.Check.Name)+" "+checkText(c.Check.Constraint, c.Check.NoInherit))
			t.Constraints = append(t.Constraints, &Constraint{Name: c.Check.Name, Kind: "c", Columns: []string{c.Name}})
		}
		if f := c.References; f != nil {
			if err := checkName("a foreign key", f.Name); err != nil {
				return nil, nil, err
			}
			def, to, err := b.foreignKey([]string{c.Name}, f.table())
			if err != nil {
				return nil, nil, err
			}
			refers[to] = true
			lines = append(lines, "CONSTRAINT "+Quote(f.Name)+" "+def+f.suffix())
			t.Constraints = append(t.Constraints, &Constraint{Name: f.Name, Kind: "f", Columns: []string{c.Name}, Refers: to})
		}
	}
	for _, k := range o.Constraints {
		text, to, err := k.text(b)
		if err != nil {
			return nil, nil, err
		}
		refers[to] = true
		lines = append(lines, "CONSTRAINT "+Quote(k.Name)+" "+text)
		t.Constraints = append(t.Constraints, &Constraint{Name: k.Name, Kind: map[string]string{"unique": "u", "primary_key": "p", "check": "c", "foreign_key": "f", "exclude": "x"}[k.Type], Columns: k.Columns, Refers: to})
	}
	delete(refers, "")
	for r := range refers {
		locks = append(locks, Lock{r, shareRow})
		b.undoing[r] = true
	}
	slices.SortFunc(locks, func(a, c Lock) int { return strings.Compare(a.Table, c.Table) })
	return locks, lines, nil
}

func (k constraintSpec) text(b *build) (text, refers string, err error) {
	same := func(s string) string { return s }
	switch k.Type {
	case "unique":
		text = "UNIQUE "
		if k.NullsNotDistinct {
			text += "NULLS NOT DISTINCT "
		}
		text += "(" + quoteAll(k.Columns) + ")" + k.IndexParameters.text(same)
	case "primary_key":
		text = "PRIMARY KEY (" + quoteAll(k.Columns) + ")" + k.IndexParameters.text(same)
	case "check":
		return checkText(k.Check, k.NoInherit), "", nil
	case "foreign_key":
		if text, refers, err = b.foreignKey(k.Columns, *k.References); err != nil {
			return "", "", err
		}
	case "exclude":
		text = "EXCLUDE "
		if k.Exclude.IndexMethod != "" {
			text += "USING " + Quote(k.Exclude.IndexMethod) + " "
		}
		text += "(" + k.Exclude.Elements + "\n)" + k.IndexParameters.text(same)
		if k.Exclude.Predicate != "" {
			text += " WHERE (" + k.Exclude.Predicate + "\n)"
		}
	}
	switch {
	case k.InitiallyDeferred:
		text += " DEFERRABLE INITIALLY DEFERRED"
	case k.Deferrable:
		text += " DEFERRABLE"
	}
	return text, refers, nil
}

func (o *createTable) complete(b *build) {
	if o.physical != o.Name {
		b.contract = append(b.contract, b.on(o.physical)+"RENAME TO "+Quote(o.Name))
	}
}

func (o *createTable) rollback(b *build) {
	b.undo = append(b.undo, "DROP TABLE IF EXISTS "+qualified(b.old.Schema, o.physical))
}
