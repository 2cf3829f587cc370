package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks our files. The first migration sets it.
const applicationID = 1382499950

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

// migrate applies what the file lacks, all in one transaction.
func (s *Store) migrate(ctx context.Context) error {
	all, err := steps()
	if err != nil {
		return err
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return kindOf(err, "open the database file %s", s.path)
	}
	defer tx.Rollback()
	have, err := s.version(ctx, tx)
	if err != nil {
		return err
	}
	pending, err := sqltext.Pending(all, have)
	if err != nil || len(pending) == 0 {
		return err
	}
	for _, step := range pending {
		if _, err := tx.ExecContext(ctx, step.SQL); err != nil {
			return kindOf(err, "bring the database to schema version %d", step.Version)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(all))); err != nil {
		return kindOf(err, "record the schema version")
	}
	return kindOf(tx.Commit(), "bring the database to schema version %d", len(all))
}

// version returns the file's schema version, 0 when it is empty, and refuses another program's file.
func (s *Store) version(ctx context.Context, tx *sql.Tx) (int, error) {
	var version, app, tables int
	for query, dest := range map[string]*int{
		"PRAGMA user_version":                &version,
		"PRAGMA application_id":              &app,
		"SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := tx.QueryRowContext(ctx, query).Scan(dest); err != nil {
			return 0, kindOf(err, "read the database file %s", s.path)
		}
	}
	if app != applicationID && (version != 0 || tables != 0) {
		return 0, errs.E(errs.Invalid, "%s is the database of another program, not of Ringfence", s.path)
	}
	return version, nil
}
