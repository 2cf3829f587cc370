package ddl

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Plan is all that a migration will do. It is stored when the migration starts, and resumed from there.
type Plan struct {
	Name     string    `json:"name"`
	Schema   string    `json:"schema"`             // that holds the tables
	Version  string    `json:"version"`            // the new schema of views
	Previous string    `json:"previous,omitempty"` // the old one; empty when programs use Schema itself
	Checks   []Check   `json:"checks,omitempty"`   // queries that must be understood by the database before anything is done
	Expand   []Step    `json:"expand"`
	Contract Step      `json:"contract"`
	Undo     Step      `json:"undo"`
	Lint     []Finding `json:"lint,omitempty"`
}

// What a step is.
const (
	StepQuick = "quick" // a transaction that only changes the catalogue: locks first, for a moment
	StepSlow  = "slow"  // a transaction that reads rows under locks that writers do not mind
	StepIndex = "index" // an index that is built concurrently
	StepFill  = "fill"  // rows of a table are filled, batch by batch
	StepPlain = "plain" // statements that cannot be in a transaction
	StepViews = "views" // the version's views
)

// Step is a part of a plan. When it was interrupted it is done again.
type Step struct {
	Kind  string        `json:"kind"`
	Title string        `json:"title"`
	Locks []Lock        `json:"locks,omitempty"`
	SQL   []string      `json:"sql,omitempty"`
	Name  string        `json:"name,omitempty"` // of an index; physical table of a fill
	Rows  int64         `json:"rows,omitempty"`
	Takes time.Duration `json:"takes"` // estimated, nanoseconds
	Views []View        `json:"views,omitempty"`
	All   bool          `json:"all,omitempty"` // the views are of all tables, as they are when the step is done
}

// Lock is a lock on a table.
type Lock struct {
	Table string `json:"table"`
	Mode  string `json:"mode"`
}

// The modes of locks that steps take.
const (
	accessExclusive = "ACCESS EXCLUSIVE"
	shareRow        = "SHARE ROW EXCLUSIVE"
	shareUpdate     = "SHARE UPDATE EXCLUSIVE"
	rowExclusive    = "ROW EXCLUSIVE"
)

// Check is a query that is only prepared: an expression of the file that the database shall understand.
type Check struct {
	What string `json:"what"`
	SQL  string `json:"sql"`
}

// View is how a version sees a table.
type View struct {
	Name    string       `json:"name"`
	Table   string       `json:"table"` // physical
	Columns []ViewColumn `json:"columns"`
	Comment string       `json:"comment,omitempty"`
}

// ViewColumn is a column of a view.
type ViewColumn struct {
	Name     string  `json:"name"`
	Physical string  `json:"physical"`
	Default  *string `json:"default,omitempty"` // for rows that are inserted through the view
}

// build is a plan in the making.
type build struct {
	m       Migration
	old     *Catalog
	now     *Catalog // what the new version sees, after the operations so far
	version string

	creates  []Step
	alters   map[string]*Step // by physical table
	order    []string         // of alters
	syncs    map[string]*sync // by physical table
	indexes  []Step
	confirms []Step // constraints: added, and checked against the rows
	raws     []Step
	checks   []Check

	contract, late, undo   []string
	contractLocks, undoing map[string]bool
	shadows                map[string]map[string]*Column // by physical table and physical column
	retired                map[string][]*Column          // by physical table: columns that only the old version sees
	used                   map[string]map[string]bool    // by physical table and column: columns that something is built on which a shadow would not take along
	fromCatalog            bool
}

// MakePlan plans a migration on a catalogue, or says what is wrong with it. It changes neither.
func MakePlan(m Migration, c *Catalog) (Plan, error) {
	if err := m.check(); err != nil {
		return Plan{}, err
	}
	version := c.Schema + "_" + m.Version
	if len(version) > maxIdent {
		return Plan{}, errs.E(errs.Invalid, "the version's schema %q has %d bytes, at most %d are kept by PostgreSQL", version, len(version), maxIdent).Next("Shorten the file's name, or give it a version_schema.")
	}
	if version == c.Previous {
		return Plan{}, errs.E(errs.Conflict, "version %s is live already", version)
	}
	if len(c.Tables) > maxTables {
		return Plan{}, errs.E(errs.Invalid, "schema %q has %d tables, at most %d are taken", c.Schema, len(c.Tables), maxTables)
	}
	b := &build{m: m, old: c, now: c.clone(), version: version, alters: map[string]*Step{}, syncs: map[string]*sync{}, contractLocks: map[string]bool{},
		undoing: map[string]bool{}, shadows: map[string]map[string]*Column{}, retired: map[string][]*Column{}, used: map[string]map[string]bool{}}
	for i, op := range m.Operations {
		err := op.validate(b)
		if err == nil {
			err = op.start(b)
		}
		if err != nil {
			return Plan{}, errs.Wrap(errs.KindOf(err), err, "operation %d, %s", i+1, op.kind())
		}
	}
	if err := b.duplicate(); err != nil {
		return Plan{}, err
	}
	for _, op := range m.Operations {
		op.complete(b)
	}
	for _, op := range slices.Backward(m.Operations) {
		op.rollback(b)
	}
	return b.plan()
}

func (b *build) plan() (Plan, error) {
	p := Plan{Name: b.m.Name, Schema: b.old.Schema, Version: b.version, Previous: b.old.Previous, Lint: LintMigration(b.m)}
	triggers, fills, settles, err := b.sync()
	if err != nil {
		return Plan{}, err
	}
	p.Checks = b.checks
	p.Expand = append(p.Expand, b.raws...)
	p.Expand = append(p.Expand, b.creates...)
	for _, t := range b.order {
		p.Expand = append(p.Expand, *b.alters[t])
	}
	p.Expand = slices.Concat(p.Expand, fills, b.indexes, b.confirms, settles, []Step{b.views()})
	drop := make([]string, 0, len(triggers))
	for _, s := range triggers {
		drop = append(drop, s.drop()...)
		b.contractLocks[s.table], b.undoing[s.table] = true, true
	}
	p.Contract = Step{Kind: StepQuick, Title: "contract: the old version's views go, the new shape is the table's own", Locks: b.locks(b.contractLocks),
		SQL: slices.Concat(drop, b.contract, b.late), Takes: quick}
	p.Undo = Step{Kind: StepQuick, Title: "take the migration back", Locks: b.locks(b.undoing), SQL: slices.Concat(drop, b.undo), Takes: quick}
	return p, nil
}

// quick is about what a transaction takes that only changes the catalogue.
const quick = 20 * time.Millisecond

// locks are exclusive locks on tables, in the one order that all of ours are taken in.
func (b *build) locks(tables map[string]bool) []Lock {
	var all []Lock
	for t := range tables {
		all = append(all, Lock{Table: t, Mode: accessExclusive})
	}
	slices.SortFunc(all, func(a, c Lock) int {
		if a.Table < c.Table {
			return -1
		}
		return 1
	})
	return all
}

// alter adds statements to the one transaction in which a table that exists is prepared.
func (b *build) alter(t *Table, sql ...string) *Step {
	s := b.alters[t.Physical]
	if s == nil {
		s = &Step{Kind: StepQuick, Title: "prepare table " + t.Physical, Locks: []Lock{{t.Physical, accessExclusive}}, Takes: quick}
		b.alters[t.Physical] = s
		b.order = append(b.order, t.Physical)
	}
	s.SQL = append(s.SQL, sql...)
	return s
}

// touches notes that contract and undo change a table, which is called table now.
func (b *build) touches(table string) {
	b.contractLocks[table], b.undoing[table] = true, true
}

// use notes that something is built on columns themselves.
func (b *build) use(t *Table, physical ...string) {
	if b.used[t.Physical] == nil {
		b.used[t.Physical] = map[string]bool{}
	}
	for _, c := range physical {
		b.used[t.Physical][c] = true
	}
}

// on begins a statement about a table.
func (b *build) on(table string) string { return "ALTER TABLE " + qualified(b.old.Schema, table) + " " }

// free says that a name is to be had for something new.
func (b *build) free(t *Table, name string) error {
	if t.named(name) {
		return errs.E(errs.Invalid, "table %q already has %q", t.Name, name)
	}
	return nil
}

// Views are the views that show the tables as they are.
func (c *Catalog) Views() []View {
	var all []View
	for _, t := range c.sorted() {
		v := View{Name: t.Name, Table: t.Physical, Comment: t.Comment}
		for _, col := range t.Columns {
			v.Columns = append(v.Columns, ViewColumn{Name: col.Name, Physical: col.Physical, Default: col.viewOnly})
		}
		all = append(all, v)
	}
	return all
}
