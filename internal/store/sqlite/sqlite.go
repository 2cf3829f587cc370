package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"modernc.org/sqlite"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/batch"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

const (
	schema  = "main" // SQLite's name of the file that was opened
	readers = 4

	// defaultPatience is how long to wait for another process that holds the file's lock.
	defaultPatience = 5 * time.Second
)

// Store is a store in an SQLite file.
type Store struct {
	path   string
	file   os.FileInfo // of the file that was opened
	writer *sql.DB     // one connection
	reader *sql.DB
	doc    *sql.Stmt
	stmts  statements
	group  *batch.Group
}

// Open opens the file at path and creates it, and its folder, when there is none.
func Open(ctx context.Context, path string) (*Store, error) { return open(ctx, path, defaultPatience) }

func open(ctx context.Context, path string, patience time.Duration) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "database file %s", path)
	}
	s := &Store{path: path}
	if s.file, err = prepareFile(path); err != nil {
		return nil, err
	}
	if err := s.connect(ctx, patience); err != nil {
		return nil, errors.Join(err, s.closeAll())
	}
	s.group = batch.New(s.transact)
	return s, nil
}

// prepareFile makes the file before SQLite would, which gives the log and index files beside it the same mode.
func prepareFile(path string) (os.FileInfo, error) {
	fail := func(err error) (os.FileInfo, error) {
		kind := errs.Unavailable
		if errors.Is(err, fs.ErrPermission) {
			kind = errs.Denied
		}
		return nil, errs.Wrap(kind, err, "database file")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fail(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errs.E(errs.Invalid, "database file %s: expected a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return fail(err)
		}
	}
	return info, nil
}

func (s *Store) connect(ctx context.Context, patience time.Duration) error {
	wait := strconv.FormatInt(patience.Milliseconds(), 10)
	var err error
	s.writer, err = openPool(s.path, 1, url.Values{"_busy_timeout": {wait}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"},
		"_foreign_keys": {"on"}, "_txlock": {"immediate"}, "_dqs": {"0"}, "_defensive": {"1"},
		"_pragma": {"journal_size_limit(67108864)"}}) // or the log keeps for ever the size that it had during a long backup
	if err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if err := checkPragmas(ctx, s.writer); err != nil {
		return err
	}
	s.reader, err = openPool(s.path, readers, url.Values{"_busy_timeout": {wait}, "_query_only": {"1"}, "_dqs": {"0"}, "_defensive": {"1"}})
	if err != nil {
		return err
	}
	if err := s.checkHead(ctx); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.growTree(ctx)
}

func openPool(path string, n int, settings url.Values) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "database file %s", path)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// checkPragmas refuses to run without what durability rests on, whatever the file system made of it.
func checkPragmas(ctx context.Context, db *sql.DB) error {
	var mode string
	var sync int
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return kindOf(err, "read the journal mode")
	}
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&sync); err != nil {
		return kindOf(err, "read the synchronous setting")
	}
	if mode != "wal" || sync != 2 {
		return errs.E(errs.Invalid, "the database file cannot be used safely: journal mode %s, synchronous %d, expected wal and 2", mode, sync).
			Next("Put it on a local file system.")
	}
	return nil
}

// checkHead compares the head of the chain with the last event.
func (s *Store) checkHead(ctx context.Context) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return kindOf(err, "read the record")
	}
	defer tx.Rollback()
	head, err := readHead(ctx, tx)
	if err != nil {
		return err
	}
	last, err := sqltext.ScanEvent(tx.QueryRowContext(ctx, sqltext.LastEvent(schema)))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return kindOf(err, "read the last event")
	}
	return batch.CheckHead(head, last)
}

// Head returns the number and hash of the last event: 0 and audit.Genesis when there is none.
func (s *Store) Head(ctx context.Context) (seq int64, hash string, err error) {
	h, err := readHead(ctx, s.reader)
	return h.Seq, h.Hash, err
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func readHead(ctx context.Context, q querier) (batch.Head, error) {
	return scanHead(q.QueryRowContext(ctx, sqltext.Head(schema)))
}

// Get returns a document, errs.Missing when there is none.
func (s *Store) Get(ctx context.Context, kind, name string) (store.Doc, error) {
	d, err := sqltext.ScanDoc(s.doc.QueryRowContext(ctx, kind, name))
	if errors.Is(err, sql.ErrNoRows) {
		return store.Doc{}, errs.E(errs.Missing, "there is no %s/%s", kind, name)
	}
	if err != nil {
		return store.Doc{}, kindOf(err, "read %s/%s", kind, name)
	}
	return d, nil
}

// List returns a page of documents in order of their names.
func (s *Store) List(ctx context.Context, p store.Page) ([]store.Doc, error) {
	p, err := p.Check()
	if err != nil {
		return nil, err
	}
	text, args := sqltext.Docs(schema, p)
	return collect(ctx, s.reader, sqltext.ScanDoc, text, args...)
}

// Events returns the events that q asks for.
func (s *Store) Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error) {
	q, err := q.Check()
	if err != nil {
		return nil, err
	}
	text, args := sqltext.Events(schema, q)
	return collect(ctx, s.reader, sqltext.ScanEvent, text, args...)
}

func collect[T any](ctx context.Context, db *sql.DB, scan func(sqltext.Row) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := each(ctx, db, scan, func(v T) error { all = append(all, v); return nil }, query, args...)
	return all, err
}

type rowsQuerier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func each[T any](ctx context.Context, q rowsQuerier, scan func(sqltext.Row) (T, error), do func(T) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return kindOf(err, "read the database")
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return kindOf(err, "read the database")
		}
		if err := do(v); err != nil {
			return err
		}
	}
	return kindOf(rows.Err(), "read the database")
}

// Commit stores w whole or not at all and returns its events, sealed.
func (s *Store) Commit(ctx context.Context, w store.Write) ([]audit.Event, error) {
	return s.group.Commit(ctx, w)
}

// Close finishes the writes that wait and closes the file.
func (s *Store) Close() error {
	s.group.Close()
	return s.closeAll()
}

// closeAll closes the writer last: closing the last connection empties the log into the file.
func (s *Store) closeAll() error {
	var errList []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errList = append(errList, db.Close())
		}
	}
	return errors.Join(errList...)
}
