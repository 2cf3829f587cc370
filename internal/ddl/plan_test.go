package ddl

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
)

// catalog holds two tables, one of which refers to the other.
func catalog() *Catalog {
	t := &Table{Name: "t", Physical: "t", Rows: 1000, Bytes: 1 << 20, Columns: []*Column{
		{Name: "id", Physical: "id", Type: "bigint", NotNull: true, Default: "nextval('s'::regclass)", Sequence: `"public"."s"`},
		{Name: "a", Physical: "a", Type: "text"},
		{Name: "b", Physical: "b", Type: "text", NotNull: true},
		{Name: "g", Physical: "g", Type: "text", Generated: true},
		{Name: "v", Physical: "v", Type: "text", Dependents: []string{"view public.w"}},
	}, Constraints: []*Constraint{
		{Name: "t_pkey", Kind: "p", Columns: []string{"id"}, Definition: "PRIMARY KEY (id)", Index: "CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)"},
		{Name: "t_ab", Kind: "c", Columns: []string{"a", "b"}, Definition: "CHECK ((a <> b))"},
		{Name: "t_a", Kind: "u", Columns: []string{"a"}, Definition: "UNIQUE (a) DEFERRABLE", Index: "CREATE UNIQUE INDEX t_a ON public.t USING btree (a)"},
	}, Indexes: []*Index{{Name: "t_low", Columns: []string{"a"}, Definition: "CREATE INDEX t_low ON public.t USING btree (lower(a) text_pattern_ops) WHERE (a IS NOT NULL)"}},
		Incoming: []Reference{{Name: "u_t", Table: "u", Columns: []string{"id"}}}}
	u := &Table{Name: "u", Physical: "u", Columns: []*Column{{Name: "id", Physical: "id", Type: "int"}, {Name: "t", Physical: "t", Type: "bigint"}},
		Constraints: []*Constraint{{Name: "u_t", Kind: "f", Columns: []string{"t"}, Definition: "FOREIGN KEY (t) REFERENCES public.t(id)", Refers: "t"}}}
	p := &Table{Name: "p", Physical: "p", Partitioned: true, Columns: []*Column{{Name: "id", Physical: "id", Type: "int"}}}
	return &Catalog{Schema: "public", Previous: "public_01", Server: 150000, Tables: map[string]*Table{"t": t, "u": u, "p": p}}
}

func plan(operations string) (Plan, error) {
	m, err := Parse("02", []byte(`{"operations": [`+operations+`]}`))
	if err != nil {
		return Plan{}, err
	}
	return MakePlan(m, catalog())
}

// What cannot be done is refused before anything is, and it is said what is wrong.
func TestRefusals(t *testing.T) {
	for operations, want := range map[string]string{
		`{"split": {}}`: "unknown operation", `{"drop_table": {"name": "t", "x": 1}}`: "unknown field", `{"drop_table": {"name": "x"}}`: "does not exist",
		`{"drop_table": {"name": "t"}}`:                                                                            "referred to by the foreign key",
		`{"create_table": {"name": "t", "columns": [{"name": "a", "type": "int"}]}}`:                               "exists already",
		`{"create_table": {"name": "n", "columns": []}}`:                                                           "0 columns",
		`{"create_table": {"name": "n", "columns": [{"name": "a", "type": "int; DROP TABLE t"}]}}`:                 "semicolon",
		`{"create_table": {"name": "n", "columns": [{"name": "a", "type": "int DEFAULT 1"}]}}`:                     "name of a type",
		`{"create_table": {"name": "` + strings.Repeat("n", 64) + `", "columns": [{"name": "a", "type": "int"}]}}`: "64 bytes",
		`{"add_column": {"table": "t", "column": {"name": "a", "type": "int", "nullable": true}}}`:                 "already has a column",
		`{"add_column": {"table": "t", "column": {"name": "x", "type": "int"}}}`:                                   "up is needed",
		`{"add_column": {"table": "t", "column": {"name": "x", "type": "serial"}}}`:                                "rewrite the table",
		`{"add_column": {"table": "t", "column": {"name": "_rf_x", "type": "int", "nullable": true}}}`:             "used during migrations",
		`{"add_column": {"table": "p", "up": "1", "column": {"name": "x", "type": "int"}}}`:                        "partitioned",
		`{"drop_column": {"table": "t", "column": "b"}}`:                                                           "down is needed",
		`{"drop_column": {"table": "t", "column": "id"}}`:                                                          "referred to",
		`{"drop_column": {"table": "t", "column": "v"}}`:                                                           "used by view public.w",
		`{"rename_column": {"table": "t", "from": "a", "to": "b"}}`:                                                "already has a column",
		`{"alter_column": {"table": "t", "column": "a"}}`:                                                          "nothing of column",
		`{"alter_column": {"table": "t", "column": "a", "type": "int", "up": "1"}}`:                                "needs up and down",
		`{"alter_column": {"table": "t", "column": "b", "nullable": false, "up": "b"}}`:                            "already has nullable",
		`{"alter_column": {"table": "t", "column": "g", "type": "int", "up": "1", "down": "1"}}`:                   "is generated",
		`{"alter_column": {"table": "t", "column": "a", "type": "int", "up": "1) FROM x; --", "down": "a"}}`:       "up of column a",
		`{"create_index": {"name": "t_low", "table": "u", "columns": [{"column": "id"}]}}`:                         "already has",
		`{"create_index": {"name": "i", "table": "p", "columns": [{"column": "id"}]}}`:                             "partitioned",
		`{"drop_index": {"name": "t_a"}}`:                                                                          "belongs to a constraint",
		`{"drop_constraint": {"table": "t", "name": "t_ab", "up": "a", "down": "a"}}`:                              "is on 2 columns",
		`{"drop_multicolumn_constraint": {"table": "t", "name": "t_ab", "down": {"a": "a"}}}`:                      "down is needed for column \"b\"",
		`{"create_constraint": {"table": "t", "name": "k", "type": "primary_key", "columns": ["a"]}}`:              "already has a primary key",
		`{"create_constraint": {"table": "t", "name": "k", "type": "unique", "columns": ["a"], "up": {"b": "b"}}}`: "which the constraint is not on",
		`{"rename_constraint": {"table": "t", "from": "t_a", "to": "t_ab"}}`:                                       "already has",
		`{"set_replica_identity": {"table": "t", "identity": {"type": "index", "index": "x"}}}`:                    "no index",
		`{"sql": {"up": "SELECT 1"}}, {"drop_index": {"name": "t_low"}}`:                                           "stands alone",
		`{"sql": {"up": "BEGIN; SELECT 1"}}`:                                                                       "transactions of its own",
		`{"sql": {"up": "SELECT 1", "down": "SELECT 1", "onComplete": true}}`:                                      "down cannot be given",
		`{"sql": {"up": "VACUUM t", "onComplete": true}}`:                                                          "cannot be part of the contract",
		`{"create_index": {"name": "i", "table": "t", "columns": [{"column": "a"}]}}, ` + retype("a"):              "changed twice",
		retype("a") + `, ` + retype("a"):                                                                           "made, or changed already",
	} {
		_, err := plan(operations)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", operations, err, want)
		}
	}
	m, _ := Parse("01", []byte(`{"operations": []}`))
	if _, err := MakePlan(m, catalog()); !errs.Is(err, errs.Conflict) {
		t.Errorf("a version that is live: %v", err)
	}
}

func retype(column string) string {
	return `{"alter_column": {"table": "t", "column": "` + column + `", "type": "integer", "up": "` + column + `::integer", "down": "` + column + `::text"}}`
}

// A plan is a function of the file and the catalogue: planned again it is the same, and neither is changed.
func TestPlanAgain(t *testing.T) {
	m, err := Parse("02", []byte(`{"operations": [`+retype("a")+`, {"drop_multicolumn_constraint": {"table": "u", "name": "u_t", "down": {"t": "t"}}},
		{"create_constraint": {"table": "u", "name": "k", "type": "primary_key", "columns": ["id"]}}, {"rename_table": {"from": "u", "to": "w"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c := catalog()
	first, err := MakePlan(m, c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := MakePlan(m, c)
	if err != nil || !reflect.DeepEqual(first, again) || !reflect.DeepEqual(c, catalog()) {
		t.Errorf("%v: the second plan differs, or the catalogue was changed", err)
	}
}

// A shadow gets what its column has, and the contract puts all of it in place.
func TestShadowHasAll(t *testing.T) {
	p, err := plan(retype("a"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, s := range p.Expand {
		text.WriteString(strings.Join(s.SQL, "\n") + "\n")
	}
	for _, want := range []string{`ADD COLUMN "_rf_new_a" integer`, `CHECK (("_rf_new_a" <> b)) NOT VALID`, `CREATE UNIQUE INDEX CONCURRENTLY "_rf_dup_t_a" ON public.t USING btree ("_rf_new_a")`,
		`CREATE INDEX CONCURRENTLY "_rf_dup_t_low" ON public.t USING btree (lower("_rf_new_a") text_pattern_ops) WHERE ("_rf_new_a" IS NOT NULL)`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("there is no %s in\n%s", want, text.String())
		}
	}
	contract := strings.Join(p.Contract.SQL, "\n")
	for _, want := range []string{`DROP COLUMN "a"`, `RENAME COLUMN "_rf_new_a" TO "a"`, `UNIQUE USING INDEX "_rf_dup_t_a" DEFERRABLE`, `RENAME CONSTRAINT "_rf_dup_t_ab" TO "t_ab"`, `RENAME TO "t_low"`} {
		if !strings.Contains(contract, want) {
			t.Errorf("there is no %s in the contract\n%s", want, contract)
		}
	}
	if p.Contract.Locks[0] != (Lock{"t", accessExclusive}) {
		t.Errorf("%+v", p.Contract.Locks)
	}
}
