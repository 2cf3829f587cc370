package postgres

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

//go:embed migrations/*.sql
var migrations embed.FS

func steps() ([]sqltext.Step, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return sqltext.Steps(sub)
}

// schemaVersion is the version that this program writes.
func schemaVersion() (int, error) {
	all, err := steps()
	return len(all), err
}

// migrate applies what the schema lacks, all in one transaction, one process at a time.
func (s *Store) migrate(ctx context.Context) error {
	all, err := steps()
	if err != nil {
		return err
	}
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return kindOf(err, "connect to PostgreSQL")
	}
	defer tx.Rollback(ctx)
	var encoding string
	if err := tx.QueryRow(ctx, "SELECT current_setting('server_encoding')").Scan(&encoding); err != nil {
		return kindOf(err, "read the database's encoding")
	}
	if encoding != "UTF8" {
		return errs.E(errs.Invalid, "the database has the encoding %s, expected UTF8", encoding)
	}
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('ringfence schema ' || $1))", s.schema); err != nil {
		return kindOf(err, "lock the schema")
	}
	have, err := s.version(ctx, tx)
	if err != nil {
		return err
	}
	pending, err := sqltext.Pending(all, have)
	if err != nil || len(pending) == 0 {
		return err
	}
	for _, step := range pending {
		if err := s.apply(ctx, tx, step); err != nil {
			return err
		}
	}
	return kindOf(tx.Commit(ctx), "bring the database to schema version %d", len(all))
}

// version returns the schema's version, 0 when there is none. It makes the schema only when it is not there,
// since making one takes a right that using it does not.
func (s *Store) version(ctx context.Context, tx pgx.Tx) (have sqltext.Schema, err error) {
	var there, versioned bool
	err = tx.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL", s.schema, s.schema+".schema_version").Scan(&there, &versioned)
	if err != nil {
		return have, kindOf(err, "look for the schema %s", s.schema)
	}
	if !there {
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+s.schema); err != nil {
			return have, kindOf(err, "create the schema %s", s.schema)
		}
	}
	if !versioned {
		_, err := tx.Exec(ctx, "CREATE TABLE "+s.schema+".schema_version (version integer PRIMARY KEY, name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())")
		return have, kindOf(err, "create the table of schema versions")
	}
	return s.written(ctx, tx)
}

// written reads what the database says of its schema. A step that older programs survive says so at the end of its name.
func (s *Store) written(ctx context.Context, tx pgx.Tx) (have sqltext.Schema, err error) {
	var name string
	err = tx.QueryRow(ctx, "SELECT version, name FROM "+s.schema+".schema_version ORDER BY version DESC LIMIT 1").Scan(&have.Version, &name)
	if errors.Is(err, pgx.ErrNoRows) {
		return sqltext.Schema{}, nil
	}
	have.Oldest = have.Version
	if _, oldest, ok := strings.Cut(name, oldestMark); ok && err == nil {
		have.Oldest, err = strconv.Atoi(oldest)
	}
	return have, kindOf(err, "read the schema version")
}

// oldestMark stands between a step's name and the oldest version that can use what it leaves.
const oldestMark = " for "

// Check says whether this program can use the database, without changing anything.
func Check(ctx context.Context, address string) error {
	all, err := steps()
	if err != nil {
		return err
	}
	s, err := connect(ctx, address)
	if err != nil {
		return err
	}
	defer s.pool.Close()
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return kindOf(err, "connect to PostgreSQL")
	}
	defer tx.Rollback(ctx)
	var versioned bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", s.schema+".schema_version").Scan(&versioned); err != nil || !versioned {
		return kindOf(err, "look for the schema %s", s.schema)
	}
	have, err := s.written(ctx, tx)
	if err != nil {
		return err
	}
	_, err = sqltext.Pending(all, have)
	return err
}

func nameOf(step sqltext.Step) string {
	if step.Oldest == step.Version {
		return step.Name
	}
	return step.Name + oldestMark + strconv.Itoa(step.Oldest)
}

func (s *Store) apply(ctx context.Context, tx pgx.Tx, step sqltext.Step) error {
	text := strings.ReplaceAll(step.SQL, "$schema.", s.schema+".")
	if _, err := tx.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol); err != nil { // the only mode that takes several statements
		return kindOf(err, "bring the database to schema version %d", step.Version)
	}
	_, err := tx.Exec(ctx, "INSERT INTO "+s.schema+".schema_version (version, name) VALUES ($1, $2)", step.Version, nameOf(step))
	return kindOf(err, "record schema version %d", step.Version)
}
