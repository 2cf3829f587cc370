package postgres

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/schema"
)

//go:embed state.sql
var stateSQL string

const (
	application    = "ringfence schema" // sessions of ours
	leaseClass     = 1380337253
	versionClass   = 1380337254 // in state.sql too
	callClass      = 1380337255 // likewise
	knownClass     = 1380337256
	leastServer    = 140000
	connectTimeout = 10 * time.Second
	versionMark    = "ringfence: version of "
)

// Database is a schema of a PostgreSQL database.
type Database struct {
	pool   *pgxpool.Pool
	config *pgx.ConnConfig
	schema string
	path   []string // other schemas of the user's search_path
	server int
	super  bool
}

// Open connects to the database at address, whose tables are in schemaName. Nothing is made in it before the first lease.
func Open(ctx context.Context, address, schemaName string) (*Database, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the address of the database is not understood, expected postgres://user@host:port/database") // never the address: it may hold a password
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	config.MaxConns = 3
	config.ConnConfig.RuntimeParams["application_name"] = application
	// No statement is prepared for later: what a name means may change between two uses.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, kindOf(err, "connect to PostgreSQL")
	}
	d := &Database{pool: pool, config: config.ConnConfig, schema: schemaName}
	if err := d.look(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return d, nil
}

func (d *Database) look(ctx context.Context) error {
	var encoding string
	var there bool
	err := d.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('is_superuser') = 'on', current_setting('server_encoding'),
		current_schemas(false)::text[], EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)`, d.schema).Scan(&d.server, &d.super, &encoding, &d.path, &there)
	switch {
	case err != nil:
		return kindOf(err, "connect to PostgreSQL")
	case d.server < leastServer:
		return errs.E(errs.Invalid, "the server is PostgreSQL %d, expected 14 or later", d.server/10000)
	case encoding != "UTF8":
		return errs.E(errs.Invalid, "the database has the encoding %s, expected UTF8", encoding)
	case !there:
		return errs.E(errs.Missing, "the database has no schema %q", d.schema)
	}
	kept := d.path[:0]
	for _, p := range d.path {
		if p != d.schema && !strings.HasPrefix(p, d.schema+"_") {
			kept = append(kept, p)
		}
	}
	d.path = kept
	return nil
}

// Close ends all connections.
func (d *Database) Close() { d.pool.Close() }

// Records are the migrations, the latest first.
func (d *Database) Records(ctx context.Context, n int) ([]schema.Record, error) {
	var there bool
	if err := d.pool.QueryRow(ctx, "SELECT to_regclass('ringfence_schema.migrations') IS NOT NULL").Scan(&there); err != nil || !there {
		return nil, kindOf(err, "look for records")
	}
	rows, err := d.pool.Query(ctx, `SELECT state, plan FROM ringfence_schema.migrations WHERE schema = $1
		ORDER BY phase IN ('starting', 'started') DESC, started DESC, name DESC LIMIT $2`, d.schema, n)
	if err != nil {
		return nil, kindOf(err, "read records")
	}
	defer rows.Close()
	var all []schema.Record
	for rows.Next() {
		var state, plan []byte
		if err := rows.Scan(&state, &plan); err != nil {
			return nil, kindOf(err, "read records")
		}
		var r schema.Record
		if err := errors.Join(json.Unmarshal(state, &r), json.Unmarshal(plan, &r.Plan)); err != nil {
			return nil, errs.Wrap(errs.Internal, err, "a record of a migration is not understood")
		}
		all = append(all, r)
	}
	return all, kindOf(rows.Err(), "read records")
}

// stateOf is a record without its plan, which is stored beside it and does not change.
func stateOf(r schema.Record) ([]byte, error) {
	r.Plan = ddl.Plan{}
	return json.Marshal(r)
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// move stores how far a migration is.
func (d *Database) move(ctx context.Context, on execer, r schema.Record) error {
	state, err := stateOf(r)
	if err != nil {
		return err
	}
	tag, err := on.Exec(ctx, "UPDATE ringfence_schema.migrations SET phase = $3, state = $4 WHERE schema = $1 AND name = $2", d.schema, r.Name, string(r.Phase), string(state))
	if err == nil && tag.RowsAffected() != 1 {
		return errs.E(errs.Internal, "the record of migration %s is gone", r.Name)
	}
	return kindOf(err, "store the record of migration %s", r.Name)
}

// Pressure says how the database fares.
func (d *Database) Pressure(ctx context.Context) (schema.Pressure, error) {
	var p schema.Pressure
	var lag, age float64
	err := d.pool.QueryRow(ctx, `SELECT coalesce(extract(epoch FROM r.lag), 0)::float8, coalesce(r.name, ''), coalesce(extract(epoch FROM t.age), 0)::float8, coalesce(t.pid, 0)
		FROM (SELECT 1) AS one
		LEFT JOIN (SELECT replay_lag AS lag, application_name AS name FROM pg_stat_replication ORDER BY replay_lag DESC NULLS LAST LIMIT 1) AS r ON true
		LEFT JOIN (SELECT clock_timestamp() - a.xact_start AS age, a.pid FROM pg_stat_activity AS a
			WHERE a.datname = current_database() AND a.xact_start IS NOT NULL AND a.application_name <> $1
			AND (NOT $2 OR a.backend_type IS DISTINCT FROM 'autovacuum worker')
			AND EXISTS (SELECT 1 FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation WHERE l.pid = a.pid AND l.database = a.datid AND c.relnamespace <> 'pg_catalog'::regnamespace)
			ORDER BY a.xact_start LIMIT 1) AS t ON true`, application, d.super).Scan(&lag, &p.Replica, &age, &p.PID)
	if err != nil {
		return p, kindOf(err, "ask how the database fares")
	}
	p.Lag, p.Transaction = time.Duration(lag*float64(time.Second)), time.Duration(age*float64(time.Second))
	begin := time.Now()
	if _, err := d.pool.Exec(ctx, "UPDATE ringfence_schema.probe SET at = now() WHERE id = 1"); err != nil {
		var e *pgconn.PgError
		if errors.As(err, &e) && e.Code == "42P01" { // not made yet: there was no migration
			return p, nil
		}
		return p, kindOf(err, "time a small write")
	}
	p.Answer = time.Since(begin)
	return p, nil
}

// kindOf gives an error of the database its kind, nil for nil. Locks that were not to be had are ErrBusy.
func kindOf(err error, format string, args ...any) error {
	var e *pgconn.PgError
	var known *errs.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case !errors.As(err, &e):
		return errs.Wrap(errs.Unavailable, err, format, args...)
	}
	what := fmt.Sprintf(format, args...)
	if e.Detail != "" {
		what += " (" + e.Detail + ")"
	}
	switch e.Code {
	case "55P03", "40P01", "40001":
		return errs.Wrap(errs.Unavailable, errors.Join(schema.ErrBusy, err), "%s", what)
	case "42501", "28000", "28P01":
		return errs.Wrap(errs.Denied, err, "%s", what)
	case "3D000":
		return errs.Wrap(errs.Invalid, err, "%s", what)
	}
	switch e.Code[:2] {
	case "08", "53", "57", "58", "40":
		return errs.Wrap(errs.Unavailable, err, "%s", what)
	case "22", "23", "42", "0A", "2B", "55": // data or statements of the migration's own
		return errs.Wrap(errs.Invalid, err, "%s", what)
	}
	return errs.Wrap(errs.Internal, err, "%s", what)
}
