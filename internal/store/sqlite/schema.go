package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"

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
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", mark(sqltext.After(all)))); err != nil {
		return kindOf(err, "record the schema version")
	}
	return kindOf(tx.Commit(), "bring the database to schema version %d", len(all))
}

// The file's one number for the schema holds both: the version in the lower half, the oldest version that can use it in the upper one,
// which is left out when they are the same.
func mark(s sqltext.Schema) int {
	if s.Oldest == s.Version {
		return s.Version // as it was when there was no more to say: versions are refused that do not know it
	}
	return s.Oldest<<16 | s.Version
}

func marked(number int) sqltext.Schema {
	if number>>16 == 0 {
		return sqltext.Schema{Version: number, Oldest: number}
	}
	return sqltext.Schema{Version: number & 0xffff, Oldest: number >> 16}
}

// Check says whether this program can use the file at path, without changing anything. A file that is not there will be made.
func Check(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	all, err := steps()
	if err != nil {
		return err
	}
	db, err := openPool(path, 1, url.Values{"_busy_timeout": {strconv.FormatInt(defaultPatience.Milliseconds(), 10)}, "_query_only": {"1"}})
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return kindOf(err, "open the database file %s", path)
	}
	defer tx.Rollback()
	have, err := (&Store{path: path}).version(ctx, tx)
	if err != nil {
		return err
	}
	_, err = sqltext.Pending(all, have)
	return err
}

// version returns the file's schema, version 0 when it is empty, and refuses another program's file.
func (s *Store) version(ctx context.Context, tx *sql.Tx) (sqltext.Schema, error) {
	var version, app, tables int
	for query, dest := range map[string]*int{
		"PRAGMA user_version":                &version,
		"PRAGMA application_id":              &app,
		"SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := tx.QueryRowContext(ctx, query).Scan(dest); err != nil {
			return sqltext.Schema{}, kindOf(err, "read the database file %s", s.path)
		}
	}
	if app != applicationID && (version != 0 || tables != 0) {
		return sqltext.Schema{}, errs.E(errs.Invalid, "%s is the database of another program, not of Ringfence", s.path)
	}
	return marked(version), nil
}
