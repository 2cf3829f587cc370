package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/internal/ddl"
)

// Catalog reads what the schema holds.
func (d *Database) Catalog(ctx context.Context) (*ddl.Catalog, error) {
	tx, err := d.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, kindOf(err, "begin to read the catalogue")
	}
	defer tx.Rollback(ctx) //nolint:errcheck // it only read
	return d.catalog(ctx, tx)
}

// catalog reads within a transaction. search_path is empty meanwhile, so that PostgreSQL prints names with their schemas.
func (d *Database) catalog(ctx context.Context, tx pgx.Tx) (*ddl.Catalog, error) {
	var path string
	if err := tx.QueryRow(ctx, "SELECT current_setting('search_path')").Scan(&path); err != nil {
		return nil, kindOf(err, "read the catalogue")
	}
	if _, err := tx.Exec(ctx, "SELECT set_config('search_path', '', true)"); err != nil {
		return nil, kindOf(err, "read the catalogue")
	}
	c := &ddl.Catalog{Schema: d.schema, Server: d.server, Path: d.path, Tables: map[string]*ddl.Table{}}
	tables := map[uint32]*ddl.Table{}
	for _, read := range []func(context.Context, pgx.Tx, *ddl.Catalog, map[uint32]*ddl.Table) error{
		d.readPrevious, d.readTables, d.readColumns, d.readDependents, d.readConstraints, d.readIndexes,
	} {
		if err := read(ctx, tx, c, tables); err != nil {
			return nil, kindOf(err, "read the catalogue")
		}
	}
	_, err := tx.Exec(ctx, "SELECT set_config('search_path', $1, true)", path)
	return c, kindOf(err, "read the catalogue")
}

func (d *Database) readPrevious(ctx context.Context, tx pgx.Tx, c *ddl.Catalog, _ map[uint32]*ddl.Table) error {
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass('ringfence_schema.migrations') IS NOT NULL").Scan(&there); err != nil || !there {
		return err
	}
	err := tx.QueryRow(ctx, `SELECT m.plan->>'version' FROM ringfence_schema.migrations AS m JOIN pg_namespace AS n ON n.nspname = m.plan->>'version'
		WHERE m.schema = $1 AND m.phase = 'completed' ORDER BY m.state->>'finished' DESC LIMIT 1`, d.schema).Scan(&c.Previous)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// each runs a query and hands its rows to scan.
func each(ctx context.Context, tx pgx.Tx, query string, args []any, scan func(pgx.Rows) error) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (d *Database) readTables(ctx context.Context, tx pgx.Tx, c *ddl.Catalog, tables map[uint32]*ddl.Table) error {
	return each(ctx, tx, `SELECT c.oid, c.relname::text, coalesce(obj_description(c.oid, 'pg_class'), ''), pg_table_size(c.oid),
			CASE WHEN c.reltuples < 0 THEN pg_relation_size(c.oid) / 100 ELSE c.reltuples::bigint END,
			c.relkind = 'p' OR c.relispartition OR EXISTS (SELECT 1 FROM pg_inherits AS i WHERE i.inhparent = c.oid OR i.inhrelid = c.oid)
		FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'`,
		[]any{d.schema}, func(r pgx.Rows) error {
			var oid uint32
			t := &ddl.Table{}
			if err := r.Scan(&oid, &t.Name, &t.Comment, &t.Bytes, &t.Rows, &t.Partitioned); err != nil {
				return err
			}
			t.Physical = t.Name
			c.Tables[t.Name], tables[oid] = t, t
			return nil
		})
}

func oids(tables map[uint32]*ddl.Table) []uint32 {
	all := make([]uint32, 0, len(tables))
	for o := range tables {
		all = append(all, o)
	}
	return all
}

func (d *Database) readColumns(ctx context.Context, tx pgx.Tx, _ *ddl.Catalog, tables map[uint32]*ddl.Table) error {
	return each(ctx, tx, `SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
			coalesce(col_description(a.attrelid, a.attnum), ''), a.attgenerated <> '', a.attidentity <> '',
			CASE WHEN a.attcollation <> t.typcollation THEN (SELECT quote_ident(n.nspname) || '.' || quote_ident(l.collname) FROM pg_collation AS l JOIN pg_namespace AS n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) ELSE '' END,
			coalesce((SELECT quote_ident(n.nspname) || '.' || quote_ident(s.relname) FROM pg_depend AS p JOIN pg_class AS s ON s.oid = p.objid AND s.relkind = 'S' JOIN pg_namespace AS n ON n.oid = s.relnamespace
				WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'a' LIMIT 1), '')
		FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`,
		[]any{oids(tables)}, func(r pgx.Rows) error {
			var oid uint32
			c := &ddl.Column{}
			if err := r.Scan(&oid, &c.Name, &c.Type, &c.NotNull, &c.Default, &c.Comment, &c.Generated, &c.Identity, &c.Collation, &c.Sequence); err != nil {
				return err
			}
			c.Physical = c.Name
			tables[oid].Columns = append(tables[oid].Columns, c)
			return nil
		})
}

// readDependents finds what would keep a column from being dropped: views that are not ours, policies, triggers, columns that are
// computed from it, lists of publications.
func (d *Database) readDependents(ctx context.Context, tx pgx.Tx, _ *ddl.Catalog, tables map[uint32]*ddl.Table) error {
	return each(ctx, tx, `SELECT DISTINCT p.refobjid, a.attname::text, pg_describe_object(p.classid, p.objid, p.objsubid)
		FROM pg_depend AS p JOIN pg_attribute AS a ON a.attrelid = p.refobjid AND a.attnum = p.refobjsubid
		LEFT JOIN pg_rewrite AS w ON p.classid = 'pg_rewrite'::regclass AND w.oid = p.objid
		LEFT JOIN pg_class AS v ON v.oid = w.ev_class
		LEFT JOIN pg_attrdef AS f ON p.classid = 'pg_attrdef'::regclass AND f.oid = p.objid
		WHERE p.refclassid = 'pg_class'::regclass AND p.refobjid = ANY ($1::oid[]) AND p.refobjsubid > 0
		AND (w.oid IS NOT NULL AND coalesce(obj_description(v.relnamespace, 'pg_namespace'), '') <> $2
			OR p.classid IN ('pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_publication_rel'::regclass)
			OR f.oid IS NOT NULL AND (f.adrelid, f.adnum) <> (p.refobjid, p.refobjsubid))
		ORDER BY 1, 2, 3`,
		[]any{oids(tables), versionMark + d.schema}, func(r pgx.Rows) error {
			var oid uint32
			var column, what string
			if err := r.Scan(&oid, &column, &what); err != nil {
				return err
			}
			for _, c := range tables[oid].Columns {
				if c.Name == column {
					c.Dependents = append(c.Dependents, what)
				}
			}
			return nil
		})
}

func (d *Database) readConstraints(ctx context.Context, tx pgx.Tx, _ *ddl.Catalog, tables map[uint32]*ddl.Table) error {
	return each(ctx, tx, `SELECT k.conrelid, k.conname::text, k.contype::text, pg_get_constraintdef(k.oid), coalesce(pg_get_indexdef(nullif(k.conindid, 0)), ''), k.confrelid,
			ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(n, i) JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
			ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(n, i) JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i)
		FROM pg_constraint AS k WHERE (k.conrelid = ANY ($1::oid[]) OR k.confrelid = ANY ($1::oid[])) AND k.contype IN ('p', 'u', 'f', 'c', 'x') ORDER BY k.conrelid, k.conname`,
		[]any{oids(tables)}, func(r pgx.Rows) error {
			var on, refers uint32
			k := &ddl.Constraint{}
			var referred []string
			if err := r.Scan(&on, &k.Name, &k.Kind, &k.Definition, &k.Index, &refers, &k.Columns, &referred); err != nil {
				return err
			}
			if k.Kind == "f" {
				k.Index = ""
			}
			from := "another schema"
			if t := tables[on]; t != nil {
				t.Constraints = append(t.Constraints, k)
				from = t.Name
			}
			if to := tables[refers]; to != nil {
				k.Refers = to.Name
				to.Incoming = append(to.Incoming, ddl.Reference{Name: k.Name, Table: from, Columns: referred})
			}
			return nil
		})
}

func (d *Database) readIndexes(ctx context.Context, tx pgx.Tx, _ *ddl.Catalog, tables map[uint32]*ddl.Table) error {
	return each(ctx, tx, `SELECT x.indrelid, c.relname::text, pg_get_indexdef(x.indexrelid),
			ARRAY(SELECT DISTINCT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = x.indrelid AND (a.attnum = ANY (x.indkey) AND a.attnum > 0
				OR EXISTS (SELECT 1 FROM pg_depend AS p WHERE p.classid = 'pg_class'::regclass AND p.objid = x.indexrelid AND p.refclassid = 'pg_class'::regclass
					AND p.refobjid = x.indrelid AND p.refobjsubid = a.attnum)))
		FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid
		WHERE x.indrelid = ANY ($1::oid[]) AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x') AND k.conrelid = x.indrelid)
		ORDER BY 1, 2`,
		[]any{oids(tables)}, func(r pgx.Rows) error {
			var oid uint32
			i := &ddl.Index{}
			if err := r.Scan(&oid, &i.Name, &i.Definition, &i.Columns); err != nil {
				return err
			}
			tables[oid].Indexes = append(tables[oid].Indexes, i)
			return nil
		})
}
