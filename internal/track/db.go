package track

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/ringfence/ringfence/internal/errs"
)

// file is one SQLite file: a connection that writes, and some that read.
type file struct {
	path   string
	writer *sql.DB
	reader *sql.DB
}

// applicationID marks our files, 'RgTr'; schemaVersion is what this program writes.
const (
	applicationID = 0x52675472
	schemaVersion = 1
	readers       = 4
)

func openFile(ctx context.Context, path, schema string, cachePages int) (*file, error) {
	if err := prepare(path); err != nil {
		return nil, err
	}
	f := &file{path: path}
	pragmas := []string{fmt.Sprintf("cache_size(%d)", cachePages), "journal_size_limit(67108864)"}
	f.writer = pool(path, 1, url.Values{"_busy_timeout": {"5000"}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"},
		"_txlock": {"immediate"}, "_dqs": {"0"}, "_defensive": {"1"}, "_pragma": pragmas})
	if f.writer == nil {
		return nil, errs.E(errs.Invalid, "events: %s is no usable path", path)
	}
	if err := f.migrate(ctx, schema); err != nil {
		return nil, errors.Join(err, f.close())
	}
	f.reader = pool(path, readers, url.Values{"_busy_timeout": {"5000"}, "_query_only": {"1"}, "_dqs": {"0"}, "_defensive": {"1"}})
	return f, nil
}

// prepare makes the file before SQLite would, so that it and those beside it are their owner's alone.
func prepare(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		kind := errs.Unavailable
		if errors.Is(err, fs.ErrPermission) {
			kind = errs.Denied
		}
		return errs.Wrap(kind, err, "file of events")
	}
	return f.Close()
}

func pool(path string, n int, settings url.Values) *sql.DB {
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db
}

// migrate makes the tables of an empty file and refuses a file that is newer or another program's, or that cannot be written safely.
func (f *file) migrate(ctx context.Context, schema string) error {
	var version, app, tables, sync int
	var mode string
	for _, q := range []struct {
		text string
		dest any
	}{{"PRAGMA user_version", &version}, {"PRAGMA application_id", &app}, {"SELECT count(*) FROM sqlite_schema", &tables},
		{"PRAGMA journal_mode", &mode}, {"PRAGMA synchronous", &sync}} {
		if err := f.writer.QueryRowContext(ctx, q.text).Scan(q.dest); err != nil {
			return kindOf(err, "open %s", f.path)
		}
	}
	switch {
	case mode != "wal" || sync != 2:
		return errs.E(errs.Invalid, "%s cannot be used safely: journal mode %s, synchronous %d, expected wal and 2", f.path, mode, sync).
			Next("Put it on a local file system.")
	case tables == 0 && version == 0:
	case app != applicationID:
		return errs.E(errs.Invalid, "%s is the database of another program", f.path)
	case version > schemaVersion:
		return errs.E(errs.Invalid, "%s is of schema version %d, newer than this program's %d", f.path, version, schemaVersion)
	default:
		return nil
	}
	tx, err := f.writer.BeginTx(ctx, nil)
	if err != nil {
		return kindOf(err, "open %s", f.path)
	}
	defer tx.Rollback()
	text := fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d", schema, applicationID, schemaVersion)
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return kindOf(err, "make the tables of %s", f.path)
	}
	return kindOf(tx.Commit(), "make the tables of %s", f.path)
}

func (f *file) close() error {
	var err error
	if f.reader != nil {
		err = f.reader.Close()
	}
	return errors.Join(err, f.writer.Close())
}

// lock makes the folder this process' alone: two that fold one journal would count events twice.
func lock(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "lock the folder of events")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errs.E(errs.Conflict, "another process has the events in %s", folder)
		}
		return nil, errs.Wrap(errs.Unavailable, err, "lock the folder of events")
	}
	return f, nil
}

// kindOf gives an error of SQLite its kind, nil for nil.
func kindOf(err error, format string, args ...any) error {
	var e *sqlite.Error
	if err == nil {
		return nil
	}
	if !errors.As(err, &e) { // of the connection: closed, given up
		return errs.Wrap(errs.Unavailable, err, format, args...)
	}
	switch e.Code() & 0xff { // the higher bits say which operation failed
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN,
		lib.SQLITE_READONLY, lib.SQLITE_NOMEM, lib.SQLITE_PROTOCOL, lib.SQLITE_INTERRUPT:
		return errs.Wrap(errs.Unavailable, err, format, args...)
	case lib.SQLITE_NOTADB:
		return errs.Wrap(errs.Invalid, err, format+": not a database of Ringfence", args...)
	case lib.SQLITE_CORRUPT:
		return errs.Wrap(errs.Internal, err, format+": the file is damaged", args...)
	}
	return errs.Wrap(errs.Internal, err, format, args...)
}
