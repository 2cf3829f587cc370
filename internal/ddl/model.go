package ddl

import (
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Limits of what is worked on.
const (
	maxTables  = 10_000
	maxColumns = 1600 // PostgreSQL's own
)

// Catalog is what a schema of a database holds, as far as it matters. While a plan is made it is what the new version will hold.
type Catalog struct {
	Schema   string            `json:"schema"`
	Previous string            `json:"previous,omitempty"` // the live version's schema of views; empty when programs use Schema itself
	Server   int               `json:"server"`             // server_version_num
	Path     []string          `json:"path,omitempty"`     // other schemas in which the migrating user's expressions find functions and types
	Tables   map[string]*Table `json:"tables"`
}

// Table is a table. Name is what the new version calls it, Physical what it is called now.
type Table struct {
	Name        string        `json:"name"`
	Physical    string        `json:"physical"`
	Comment     string        `json:"comment,omitempty"`
	Columns     []*Column     `json:"columns"`
	Constraints []*Constraint `json:"constraints,omitempty"`
	Indexes     []*Index      `json:"indexes,omitempty"`
	Incoming    []Reference   `json:"incoming,omitempty"` // foreign keys of other tables that refer to this one
	Rows        int64         `json:"rows"`
	Bytes       int64         `json:"bytes"`
	Partitioned bool          `json:"partitioned,omitempty"` // or with children by inheritance
	created     bool          // by this migration
}

// Column is a column of a table.
type Column struct {
	Name       string   `json:"name"`
	Physical   string   `json:"physical"`
	Type       string   `json:"type"`
	Collation  string   `json:"collation,omitempty"` // quoted; empty for the type's own
	NotNull    bool     `json:"notNull,omitempty"`
	Default    string   `json:"default,omitempty"` // SQL
	Comment    string   `json:"comment,omitempty"`
	Generated  bool     `json:"generated,omitempty"`
	Identity   bool     `json:"identity,omitempty"`
	Sequence   string   `json:"sequence,omitempty"`   // owned by the column; quoted
	Dependents []string `json:"dependents,omitempty"` // what stands in the way of dropping it: views, policies, triggers, generated columns
	viewOnly   *string  // the default that the new version's view gives it
	created    bool     // by this migration
	derived    bool     // computed by an up expression
}

// Constraint is a constraint of a table; columns by their physical names.
type Constraint struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"` // p, u, f, c, x as in pg_constraint
	Columns    []string `json:"columns"`
	Definition string   `json:"definition"`
	Index      string   `json:"index,omitempty"`  // definition of the index of a unique or primary key
	Refers     string   `json:"refers,omitempty"` // physical table of a foreign key, empty when it is in another schema
}

// Index is an index of a table that belongs to no constraint.
type Index struct {
	Name       string   `json:"name"`
	Columns    []string `json:"columns"`
	Definition string   `json:"definition"`
}

// Reference is a foreign key seen from the table that it refers to.
type Reference struct {
	Name    string   `json:"name"`
	Table   string   `json:"table"`
	Columns []string `json:"columns"` // the ones that are referred to
}

func (c *Catalog) clone() *Catalog {
	n := *c
	n.Tables = make(map[string]*Table, len(c.Tables))
	for name, t := range c.Tables {
		n.Tables[name] = t.clone()
	}
	return &n
}

func (t *Table) clone() *Table {
	n := *t
	n.Columns = make([]*Column, len(t.Columns))
	for i, c := range t.Columns {
		d := *c
		n.Columns[i] = &d
	}
	n.Constraints, n.Indexes, n.Incoming = slices.Clone(t.Constraints), slices.Clone(t.Indexes), slices.Clone(t.Incoming)
	return &n
}

// sorted are the tables by name.
func (c *Catalog) sorted() []*Table {
	names := slices.Sorted(maps.Keys(c.Tables))
	all := make([]*Table, len(names))
	for i, n := range names {
		all[i] = c.Tables[n]
	}
	return all
}

// physical finds a table by what it is called now.
func (c *Catalog) physical(name string) *Table {
	for _, t := range c.Tables {
		if t.Physical == name {
			return t
		}
	}
	return nil
}

func (c *Catalog) table(name string) (*Table, error) {
	if t := c.Tables[name]; t != nil {
		return t, nil
	}
	return nil, errs.E(errs.Invalid, "table %q does not exist in schema %q", name, c.Schema)
}

func (c *Catalog) column(table, column string) (*Table, *Column, error) {
	t, err := c.table(table)
	if err != nil {
		return nil, nil, err
	}
	if col := t.column(column); col != nil {
		return t, col, nil
	}
	return nil, nil, errs.E(errs.Invalid, "table %q has no column %q", table, column)
}

func (t *Table) column(name string) *Column {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func (t *Table) remove(name string) {
	t.Columns = slices.DeleteFunc(t.Columns, func(c *Column) bool { return c.Name == name })
}

func (t *Table) constraint(name string) *Constraint {
	for _, c := range t.Constraints {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// named reports whether the table has a constraint or an index of that name.
func (t *Table) named(name string) bool {
	return t.constraint(name) != nil || slices.ContainsFunc(t.Indexes, func(i *Index) bool { return i.Name == name })
}

// Rates by which the time of long steps is estimated: what a disk of no great speed does while it serves others.
const (
	fillRows  = 10_000    // rows a second
	indexRate = 20 << 20  // bytes of the table a second
	scanRate  = 100 << 20 // bytes a second, to check a constraint
)

func duration(n, rate int64) time.Duration {
	return time.Duration(float64(n) / float64(rate) * float64(time.Second)).Round(time.Millisecond)
}
