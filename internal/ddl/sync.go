package ddl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// field is a column as an expression of the file names it.
type field struct {
	name     string
	physical string
	typ      string
	there    bool // before the migration
}

// assign is a column that is computed when the other version writes.
type assign struct {
	what   string // for messages
	on     string // physical table
	target string // physical
	expr   string
	table  string // as the expression names it
	fields []field
	reads  []string // physical columns, whose change makes it be computed again
}

// sync is what keeps the two versions of a table the same.
type sync struct {
	schema, table string // physical
	ups, downs    []*assign
	newOnly       []*Column // columns that only the new version writes
	oldOnly       []*Column
}

// syncOf gives the sync of a table that is there before the migration.
func (b *build) syncOf(t *Table) (*sync, error) {
	if t.Partitioned {
		return nil, errs.E(errs.Invalid, "table %q is partitioned or has children: changes that need rows to be filled are not done there", t.Name).Next("Use an sql operation, with the change written out.")
	}
	s := b.syncs[t.Physical]
	if s == nil {
		s = &sync{schema: b.old.Schema, table: t.Physical}
		b.syncs[t.Physical] = s
	}
	return s, nil
}

// fieldsOf is what an expression about a table can name: the columns as they are called now, and what the old version
// still has besides.
func (b *build) fieldsOf(t *Table) []field {
	var all []field
	for _, c := range t.Columns {
		all = append(all, field{name: c.Name, physical: c.Physical, typ: c.Type, there: !c.created})
	}
	for _, c := range b.retired[t.Physical] {
		if !slices.ContainsFunc(all, func(f field) bool { return f.name == c.Name }) {
			all = append(all, field{name: c.Name, physical: c.Physical, typ: c.Type, there: true})
		}
	}
	return all
}

// up has a column of the new version computed when the old one writes.
func (b *build) up(t *Table, target *Column, what, expr string, fields []field) error {
	s, err := b.syncOf(t)
	if err != nil {
		return err
	}
	a := &assign{what: what, on: t.Physical, target: target.Physical, expr: expr, table: t.Name, fields: fields}
	target.derived = true
	s.ups = append(s.ups, a)
	return b.check(a)
}

// down has a column of the old version computed when the new one writes. Its expression may name what later operations bring.
func (b *build) down(t *Table, target *Column, what, expr string) error {
	s, err := b.syncOf(t)
	if err != nil {
		return err
	}
	s.downs = append(s.downs, &assign{what: what, on: t.Physical, target: target.Physical, expr: expr, table: t.Name, fields: b.fieldsOf(t)})
	return nil
}

// check has the database look at an expression.
func (b *build) check(a *assign) error {
	if err := checkExpr(a.what, a.expr); err != nil {
		return err
	}
	b.checks = append(b.checks, Check{What: a.what, SQL: a.query(b.old.Schema)})
	return nil
}

// query evaluates the expression for no row. Columns that are not there yet are given by their types.
func (a *assign) query(schema string) string {
	var cols []string
	for _, f := range a.fields {
		if f.there {
			cols = append(cols, "_rf_t."+Quote(f.physical)+" AS "+Quote(f.name))
		} else {
			cols = append(cols, "CAST(NULL AS "+f.typ+") AS "+Quote(f.name))
		}
	}
	return "SELECT " + scalar(a.expr) + " FROM (SELECT " + strings.Join(cols, ", ") + " FROM " + qualified(schema, a.on) + " AS _rf_t) AS " + Quote(a.table) + " LIMIT 0"
}

// eval writes the expression with its columns taken from source.
func (a *assign) eval(source func(physical string) string) string {
	var cols []string
	names := mentions(a.expr, a.table, a.names())
	for _, f := range a.fields {
		if slices.Contains(names, f.name) {
			cols = append(cols, source(f.physical)+" AS "+Quote(f.name))
		}
	}
	if len(cols) == 0 {
		return scalar(a.expr)
	}
	return "(SELECT " + scalar(a.expr) + " FROM (SELECT " + strings.Join(cols, ", ") + ") AS " + Quote(a.table) + ")"
}

func (a *assign) names() []string {
	all := make([]string, len(a.fields))
	for i, f := range a.fields {
		all[i] = f.name
	}
	return all
}

// settle works out which columns each expression reads, through the ones that are computed themselves.
func (s *sync) settle() {
	for _, list := range [][]*assign{s.ups, s.downs} {
		computed := map[string]*assign{}
		for _, a := range list {
			reads := map[string]bool{}
			names := mentions(a.expr, a.table, a.names())
			for _, f := range a.fields {
				if !slices.Contains(names, f.name) {
					continue
				}
				if from := computed[f.physical]; from != nil {
					for _, r := range from.reads {
						reads[r] = true
					}
				} else if f.physical != a.target {
					reads[f.physical] = true
				}
			}
			a.reads = slices.Sorted(maps.Keys(reads))
			computed[a.target] = a
		}
	}
}

// sync writes triggers and fills. The triggers go into the transactions that prepare their tables.
//
// While rows are filled, every write by the old version, alone as it is then, computes what up says: a row that was not filled yet
// may move to where the fill has been. Before the new version is seen, the functions are replaced by ones that compute only what
// a write bears upon; that step waits for writers, so that no statement is left that began with the first.
func (b *build) sync() (triggers []*sync, fills, settles []Step, err error) {
	for _, name := range slices.Sorted(maps.Keys(b.syncs)) {
		s := b.syncs[name]
		if len(s.ups) == 0 && len(s.downs) == 0 {
			continue
		}
		t := b.now.physical(name)
		if t == nil {
			continue // dropped by the same migration
		}
		s.oldOnly = b.retired[name]
		for _, c := range t.Columns {
			if c.created {
				s.newOnly = append(s.newOnly, c)
			}
		}
		for _, a := range s.downs { // what later operations brought is there to be named
			for _, f := range b.fieldsOf(t) {
				if !slices.Contains(a.names(), f.name) {
					a.fields = append(a.fields, f)
				}
			}
			if err := b.check(a); err != nil {
				return nil, nil, nil, err
			}
		}
		s.settle()
		b.alter(t, s.create(b)...)
		triggers = append(triggers, s)
		if len(s.ups) > 0 {
			fills = append(fills, Step{Kind: StepFill, Title: "fill table " + name, Name: name, SQL: []string{s.fill()}, Rows: t.Rows,
				Locks: []Lock{{name, rowExclusive}}, Takes: duration(t.Rows, fillRows)})
			settles = append(settles, Step{Kind: StepQuick, Title: "have the trigger of table " + name + " keep what the other version wrote", Locks: []Lock{{name, shareRow}}, Takes: quick,
				SQL: []string{s.define(b, true)}})
		}
	}
	return triggers, fills, settles, nil
}

// fill sets what is computed. It is about the rows that a condition picks, which is added to it.
func (s *sync) fill() string {
	computed := map[string]string{}
	source := func(physical string) string {
		if e, ok := computed[physical]; ok {
			return e
		}
		return "_rf_t." + Quote(physical)
	}
	var sets []string
	for _, a := range s.ups {
		e := a.eval(source)
		computed[a.target] = e
		sets = append(sets, Quote(a.target)+" = "+e)
	}
	return "UPDATE ONLY " + qualified(s.schema, s.table) + " AS _rf_t SET " + strings.Join(sets, ", ")
}

func (s *sync) function() string { return qualified(StateSchema, ownName("sync", s.schema, s.table)) }

func (s *sync) drop() []string {
	on := " ON " + qualified(s.schema, s.table)
	return []string{
		"DROP TRIGGER IF EXISTS " + Quote(TriggerName+"_new") + on,
		"DROP TRIGGER IF EXISTS " + Quote(TriggerName+"_old") + on,
		"DROP FUNCTION IF EXISTS " + s.function() + "()",
	}
}

// create writes the function and two triggers that call it: one when the session's search_path finds the new version first,
// one when not. That is decided by the triggers, in the session's own search_path; the function has one of its own, in which
// the file's expressions mean the same for everyone.
func (s *sync) create(b *build) []string {
	position := func(schema string) string {
		return "array_position(current_schemas(false), " + Literal(schema) + "::name)"
	}
	older := position(s.schema)
	if b.old.Previous != "" {
		older = "least(" + older + ", " + position(b.old.Previous) + ")"
	}
	isNew := "coalesce(" + position(b.version) + " < coalesce(" + older + ", 2147483647), false)"
	trigger := func(version, when string) string {
		return "CREATE TRIGGER " + Quote(TriggerName+"_"+version) + " BEFORE INSERT OR UPDATE ON " + qualified(s.schema, s.table) +
			" FOR EACH ROW WHEN (current_setting('ringfence.fill', true) IS DISTINCT FROM 'on' AND " + when + ") EXECUTE FUNCTION " + s.function() + "(" + Literal(version) + ")"
	}
	return append(s.drop(), s.define(b, len(s.ups) == 0), trigger("new", isNew), trigger("old", "NOT "+isNew))
}

// define makes the function, or replaces it.
func (s *sync) define(b *build, filled bool) string {
	path := []string{Quote(s.schema)}
	for _, p := range b.old.Path {
		path = append(path, Quote(p))
	}
	return "CREATE OR REPLACE FUNCTION " + s.function() + "() RETURNS trigger LANGUAGE plpgsql SET search_path = " + strings.Join(path, ", ") + " AS " + dollars(s.body(filled))
}

// body is the function. Who wrote is told by what only one version has; when that says nothing, or both, by search_path.
func (s *sync) body(filled bool) string {
	sides := []struct {
		version string
		only    []*Column
	}{{"new", s.newOnly}, {"old", s.oldOnly}}
	var w strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	line("DECLARE")
	line("  _rf_new boolean := TG_ARGV[0] = 'new';")
	line("  _rf_by_new boolean := false;")
	line("  _rf_by_old boolean := false;")
	line("  _rf_go boolean;")
	line("BEGIN")
	line("  IF TG_OP = 'UPDATE' THEN")
	for _, side := range sides {
		if len(side.only) > 0 {
			line("    _rf_by_%s := %s;", side.version, changed(physicals(side.only)))
		}
	}
	line("  ELSE")
	for _, side := range sides {
		given := slices.DeleteFunc(slices.Clone(side.only), func(c *Column) bool { return c.Default != "" || c.Generated || c.Identity })
		if len(given) > 0 {
			line("    _rf_by_%s := num_nonnulls(%s) > 0;", side.version, row("NEW", physicals(given)))
		}
	}
	line("  END IF;")
	line("  IF _rf_by_new <> _rf_by_old THEN _rf_new := _rf_by_new; END IF;")
	line("  IF _rf_new THEN")
	line("    NULL;")
	s.assigns(line, s.downs, true)
	line("  ELSE")
	line("    NULL;")
	s.assigns(line, s.ups, filled)
	line("  END IF;")
	line("  RETURN NEW;")
	line("END")
	return w.String()
}

func (s *sync) assigns(line func(string, ...any), list []*assign, filled bool) {
	for _, a := range list {
		line("    IF TG_OP = 'INSERT' OR %t THEN _rf_go := true;", !filled)
		if len(a.reads) > 0 {
			line("    ELSE _rf_go := %s AND NOT %s;", changed(a.reads), changed([]string{a.target}))
		} else {
			line("    ELSE _rf_go := false;")
		}
		line("    END IF;")
		line("    IF _rf_go THEN")
		line("      NEW.%s := %s;", Quote(a.target), a.eval(func(p string) string { return "NEW." + Quote(p) }))
		line("    END IF;")
	}
}

func physicals(cols []*Column) []string {
	all := make([]string, len(cols))
	for i, c := range cols {
		all[i] = c.Physical
	}
	return all
}

// changed compares columns before and after, by their images: not every type can be compared otherwise.
func changed(columns []string) string {
	return "record_image_ne(ROW(" + row("NEW", columns) + "), ROW(" + row("OLD", columns) + "))"
}

func row(of string, columns []string) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = of + "." + Quote(c)
	}
	return strings.Join(all, ", ")
}

// dollars quotes a function's body.
func dollars(body string) string {
	tag := "$rf$"
	for i := 0; strings.Contains(body, tag); i++ {
		tag = fmt.Sprintf("$rf%d$", i)
	}
	return tag + "\n" + body + tag
}
