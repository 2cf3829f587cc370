package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/ringfence/ringfence/internal/errs"
)

// kindOf gives err its kind, nil for nil. What SQLite did not say itself is about the connection: closed, given up.
func kindOf(err error, format string, args ...any) error {
	var e *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows): // only asked where there must be one
		return damaged(err, format, args...)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), !errors.As(err, &e):
		return errs.Wrap(errs.Unavailable, err, format, args...)
	}
	switch e.Code() & 0xff { // the higher bits say which operation failed
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN,
		lib.SQLITE_READONLY, lib.SQLITE_NOMEM, lib.SQLITE_PROTOCOL, lib.SQLITE_INTERRUPT:
		return errs.Wrap(errs.Unavailable, err, format, args...)
	case lib.SQLITE_NOTADB:
		return errs.Wrap(errs.Invalid, err, format+": not a database of Ringfence", args...)
	case lib.SQLITE_CORRUPT:
		return damaged(err, format, args...)
	}
	return errs.Wrap(errs.Internal, err, format, args...)
}

func damaged(err error, format string, args ...any) error {
	return errs.Wrap(errs.Internal, err, format+": the database file is damaged", args...).Next("Restore a backup into a new file.")
}
