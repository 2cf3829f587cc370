package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
)

// makeViews makes a version: a schema with a view of each table, which whoever may use the table may use.
func (l *lease) makeViews(ctx context.Context, tx pgx.Tx, s ddl.Step) error {
	views := s.Views
	if s.All {
		c, err := l.d.catalog(ctx, tx)
		if err != nil {
			return err
		}
		views = c.Views()
	}
	version := ddl.Quote(s.Name)
	sql := []string{"CREATE SCHEMA " + version, "COMMENT ON SCHEMA " + version + " IS " + ddl.Literal(versionMark+l.d.schema)}
	grants, err := l.grants(ctx, tx)
	if err != nil {
		return err
	}
	for _, to := range grants.usage {
		sql = append(sql, "GRANT USAGE ON SCHEMA "+version+" TO "+to)
	}
	for _, v := range views {
		sql = append(sql, l.view(version, v)...)
		for _, g := range grants.tables[v.Table] {
			sql = append(sql, "GRANT "+g.what+" ON "+version+"."+ddl.Quote(v.Name)+" TO "+g.to)
		}
	}
	for _, q := range sql {
		if _, err := tx.Exec(ctx, q, pgx.QueryExecModeSimpleProtocol); err != nil {
			return kindOf(err, "%s", brief(q))
		}
	}
	return nil
}

func (l *lease) view(version string, v ddl.View) []string {
	name := version + "." + ddl.Quote(v.Name)
	cols := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		cols[i] = ddl.Quote(c.Physical) + " AS " + ddl.Quote(c.Name)
	}
	with := ""
	if l.d.server >= 150000 { // rights and row security are those of who asks
		with = " WITH (security_invoker = true)"
	}
	sql := []string{"CREATE VIEW " + name + with + " AS SELECT " + strings.Join(cols, ", ") + " FROM " + ddl.Quote(l.d.schema) + "." + ddl.Quote(v.Table)}
	if v.Comment != "" {
		sql = append(sql, "COMMENT ON VIEW "+name+" IS "+ddl.Literal(v.Comment))
	}
	for _, c := range v.Columns {
		if c.Default != nil {
			sql = append(sql, "ALTER VIEW "+name+" ALTER COLUMN "+ddl.Quote(c.Name)+" SET DEFAULT "+*c.Default)
		}
	}
	return sql
}

type grant struct{ what, to string }

type grants struct {
	usage  []string
	tables map[string][]grant
}

// grants reads who may do what in the schema of the tables.
func (l *lease) grants(ctx context.Context, tx pgx.Tx) (grants, error) {
	g := grants{tables: map[string][]grant{}}
	rows, err := tx.Query(ctx, `SELECT '' AS name, 'USAGE', a.grantee, coalesce(r.rolname, '') FROM pg_namespace AS n, aclexplode(n.nspacl) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
			WHERE n.nspname = $1 AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner
		UNION SELECT c.relname, a.privilege_type, a.grantee, coalesce(r.rolname, '') FROM pg_class AS c, aclexplode(c.relacl) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
			WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind IN ('r', 'p') AND a.grantee <> c.relowner
			AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
		ORDER BY 1, 2, 4`, l.d.schema)
	if err != nil {
		return g, kindOf(err, "read rights")
	}
	defer rows.Close()
	for rows.Next() {
		var table, what, to string
		var grantee uint32
		if err := rows.Scan(&table, &what, &grantee, &to); err != nil {
			return g, kindOf(err, "read rights")
		}
		switch {
		case grantee == 0:
			to = "PUBLIC"
		case to == "":
			continue // a role that is gone
		default:
			to = ddl.Quote(to)
		}
		if table == "" {
			g.usage = append(g.usage, to)
		} else {
			g.tables[table] = append(g.tables[table], grant{what, to})
		}
	}
	return g, kindOf(rows.Err(), "read rights")
}

// dropViews takes a version away, and nothing else: what was made on top of it stands in the way.
func (l *lease) dropViews(ctx context.Context, tx pgx.Tx, version string) error {
	var ours bool
	var views []string
	err := tx.QueryRow(ctx, `SELECT coalesce(obj_description(n.oid, 'pg_namespace') = $2, false), ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = n.oid AND relkind = 'v' ORDER BY 1)
		FROM pg_namespace AS n WHERE nspname = $1`, version, versionMark+l.d.schema).Scan(&ours, &views)
	switch {
	case err == pgx.ErrNoRows: //nolint:errorlint // pgx gives it as it is
		return nil // it was not made yet
	case err != nil:
		return kindOf(err, "look for version %s", version)
	case !ours:
		return errs.E(errs.Conflict, "schema %q is no version of schema %q", version, l.d.schema)
	}
	for part := range slices.Chunk(views, 200) {
		names := make([]string, len(part))
		for i, v := range part {
			names[i] = ddl.Quote(version) + "." + ddl.Quote(v)
		}
		if _, err := tx.Exec(ctx, "DROP VIEW "+strings.Join(names, ", ")); err != nil {
			return kindOf(err, "drop the views of version %s", version)
		}
	}
	_, err = tx.Exec(ctx, "DROP SCHEMA "+ddl.Quote(version))
	return kindOf(err, "drop version %s", version)
}
