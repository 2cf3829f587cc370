package postgres

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/batch"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

const (
	defaultSchema = "ringfence"
	connections   = 8

	connectTimeout = 10 * time.Second
	writeTimeout   = 30 * time.Second // of one batch, so that a silent network does not hold up writers for ever
)

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Store is a store in a schema of a PostgreSQL database.
type Store struct {
	pool   *pgxpool.Pool
	schema string // quoted
	texts  texts
	group  *batch.Group
}

// Open connects to the database at address, postgres://user@host/database?schema=name, and creates the schema
// when there is none.
func Open(ctx context.Context, address string) (*Store, error) {
	s, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	if err = s.migrate(ctx); err == nil {
		err = s.checkHead(ctx)
	}
	if err == nil {
		err = s.growTree(ctx)
	}
	if err != nil {
		s.pool.Close()
		return nil, err
	}
	s.group = batch.New(s.transact)
	return s, nil
}

// connect makes a store that is not yet known to be one of ours.
func connect(ctx context.Context, address string) (*Store, error) {
	config, schema, err := parse(address)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, kindOf(err, "connect to PostgreSQL")
	}
	s := &Store{pool: pool, schema: pgx.Identifier{schema}.Sanitize()}
	s.texts = textsOf(s.schema)
	return s, nil
}

// parse takes our own setting out of the address, which PostgreSQL would not know.
func parse(address string) (*pgxpool.Config, string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, "", errs.E(errs.Invalid, "database address: expected postgres://user@host:port/database") // never the address: it may hold a password
	}
	settings := u.Query()
	schema := settings.Get("schema")
	if schema == "" {
		schema = defaultSchema
	}
	if !schemaName.MatchString(schema) || strings.HasPrefix(schema, "pg_") {
		return nil, "", errs.E(errs.Invalid, "schema %q: expected lower-case letters, digits and _, at most 63, not beginning with a digit or pg_", schema)
	}
	settings.Del("schema")
	bounded := settings.Has("pool_max_conns")
	u.RawQuery = settings.Encode()
	config, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return nil, "", errs.Wrap(errs.Invalid, err, "database address") // pgx masks the password
	}
	if !bounded {
		config.MaxConns = connections
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "ringfence"
	}
	return config, schema, nil
}

// checkHead compares the head of the chain with the last event.
func (s *Store) checkHead(ctx context.Context) error {
	return s.snapshot(ctx, func(tx pgx.Tx) error {
		head, err := s.readHead(ctx, tx)
		if err != nil {
			return err
		}
		last, err := sqltext.ScanEvent(tx.QueryRow(ctx, sqltext.LastEvent(s.schema)))
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return kindOf(err, "read the last event")
		}
		return batch.CheckHead(head, last)
	})
}

// snapshot runs f on everything as of one moment, while writes go on.
func (s *Store) snapshot(ctx context.Context, f func(pgx.Tx) error) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return kindOf(err, "begin to read")
	}
	defer tx.Rollback(ctx)
	return f(tx)
}

// Head returns the number and hash of the last event: 0 and audit.Genesis when there is none.
func (s *Store) Head(ctx context.Context) (seq int64, hash string, err error) {
	h, err := s.readHead(ctx, s.pool)
	return h.Seq, h.Hash, err
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func (s *Store) readHead(ctx context.Context, q querier) (batch.Head, error) {
	h, err := scanHead(q.QueryRow(ctx, s.texts.head))
	return h, kindOf(err, "read the head of the chain")
}

// Get returns a document, errs.Missing when there is none.
func (s *Store) Get(ctx context.Context, kind, name string) (store.Doc, error) {
	missing := errs.E(errs.Missing, "there is no %s/%s", kind, name)
	if _, err := (store.Page{Kind: kind, Prefix: name}).Check(); err != nil {
		return store.Doc{}, missing // no such name can be: PostgreSQL would refuse the question itself
	}
	d, err := sqltext.ScanDoc(s.pool.QueryRow(ctx, s.texts.doc, kind, name))
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Doc{}, missing
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
	text, args := sqltext.Docs(s.schema, p)
	return collect(ctx, s.pool, sqltext.ScanDoc, text, args...)
}

// Events returns the events that q asks for.
func (s *Store) Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error) {
	q, err := q.Check()
	if err != nil {
		return nil, err
	}
	text, args := sqltext.Events(s.schema, q)
	return collect(ctx, s.pool, sqltext.ScanEvent, text, args...)
}

func collect[T any](ctx context.Context, q querier, scan func(sqltext.Row) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := each(ctx, q, scan, func(v T) error { all = append(all, v); return nil }, query, args...)
	return all, err
}

func each[T any](ctx context.Context, q querier, scan func(sqltext.Row) (T, error), do func(T) error, query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
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

// Close finishes the writes that wait and closes all connections.
func (s *Store) Close() error {
	s.group.Close()
	s.pool.Close()
	return nil
}
