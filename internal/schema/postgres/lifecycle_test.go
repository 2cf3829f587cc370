package postgres

import (
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/schema"
)

// shape is everything that a migration may leave behind: columns, constraints, indexes, triggers, functions, versions.
const shape = `
	SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || ' ' || coalesce(col_description(c.oid, a.attnum), '')
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
	UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
	UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
	UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace IN ('public'::regnamespace, 'ringfence_schema'::regnamespace)
	UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'public%'
	UNION ALL SELECT 'identity ' || relname || ' ' || relreplident::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
	ORDER BY 1`

// say is what a version of a program does, and what another finds then.
type say struct {
	by   string // old or new
	sql  string
	want string // rows of a query; "error: …" for a statement that is refused; empty for one that is done
}

type lifecycle struct {
	operations string
	started    []say    // while both versions are live
	completed  []say    // by the new one
	shape      []string // lines of the shape afterwards; with a leading ! lines that must not be there
}

const shop = `CREATE TABLE users (id integer PRIMARY KEY, name text);
	CREATE TABLE orders (id bigserial PRIMARY KEY, buyer integer, total text NOT NULL DEFAULT '0', note text, state text NOT NULL CONSTRAINT known CHECK (state IN ('new', 'paid')), code text CONSTRAINT coded UNIQUE);
	CREATE INDEX orders_note ON orders (note);
	INSERT INTO users VALUES (1, 'ann'), (2, 'bob');
	INSERT INTO orders (buyer, total, note, state, code) VALUES (1, '10', 'a', 'new', 'c1'), (9, '20', NULL, 'paid', 'c2')`

var lifecycles = map[string]lifecycle{
	"create_table": {
		operations: `{"create_table": {"name": "items", "comment": "what is sold", "columns": [{"name": "id", "type": "bigint", "pk": true, "generated": {"identity": {"user_specified_values": "BY DEFAULT"}}},
			{"name": "of", "type": "bigint", "references": {"name": "of_order", "table": "orders", "column": "id", "on_delete": "CASCADE"}}, {"name": "price", "type": "numeric(10,2)", "default": "0.5", "check": {"name": "cheap", "constraint": "price < 100"}}],
			"constraints": [{"name": "once", "type": "unique", "columns": ["of", "price"]}]}}`,
		started:   []say{{"new", "INSERT INTO items (of) VALUES (1)", ""}, {"new", "SELECT of, price::text FROM items", "1 0.50"}, {"new", "INSERT INTO items (of) VALUES (77)", "error: of_order"}},
		completed: []say{{"new", "SELECT count(*) FROM items", "1"}},
		shape:     []string{"constraint cheap CHECK ((price < (100)::numeric))", "constraint once UNIQUE (of, price)"},
	},
	"drop_table": {
		operations: `{"drop_table": {"name": "users"}}`,
		started:    []say{{"old", "SELECT count(*) FROM users", "2"}, {"new", "SELECT 1 FROM pg_views WHERE schemaname = 'public_02' AND viewname = 'users'", ""}},
		shape:      []string{"!constraint users_pkey PRIMARY KEY (id)"},
	},
	"rename_table": {
		operations: `{"rename_table": {"from": "users", "to": "people"}}`,
		started:    []say{{"new", "INSERT INTO people VALUES (3, 'cy')", ""}, {"old", "SELECT name FROM users WHERE id = 3", "cy"}},
		completed:  []say{{"new", "SELECT count(*) FROM people", "3"}},
		shape:      []string{"column people.id integer true  "},
	},
	"add_column": {
		operations: `{"add_column": {"table": "orders", "up": "upper(note)", "column": {"name": "loud", "type": "text", "nullable": true, "comment": "as it is shouted"}}},
			{"add_column": {"table": "orders", "column": {"name": "priority", "type": "integer", "default": "3", "check": {"name": "sane", "constraint": "priority BETWEEN 1 AND 5"}}}},
			{"add_column": {"table": "orders", "column": {"name": "token", "type": "uuid", "default": "gen_random_uuid()", "unique": true}}}`,
		started: []say{{"old", "UPDATE orders SET note = 'b' WHERE id = 1", ""}, {"new", "SELECT loud, priority FROM orders WHERE id = 1", "B 3"},
			{"new", "UPDATE orders SET loud = 'mine' WHERE id = 1", ""}, {"old", "UPDATE orders SET total = '11' WHERE id = 1", ""}, {"new", "SELECT loud, total FROM orders WHERE id = 1", "mine 11"},
			{"old", "INSERT INTO orders (state) VALUES ('new')", ""}, {"new", "SELECT count(*), count(DISTINCT token), count(token) FROM orders", "3 3 3"},
			{"new", "UPDATE orders SET priority = 9", "error: sane"}},
		completed: []say{{"new", "INSERT INTO orders (state) VALUES ('new')", ""}, {"new", "SELECT count(token) FROM orders", "4"}},
		shape:     []string{"column orders.priority integer true 3 ", "column orders.token uuid true gen_random_uuid() ", "constraint orders_token_key UNIQUE (token)", "column orders.loud text false  as it is shouted"},
	},
	"drop_column": {
		operations: `{"drop_column": {"table": "orders", "column": "state", "down": "'new'"}}`,
		started: []say{{"new", "INSERT INTO orders (note) VALUES ('n')", ""}, {"old", "SELECT state FROM orders WHERE note = 'n'", "new"}, {"old", "UPDATE orders SET state = 'paid' WHERE note = 'n'", ""},
			{"new", "UPDATE orders SET total = '5' WHERE note = 'n'", ""}, {"old", "SELECT state, total FROM orders WHERE note = 'n'", "paid 5"}},
		completed: []say{{"new", "SELECT count(*) FROM orders", "3"}},
		shape:     []string{"!column orders.state text true  ", "!constraint known CHECK ((state = ANY (ARRAY['new'::text, 'paid'::text])))"},
	},
	"rename_column": {
		operations: `{"rename_column": {"table": "orders", "from": "note", "to": "remark"}}`,
		started:    []say{{"new", "UPDATE orders SET remark = 'r' WHERE id = 1", ""}, {"old", "SELECT note FROM orders WHERE id = 1", "r"}},
		completed:  []say{{"new", "SELECT remark FROM orders WHERE id = 1", "r"}},
		shape:      []string{"column orders.remark text false  ", "index CREATE INDEX orders_note ON public.orders USING btree (remark)"},
	},
	"alter_column type": {
		operations: `{"alter_column": {"table": "orders", "column": "total", "type": "numeric", "up": "total::numeric", "down": "total::text"}}`,
		started: []say{{"old", "INSERT INTO orders (total, state) VALUES ('7.50', 'new')", ""}, {"new", "SELECT total::text FROM orders WHERE id = 3", "7.50"}, {"new", "INSERT INTO orders (state) VALUES ('new')", ""},
			{"old", "SELECT total FROM orders WHERE id = 4", "0"}, {"new", "UPDATE orders SET total = total + 1 WHERE id = 3", ""}, {"old", "SELECT total FROM orders WHERE id = 3", "8.50"}},
		completed: []say{{"new", "SELECT sum(total)::text FROM orders", "38.50"}},
		shape:     []string{"column orders.total numeric true ('0'::text)::numeric "},
	},
	"alter_column key": {
		operations: `{"alter_column": {"table": "users", "column": "id", "type": "bigint", "up": "id", "down": "id::integer"}}`,
		started:    []say{{"new", "INSERT INTO users VALUES (3, 'cy') ON CONFLICT (id) DO UPDATE SET name = 'again'", ""}, {"new", "INSERT INTO users VALUES (3, 'cy') ON CONFLICT (id) DO UPDATE SET name = 'again'", ""}, {"old", "SELECT name FROM users WHERE id = 3", "again"}, {"old", "INSERT INTO users VALUES (3, 'x')", "error: users_pkey"}},
		completed:  []say{{"new", "INSERT INTO users VALUES (9000000000, 'far')", ""}},
		shape:      []string{"constraint users_pkey PRIMARY KEY (id)", "column users.id bigint true  "},
	},
	"alter_column default and comment": {
		operations: `{"alter_column": {"table": "orders", "column": "total", "default": "'5'", "comment": "in cents"}}, {"alter_column": {"table": "users", "column": "name", "default": null}}`,
		started:    []say{{"new", "INSERT INTO orders (state) VALUES ('new')", ""}, {"old", "INSERT INTO orders (state) VALUES ('new')", ""}, {"old", "SELECT total FROM orders WHERE id > 2 ORDER BY id", "5\n0"}},
		shape:      []string{"column orders.total text true '5'::text in cents"},
	},
	"alter_column not null": {
		operations: `{"alter_column": {"table": "orders", "column": "note", "nullable": false, "up": "coalesce(note, '-')", "down": "note"}}`,
		started:    []say{{"old", "INSERT INTO orders (state) VALUES ('new')", ""}, {"new", "SELECT note FROM orders WHERE id IN (2, 3)", "-\n-"}, {"new", "UPDATE orders SET note = NULL", "error: _rf_nn"}, {"old", "SELECT note FROM orders WHERE id = 3", "null"}},
		shape:      []string{"column orders.note text true  ", "index CREATE INDEX orders_note ON public.orders USING btree (note)"},
	},
	"alter_column nullable": {
		operations: `{"alter_column": {"table": "orders", "column": "state", "nullable": true, "down": "coalesce(state, 'new')"}}`,
		started:    []say{{"new", "INSERT INTO orders (state) VALUES (NULL)", ""}, {"old", "SELECT state FROM orders WHERE id = 3", "new"}, {"new", "SELECT state FROM orders WHERE id = 3", "null"}, {"new", "UPDATE orders SET state = 'odd'", "error: known"}},
		shape:      []string{"column orders.state text false  ", "constraint known CHECK ((state = ANY (ARRAY['new'::text, 'paid'::text])))"},
	},
	"alter_column check unique": {
		operations: `{"alter_column": {"table": "orders", "column": "note", "check": {"name": "long", "constraint": "length(note) > 2"}, "unique": {"name": "noted"}, "up": "coalesce(note, '') || '--' || id", "down": "note"}}`,
		started:    []say{{"new", "SELECT note FROM orders WHERE id = 1", "a--1"}, {"old", "UPDATE orders SET note = 'x'", ""}, {"new", "UPDATE orders SET note = 'y' WHERE id = 1", "error: long"}, {"new", "UPDATE orders SET note = 'same'", "error: _rf_key_noted"}},
		shape:      []string{"constraint long CHECK ((length(note) > 2))", "constraint noted UNIQUE (note)"},
	},
	"alter_column references": {
		operations: `{"alter_column": {"table": "orders", "column": "buyer", "references": {"name": "bought", "table": "users", "column": "id", "on_delete": "SET NULL"}, "up": "SELECT CASE WHEN EXISTS (SELECT 1 FROM users WHERE users.id = buyer) THEN buyer END", "down": "buyer"}}`,
		started:    []say{{"new", "SELECT buyer FROM orders ORDER BY id", "1\nnull"}, {"old", "INSERT INTO orders (buyer, state) VALUES (8, 'new')", ""}, {"new", "UPDATE orders SET buyer = 8", "error: bought"}},
		shape:      []string{"constraint bought FOREIGN KEY (buyer) REFERENCES users(id) ON DELETE SET NULL"},
	},
	"create_index": {
		operations: `{"create_index": {"name": "by_total", "table": "orders", "unique": true, "columns": [{"column": "total", "sort": "DESC", "nulls": "LAST"}, {"column": "code"}], "method": "btree", "predicate": "code IS NOT NULL", "storage_parameters": "fillfactor = 70"}}`,
		shape:      []string{"index CREATE UNIQUE INDEX by_total ON public.orders USING btree (total DESC NULLS LAST, code) WITH (fillfactor='70') WHERE (code IS NOT NULL)"},
	},
	"drop_index": {
		operations: `{"drop_index": {"name": "orders_note"}}`,
		started:    []say{{"old", "SELECT count(*) FROM pg_indexes WHERE indexname = 'orders_note'", "1"}},
		shape:      []string{"!index CREATE INDEX orders_note ON public.orders USING btree (note)"},
	},
	"create_constraint on shadows": {
		operations: `{"create_constraint": {"table": "orders", "name": "fair", "type": "check", "columns": ["total", "note"], "check": "total <> '20' OR note IS NOT NULL", "up": {"total": "total", "note": "coalesce(note, 'none')"}, "down": {"total": "total", "note": "nullif(note, 'none')"}}}`,
		started:    []say{{"new", "SELECT note FROM orders WHERE id = 2", "none"}, {"old", "INSERT INTO orders (total, state) VALUES ('20', 'new')", ""}, {"new", "UPDATE orders SET total = '20', note = NULL", "error: fair"}},
		shape:      []string{"constraint fair CHECK (((total <> '20'::text) OR (note IS NOT NULL)))"},
	},
	"create_constraint on the columns": {
		operations: `{"create_constraint": {"table": "orders", "name": "one_each", "type": "unique", "columns": ["buyer", "code"], "up": {"buyer": "buyer", "code": "code"}, "down": {"buyer": "buyer", "code": "code"}}}`,
		started:    []say{{"old", "INSERT INTO orders (buyer, code, state) VALUES (1, 'c9', 'new')", ""}},
		shape:      []string{"constraint one_each UNIQUE (buyer, code)"},
	},
	"drop_constraint": {
		operations: `{"drop_constraint": {"table": "orders", "name": "known", "up": "state", "down": "CASE WHEN state IN ('new', 'paid') THEN state ELSE 'new' END"}}`,
		started:    []say{{"new", "UPDATE orders SET state = 'lost' WHERE id = 1", ""}, {"old", "SELECT state FROM orders WHERE id = 1", "new"}, {"new", "SELECT state FROM orders WHERE id = 1", "lost"}, {"old", "UPDATE orders SET state = 'lost'", "error: known"}},
		shape:      []string{"!constraint known CHECK ((state = ANY (ARRAY['new'::text, 'paid'::text])))", "column orders.state text true  "},
	},
	"drop_multicolumn_constraint": {
		operations: `{"drop_multicolumn_constraint": {"table": "orders", "name": "coded", "down": {"code": "code || '#' || id"}}}`,
		started:    []say{{"new", "UPDATE orders SET code = 'same'", ""}, {"old", "SELECT code FROM orders ORDER BY id", "same#1\nsame#2"}},
		shape:      []string{"!constraint coded UNIQUE (code)"},
	},
	"rename_constraint": {
		operations: `{"rename_constraint": {"table": "orders", "from": "known", "to": "states"}}, {"rename_constraint": {"table": "orders", "from": "coded", "to": "codes"}}, {"alter_column": {"table": "orders", "column": "code", "type": "varchar(9)", "up": "code", "down": "code"}}`,
		shape:      []string{"constraint states CHECK ((state = ANY (ARRAY['new'::text, 'paid'::text])))", "constraint codes UNIQUE (code)"},
	},
	"set_replica_identity": {
		operations: `{"set_replica_identity": {"table": "orders", "identity": {"type": "full"}}}`,
		shape:      []string{"identity orders f"},
	},
	"sql": {
		operations: `{"sql": {"up": "ALTER TABLE orders ADD COLUMN extra integer; CREATE TABLE more (id integer PRIMARY KEY)", "down": "DROP TABLE more; ALTER TABLE orders DROP COLUMN extra"}}`,
		started:    []say{{"new", "SELECT extra FROM orders WHERE id = 1", "null"}, {"new", "INSERT INTO more VALUES (1)", ""}},
		shape:      []string{"column orders.extra integer false  "},
	},
	"sql on complete": {
		operations: `{"rename_column": {"table": "orders", "from": "note", "to": "remark"}}, {"sql": {"up": "ALTER TABLE orders ADD COLUMN extra integer", "onComplete": true}}`,
		shape:      []string{"column orders.extra integer false  ", "column orders.remark text false  "},
	},
	"in a row": {
		operations: `{"rename_table": {"from": "orders", "to": "sales"}}, {"rename_column": {"table": "sales", "from": "note", "to": "old_note"}}, {"add_column": {"table": "sales", "up": "old_note || '!'", "column": {"name": "note", "type": "text", "nullable": true}}},
			{"add_column": {"table": "sales", "up": "note || '?'", "column": {"name": "doubt", "type": "text", "nullable": true}}}, {"create_index": {"name": "doubts", "table": "sales", "columns": [{"column": "doubt"}]}},
			{"drop_column": {"table": "sales", "column": "buyer"}}, {"rename_column": {"table": "sales", "from": "code", "to": "buyer"}}`,
		started: []say{{"new", "SELECT old_note, note, doubt, buyer FROM sales WHERE id = 1", "a a! a!? c1"}, {"old", "UPDATE orders SET note = 'z' WHERE id = 1", ""}, {"new", "SELECT doubt FROM sales WHERE id = 1", "z!?"}},
		shape:   []string{"column sales.note text false  ", "column sales.old_note text false  ", "column sales.buyer text false  ", "index CREATE INDEX doubts ON public.sales USING btree (doubt)"},
	},
}

// Each operation is started, used by both versions, taken back without a trace, started again and completed.
func TestLifecycles(t *testing.T) {
	for name, c := range lifecycles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := newDatabase(t)
			admin := connect(t, address, "")
			admin.exec(shop)
			e, d := openEngine(t, address, schema.Options{})
			anyway := schema.Consent{Baked: true, AllowUnknown: true}
			must[schema.Record](t)(e.Start(t.Context(), migration(t, "01", "")))
			must[schema.Record](t)(e.Complete(t.Context(), "01", anyway))
			before := admin.rows(shape)
			m := migration(t, "02", c.operations)
			must[schema.Record](t)(e.Start(t.Context(), m))
			must[schema.Record](t)(e.Rollback(t.Context(), "02", anyway))
			admin.want(shape, before)
			must[schema.Record](t)(e.Start(t.Context(), m))
			programs := map[string]*program{"old": connect(t, address, "public_01"), "new": connect(t, address, "public_02")}
			for _, s := range c.started {
				programs[s.by].does(s)
			}
			programs["old"].end(d)
			must[schema.Record](t)(e.Complete(t.Context(), "02", anyway))
			for _, s := range c.completed {
				programs["new"].does(s)
			}
			after := strings.Split(admin.rows(shape), "\n")
			for _, line := range c.shape {
				line, not := strings.CutPrefix(line, "!")
				if has(after, line) == not {
					t.Errorf("%q is there: %t, in\n%s", line, !not, strings.Join(after, "\n"))
				}
			}
			for _, line := range after {
				if strings.Contains(line, "_rf_") || strings.Contains(line, "~ringfence") {
					t.Errorf("left behind: %s", line)
				}
			}
		})
	}
}

func has(lines []string, line string) bool {
	for _, l := range lines {
		if l == line {
			return true
		}
	}
	return false
}

func (p *program) does(s say) {
	p.t.Helper()
	want, refused := strings.CutPrefix(s.want, "error: ")
	switch {
	case refused:
		if err := p.try(s.sql); err == nil || !strings.Contains(err.Error(), want) {
			p.t.Errorf("%s by %s: %v, expected %s", s.sql, s.by, err, want)
		}
	case strings.HasPrefix(s.sql, "SELECT"):
		p.want(s.sql, s.want)
	default:
		p.exec(s.sql)
	}
}
