package postgres

import (
	"testing"

	"github.com/ringfence/ringfence/internal/schema"
)

const people = `CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, age text, email text UNIQUE);
	CREATE INDEX people_age ON people (age);
	INSERT INTO people (name, age, email) SELECT 'first' || i || ' last' || i, i::text, 'e' || i FROM generate_series(1, 1000) AS i`

const splitPeople = `
	{"add_column": {"table": "people", "up": "split_part(name, ' ', 1)", "column": {"name": "first_name", "type": "text"}}},
	{"add_column": {"table": "people", "up": "split_part(name, ' ', 2)", "column": {"name": "last_name", "type": "text"}}},
	{"drop_column": {"table": "people", "column": "name", "down": "first_name || ' ' || last_name"}},
	{"alter_column": {"table": "people", "column": "age", "type": "integer", "nullable": false, "up": "coalesce(age, '0')::integer", "down": "age::text"}},
	{"rename_column": {"table": "people", "from": "email", "to": "mail"}}`

// A column is split, one is retyped and made NOT NULL, one is renamed, while sessions of both versions write.
func TestSplitRetypeRename(t *testing.T) {
	address := newDatabase(t)
	connect(t, address, "").exec(people)
	e, d := openEngine(t, address, schema.Options{})
	must[schema.Record](t)(e.Start(t.Context(), migration(t, "01", "")))
	must[schema.Record](t)(e.Complete(t.Context(), "01", schema.Consent{Baked: true, AllowUnknown: true}))

	before := connect(t, address, "public_01")
	must[schema.Record](t)(e.Start(t.Context(), migration(t, "02", splitPeople)))
	after := connect(t, address, "public_02")
	after.want("SELECT count(*), min(first_name), max(age) FROM people", "1000 first1 1000")
	before.exec("INSERT INTO people (name, age, email) VALUES ('ann lee', '7', 'a')")
	after.want("SELECT first_name, last_name, age, mail FROM people WHERE mail = 'a'", "ann lee 7 a")
	after.exec("INSERT INTO people (first_name, last_name, age, mail) VALUES ('bob', 'ray', 8, 'b')")
	before.want("SELECT name, age, email FROM people WHERE email = 'b'", "bob ray 8 b")
	after.exec("UPDATE people SET age = 9, last_name = 'rye' WHERE mail = 'a'")
	before.want("SELECT name, age FROM people WHERE email = 'a'", "ann rye 9")
	before.exec("UPDATE people SET email = 'c' WHERE email = 'a'")
	after.want("SELECT first_name, last_name, age FROM people WHERE mail = 'c'", "ann rye 9")

	if _, err := e.Complete(t.Context(), "02", schema.Consent{Baked: true, AllowUnknown: true}); err == nil {
		t.Fatal("completed while a session of the old version lives")
	}
	before.end(d)
	must[schema.Record](t)(e.Complete(t.Context(), "02", schema.Consent{Baked: true, AllowUnknown: true}))
	after.want("SELECT first_name, last_name, age FROM people WHERE mail = 'c'", "ann rye 9")
	after.want(`SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'public.people'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname`,
		"age integer true\nfirst_name text true\nid integer true\nlast_name text true\nmail text false")
	after.want("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1", "people_age\npeople_email_key\npeople_pkey")
}
