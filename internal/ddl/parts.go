package ddl

import (
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// The parts that several operations have in common, as pgroll's files write them.

type columnSpec struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Nullable   bool       `json:"nullable"`
	PK         bool       `json:"pk"`
	Unique     bool       `json:"unique"`
	Default    *string    `json:"default"`
	Comment    *string    `json:"comment"`
	Check      *checkSpec `json:"check"`
	References *fkSpec    `json:"references"`
	Generated  *generated `json:"generated"`
}

type generated struct {
	Expression string `json:"expression"`
	Identity   *struct {
		Values  string `json:"user_specified_values"`
		Options string `json:"sequence_options"`
	} `json:"identity"`
}

type checkSpec struct {
	Name       string `json:"name"`
	Constraint string `json:"constraint"`
	NoInherit  bool   `json:"no_inherit"`
}

type uniqueSpec struct {
	Name string `json:"name"`
}

type fkActions struct {
	OnDelete  string `json:"on_delete"`
	OnUpdate  string `json:"on_update"`
	MatchType string `json:"match_type"`
}

type fkSpec struct {
	Name   string `json:"name"`
	Table  string `json:"table"`
	Column string `json:"column"`
	fkActions
	Deferrable        bool `json:"deferrable"`
	InitiallyDeferred bool `json:"initially_deferred"`
}

type tableFK struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
	fkActions
	OnDeleteSet []string `json:"on_delete_set_columns"`
}

type indexParameters struct {
	Include    []string `json:"include_columns"`
	Storage    string   `json:"storage_parameters"`
	Tablespace string   `json:"tablespace"`
}

func (p *indexParameters) text(b func(string) string) string {
	if p == nil {
		return ""
	}
	s := ""
	if len(p.Include) > 0 {
		names := make([]string, len(p.Include))
		for i, c := range p.Include {
			names[i] = b(c)
		}
		s += " INCLUDE (" + quoteAll(names) + ")"
	}
	if p.Storage != "" {
		s += " WITH (" + p.Storage + ")"
	}
	if p.Tablespace != "" {
		s += " TABLESPACE " + Quote(p.Tablespace)
	}
	return s
}

func (p *indexParameters) check() error {
	if p == nil || p.Storage == "" {
		return nil
	}
	return checkExpr("storage_parameters", p.Storage)
}

func (c columnSpec) check() error {
	if err := checkName("a column", c.Name); err != nil {
		return err
	}
	if err := checkType(c.Type); err != nil {
		return err
	}
	if c.Default != nil {
		if err := checkExpr("default of column "+c.Name, *c.Default); err != nil {
			return err
		}
	}
	if err := c.Check.check(); err != nil {
		return err
	}
	if g := c.Generated; g != nil {
		if (g.Expression == "") == (g.Identity == nil) {
			return errs.E(errs.Invalid, "column %q: generated needs either expression or identity", c.Name)
		}
		if g.Expression != "" {
			return checkExpr("generated expression of column "+c.Name, g.Expression)
		}
		if !slices.Contains([]string{"", "ALWAYS", "BY DEFAULT"}, g.Identity.Values) {
			return errs.E(errs.Invalid, "column %q: user_specified_values is %q, expected ALWAYS or BY DEFAULT", c.Name, g.Identity.Values)
		}
		if g.Identity.Options != "" {
			return checkExpr("sequence_options of column "+c.Name, g.Identity.Options)
		}
	}
	return nil
}

// text declares the column; its constraints are declared beside it.
func (c columnSpec) text(name string) string {
	s := Quote(name) + " " + c.Type
	if g := c.Generated; g != nil && g.Identity != nil {
		values := g.Identity.Values
		if values == "" {
			values = "ALWAYS"
		}
		s += " GENERATED " + values + " AS IDENTITY"
		if g.Identity.Options != "" {
			s += " (" + g.Identity.Options + ")"
		}
	} else if g != nil {
		s += " GENERATED ALWAYS AS (" + g.Expression + "\n) STORED"
	}
	if c.Default != nil {
		s += " DEFAULT " + *c.Default
	}
	return s
}

// serial reports whether the type brings its own default.
func (c columnSpec) serial() bool {
	return slices.Contains([]string{"smallserial", "serial", "bigserial", "serial2", "serial4", "serial8"}, strings.ToLower(c.Type))
}

func (c columnSpec) model(name, physical string) *Column {
	col := &Column{Name: name, Physical: physical, Type: c.Type, NotNull: !c.Nullable || c.PK, created: true}
	if c.Default != nil {
		col.Default = *c.Default
	}
	if c.serial() {
		col.Type = map[byte]string{'s': "smallint", 'b': "bigint"}[strings.ToLower(c.Type)[0]]
		if strings.EqualFold(c.Type, "serial") || strings.EqualFold(c.Type, "serial4") {
			col.Type = "integer"
		}
		if strings.EqualFold(c.Type, "serial8") {
			col.Type = "bigint"
		}
		col.Default = "nextval()" // that there is one
	}
	if c.Comment != nil {
		col.Comment = *c.Comment
	}
	col.Generated, col.Identity = c.Generated != nil && c.Generated.Identity == nil, c.Generated != nil && c.Generated.Identity != nil
	return col
}

func (c *checkSpec) check() error {
	if c == nil {
		return nil
	}
	if err := checkName("a check constraint", c.Name); err != nil {
		return err
	}
	return checkExpr("check constraint "+c.Name, c.Constraint)
}

func checkText(expr string, noInherit bool) string {
	s := "CHECK (" + expr + "\n)"
	if noInherit {
		s += " NO INHERIT"
	}
	return s
}

// checkType refuses what is not one type.
func checkType(t string) error {
	if err := checkExpr("the type", t); err != nil {
		return err
	}
	all, _ := tokens(t)
	for i, k := range all {
		bad := k.kind == text || k.kind == mark && !k.is("(", ")", ",", ".", "[", "]") ||
			i > 0 && k.is("default", "check", "references", "primary", "unique", "constraint", "generated", "collate", "not", "null", "using")
		if bad {
			return errs.E(errs.Invalid, "the type %q: expected the name of a type, such as numeric(10,2)", t)
		}
	}
	return nil
}

func (a fkActions) check() error {
	actions := []string{"", "NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"}
	if !slices.Contains(actions, a.OnDelete) || !slices.Contains(actions, a.OnUpdate) {
		return errs.E(errs.Invalid, "on_delete %q, on_update %q: expected NO ACTION, RESTRICT, CASCADE, SET NULL or SET DEFAULT", a.OnDelete, a.OnUpdate)
	}
	if !slices.Contains([]string{"", "SIMPLE", "FULL"}, a.MatchType) {
		return errs.E(errs.Invalid, "match_type %q: expected SIMPLE or FULL", a.MatchType)
	}
	return nil
}

func (a fkActions) text() string {
	s := ""
	if a.MatchType != "" {
		s += " MATCH " + a.MatchType
	}
	if a.OnDelete != "" {
		s += " ON DELETE " + a.OnDelete
	}
	return s
}

// referred finds the columns that a foreign key refers to.
func (b *build) referred(table string, columns []string) (*Table, []string, error) {
	t := b.now.Tables[table]
	if t == nil {
		return nil, nil, errs.E(errs.Invalid, "the foreign key refers to table %q, which does not exist in schema %q", table, b.now.Schema)
	}
	var physical []string
	for _, name := range columns {
		c := t.column(name)
		if c == nil {
			return nil, nil, errs.E(errs.Invalid, "the foreign key refers to column %q, which table %q does not have", name, table)
		}
		if b.isShadow(t, c) {
			return nil, nil, errs.E(errs.Invalid, "the foreign key refers to column %q of table %q, which changes in the same migration", name, table).Next("Make two migrations of it.")
		}
		physical = append(physical, c.Physical)
	}
	return t, physical, nil
}

// foreignKey writes the constraint behind its name. columns are physical.
func (b *build) foreignKey(columns []string, f tableFK) (definition, refers string, err error) {
	if err := f.check(); err != nil {
		return "", "", err
	}
	t, to, err := b.referred(f.Table, f.Columns)
	if err != nil {
		return "", "", err
	}
	if len(to) != len(columns) || len(to) == 0 {
		return "", "", errs.E(errs.Invalid, "the foreign key has %d columns and refers to %d, expected as many", len(columns), len(to))
	}
	s := "FOREIGN KEY (" + quoteAll(columns) + ") REFERENCES " + qualified(b.now.Schema, t.Physical) + " (" + quoteAll(to) + ")" + f.text()
	if len(f.OnDeleteSet) > 0 {
		if f.OnDelete != "SET NULL" && f.OnDelete != "SET DEFAULT" {
			return "", "", errs.E(errs.Invalid, "on_delete_set_columns needs on_delete to be SET NULL or SET DEFAULT")
		}
		s += " (" + quoteAll(f.OnDeleteSet) + ")"
	}
	if f.OnUpdate != "" {
		s += " ON UPDATE " + f.OnUpdate
	}
	if !t.created {
		refers = t.Physical
	}
	return s, refers, nil
}

func (f *fkSpec) table() tableFK {
	return tableFK{Table: f.Table, Columns: []string{f.Column}, fkActions: f.fkActions}
}

func (f *fkSpec) suffix() string {
	switch {
	case f.InitiallyDeferred:
		return " DEFERRABLE INITIALLY DEFERRED"
	case f.Deferrable:
		return " DEFERRABLE"
	}
	return ""
}
