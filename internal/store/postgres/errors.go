package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ringfence/ringfence/internal/errs"
)

// kindOf gives err its kind, nil for nil. What the server did not say itself is about the connection to it.
func kindOf(err error, format string, args ...any) error {
	var e *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows): // only asked where there must be one
		return errs.Wrap(errs.Internal, err, format+": the database is damaged", args...).Next("Restore a backup into an empty database.")
	case !errors.As(err, &e):
		return errs.Wrap(errs.Unavailable, err, format, args...)
	}
	return errs.Wrap(kindOfCode(e.Code), err, format, args...)
}

// kindOfCode translates an SQLSTATE, by its class or whole.
func kindOfCode(code string) errs.Kind {
	for _, prefix := range []string{
		"08",    // connection
		"53",    // resources: full disk, memory, connections
		"57",    // the operator stops or starts the server, or a query was cancelled
		"58",    // the system under it
		"40",    // rolled back: deadlock, serialization
		"55P03", // lock not to be had in time
		"25006", // read only: a standby
		"25P03", // idle in a transaction for too long
	} {
		if strings.HasPrefix(code, prefix) {
			return errs.Unavailable
		}
	}
	switch code {
	case "42501": // right missing
		return errs.Denied
	case "3D000", "28000", "28P01": // no such database, no such user, wrong password
		return errs.Invalid
	}
	return errs.Internal
}

// commitError tells apart a commit that the server refused from one whose answer never came.
func commitError(err error) error {
	var e *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrTxCommitRollback), errors.As(err, &e):
		return kindOf(err, "commit a write")
	}
	return errs.Wrap(errs.Unavailable, err, "the database was lost during a commit, whose outcome is not known")
}
