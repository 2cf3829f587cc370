package ddl

import (
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// createIndex builds an index, concurrently, which serves both versions.
type createIndex struct {
	Name      string       `json:"name"`
	Table     string       `json:"table"`
	Columns   []indexField `json:"columns"`
	Method    string       `json:"method"`
	Predicate string       `json:"predicate"`
	Storage   string       `json:"storage_parameters"`
	Unique    bool         `json:"unique"`

	table *Table
}

type indexField struct {
	Column  string `json:"column"`
	Collate string `json:"collate"`
	Nulls   string `json:"nulls"`
	Sort    string `json:"sort"`
	Opclass *struct {
		Name   string   `json:"name"`
		Params []string `json:"params"`
	} `json:"opclass"`
}

func (o *createIndex) kind() string { return "create_index" }

func (o *createIndex) validate(b *build) error {
	t, err := b.now.table(o.Table)
	if err != nil {
		return err
	}
	if err := checkName("an index", o.Name); err != nil {
		return err
	}
	for _, other := range b.now.Tables {
		if other.named(o.Name) {
			return errs.E(errs.Invalid, "table %q already has %q", other.Name, o.Name)
		}
	}
	if len(o.Columns) == 0 {
		return errs.E(errs.Invalid, "index %q has no columns", o.Name)
	}
	switch o.Method {
	case "", "btree", "hash", "gist", "spgist", "gin", "brin":
	default:
		return errs.E(errs.Invalid, "index %q: method %q, expected btree, hash, gist, spgist, gin or brin", o.Name, o.Method)
	}
	for _, f := range o.Columns {
		if t.column(f.Column) == nil {
			return errs.E(errs.Invalid, "table %q has no column %q", o.Table, f.Column)
		}
		if f.Sort != "" && f.Sort != "ASC" && f.Sort != "DESC" || f.Nulls != "" && f.Nulls != "FIRST" && f.Nulls != "LAST" {
			return errs.E(errs.Invalid, "index %q: sort %q, nulls %q, expected ASC or DESC, and FIRST or LAST", o.Name, f.Sort, f.Nulls)
		}
		if f.Opclass != nil {
			for _, p := range f.Opclass.Params {
				if err := checkExpr("opclass parameter", p); err != nil {
					return err
				}
			}
		}
	}
	if o.Predicate != "" {
		if err := checkExpr("the predicate", o.Predicate); err != nil {
			return err
		}
	}
	if o.Storage != "" {
		return checkExpr("storage_parameters", o.Storage)
	}
	return nil
}

func (f indexField) text(t *Table) string {
	s := Quote(t.column(f.Column).Physical)
	if f.Collate != "" {
		s += " COLLATE " + dotted(f.Collate)
	}
	if f.Opclass != nil {
		s += " " + dotted(f.Opclass.Name)
		if len(f.Opclass.Params) > 0 {
			s += " (" + strings.Join(f.Opclass.Params, ", ") + ")"
		}
	}
	if f.Sort != "" {
		s += " " + f.Sort
	}
	if f.Nulls != "" {
		s += " NULLS " + f.Nulls
	}
	return s
}

// dotted quotes a name that may have a schema before it.
func dotted(name string) string {
	if all, _ := tokens(name); len(all) == 3 && all[1].is(".") {
		return Quote(all[0].s) + "." + Quote(all[2].s)
	}
	return Quote(strings.Trim(name, `"`))
}

func (o *createIndex) start(b *build) error {
	t := b.now.Tables[o.Table]
	o.table = t
	def := "ON " + qualified(b.now.Schema, t.Physical)
	if o.Method != "" {
		def += " USING " + o.Method
	}
	fields, columns := make([]string, len(o.Columns)), make([]string, len(o.Columns))
	for i, f := range o.Columns {
		fields[i], columns[i] = f.text(t), t.column(f.Column).Physical
	}
	def += " (" + strings.Join(fields, ", ") + ")"
	if o.Storage != "" {
		def += " WITH (" + o.Storage + ")"
	}
	if o.Predicate != "" {
		def += " WHERE (" + physicalOf(t, o.Predicate) + "\n)"
	}
	if !t.created {
		b.undoing[t.Physical] = true
		b.use(t, columns...)
	}
	return b.index(t, o.Name, o.Unique, def)
}

func (o *createIndex) complete(*build) {}

func (o *createIndex) rollback(b *build) {
	b.undo = append(b.undo, "DROP INDEX IF EXISTS "+qualified(b.old.Schema, o.Name))
}
