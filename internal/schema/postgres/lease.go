package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/schema"
)

const (
	quickTimeout = 15 * time.Second // of a statement that only changes the catalogue, behind its locks
	closeTimeout = 5 * time.Second
	leaseWait    = 2 * time.Second
	holdTimeout  = 2 * time.Second // of a contract or a rollback, behind its locks: for as long may calls of programs wait
	ownDeadlock  = "40ms"          // deadlock_timeout of ours, where it may be set: we see a deadlock before programs do, and autovacuum makes way
)

// lease is a connection that holds the advisory lock of the database.
type lease struct {
	d    *Database
	conn *pgx.Conn
}

// Lease takes the lease, and makes what is ours in the database when it is not there.
func (d *Database) Lease(ctx context.Context) (schema.Lease, error) {
	config := d.config.Copy()
	path := []string{ddl.Quote(d.schema)}
	for _, p := range d.path {
		path = append(path, ddl.Quote(p))
	}
	config.RuntimeParams["search_path"] = strings.Join(path, ", ")
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "60s"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, kindOf(err, "connect to PostgreSQL")
	}
	l := &lease{d, conn}
	if err := l.take(ctx); err != nil {
		l.Close()
		return nil, err
	}
	if err := l.prepare(ctx); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// take waits a moment for the lease: the session of a program that died may take as long to end.
func (l *lease) take(ctx context.Context) error {
	for deadline := time.Now().Add(leaseWait); ; {
		var held bool
		if err := l.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, 0)", leaseClass).Scan(&held); err != nil {
			return kindOf(err, "take the lease")
		}
		if held {
			return nil
		}
		if time.Now().After(deadline) {
			return l.taken(ctx)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return errs.Wrap(errs.Unavailable, ctx.Err(), "take the lease")
		}
	}
}

func (l *lease) taken(ctx context.Context) error {
	var pid int
	_ = l.conn.QueryRow(ctx, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND objid = 0 AND granted LIMIT 1", leaseClass).Scan(&pid) // only for the message
	return errs.Wrap(errs.Conflict, schema.ErrLeased, "another migration works on this database, in process %d", pid).Next("Wait until it is done; when its program has died, end its session by SELECT pg_terminate_backend(%d).", pid)
}

// prepare makes what is ours, once.
func (l *lease) prepare(ctx context.Context) error {
	var there bool
	if err := l.conn.QueryRow(ctx, "SELECT to_regprocedure('ringfence_schema.enter(text[])') IS NOT NULL").Scan(&there); err != nil || there {
		return kindOf(err, "look for what is ours")
	}
	_, err := l.conn.Exec(ctx, "BEGIN;"+stateSQL+"COMMIT", pgx.QueryExecModeSimpleProtocol)
	return kindOf(err, "make the schema %s", ddl.StateSchema)
}

// Close gives the lease back by ending its connection.
func (l *lease) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_, _ = l.conn.Exec(ctx, "SELECT pg_advisory_unlock_all()") // at once; otherwise with the session, a moment later
	_ = l.conn.Close(ctx)                                      // the server notices by itself, too
}

// Check has the database understand queries.
func (l *lease) Check(ctx context.Context, checks []ddl.Check) error {
	for _, c := range checks {
		if _, err := l.conn.Prepare(ctx, "", c.SQL); err != nil {
			return kindOf(err, "%s is not understood by the database", c.What)
		}
	}
	return nil
}

// Save stores a record with its plan.
func (l *lease) Save(ctx context.Context, r schema.Record) error {
	state, err := stateOf(r)
	if err != nil {
		return err
	}
	plan, err := json.Marshal(r.Plan)
	if err != nil {
		return err
	}
	_, err = l.conn.Exec(ctx, `INSERT INTO ringfence_schema.migrations AS m (schema, name, phase, state, plan, started) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (schema, name) DO UPDATE SET phase = excluded.phase, state = excluded.state, plan = excluded.plan, started = excluded.started`,
		l.d.schema, r.Name, string(r.Phase), string(state), string(plan), r.Started)
	var e *pgconn.PgError
	if errors.As(err, &e) && e.ConstraintName == "one_at_a_time" {
		return errs.E(errs.Conflict, "another migration is under way in this database")
	}
	return kindOf(err, "store the record of migration %s", r.Name)
}

// Do carries out an act.
func (l *lease) Do(ctx context.Context, a schema.Act) error {
	switch a.Step.Kind {
	case ddl.StepIndex:
		if err := l.buildIndex(ctx, a.Step); err != nil {
			return err
		}
		return l.d.move(ctx, l.conn, a.Record)
	case ddl.StepPlain:
		for _, s := range a.Step.SQL {
			if _, err := l.conn.Exec(ctx, s, pgx.QueryExecModeSimpleProtocol); err != nil {
				return kindOf(err, "%s", brief(s))
			}
		}
		return l.d.move(ctx, l.conn, a.Record)
	}
	return l.inTx(ctx, func(tx pgx.Tx) error { return l.act(ctx, tx, a) })
}

func (l *lease) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	tx, err := l.conn.Begin(ctx)
	if err != nil {
		return kindOf(err, "begin a transaction")
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after a commit there is nothing to roll back
	if err := do(tx); err != nil {
		return err
	}
	return kindOf(tx.Commit(ctx), "commit")
}

func (l *lease) act(ctx context.Context, tx pgx.Tx, a schema.Act) error {
	if err := l.timeouts(ctx, tx, a.LockTimeout); err != nil {
		return err
	}
	if a.Gate != "" {
		if err := l.gate(ctx, tx, a); err != nil {
			return err
		}
	}
	if a.Step.Kind == ddl.StepQuick && len(a.Step.Locks) > 0 {
		if err := l.lock(ctx, tx, a.Step.Locks, a.LockTimeout); err != nil {
			return err
		}
	}
	bound := func() error { return nil }
	if a.Gate != "" {
		bound = l.hold(ctx, tx)
	}
	if a.DropViews != "" {
		if err := bound(); err != nil {
			return err
		}
		if err := l.dropViews(ctx, tx, a.DropViews); err != nil {
			return err
		}
	}
	for _, s := range a.Step.SQL {
		if err := bound(); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, s, pgx.QueryExecModeSimpleProtocol); err != nil {
			return inTime(ctx, kindOf(err, "%s", brief(s)), a.Gate != "")
		}
	}
	if a.Step.Kind == ddl.StepViews {
		if err := l.makeViews(ctx, tx, a.Step); err != nil {
			return err
		}
	}
	return l.d.move(ctx, tx, a.Record)
}

// timeouts has each wait for a lock end in time, and deadlocks be seen by us first where that may be set.
func (l *lease) timeouts(ctx context.Context, tx pgx.Tx, lock time.Duration) error {
	set := fmt.Sprintf("SET LOCAL lock_timeout = %d", lock.Milliseconds())
	if l.d.super {
		set += "; SET LOCAL deadlock_timeout = '" + ownDeadlock + "'"
	}
	_, err := tx.Exec(ctx, set, pgx.QueryExecModeSimpleProtocol)
	return kindOf(err, "set timeouts")
}

// lock takes all locks of a step, each kind in one statement that ends in time as a whole. What the statements behind it need is theirs then.
func (l *lease) lock(ctx context.Context, tx pgx.Tx, locks []ddl.Lock, timeout time.Duration) error {
	var there []ddl.Lock
	for _, k := range locks {
		var is bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", ddl.Quote(l.d.schema)+"."+ddl.Quote(k.Table)).Scan(&is); err != nil {
			return kindOf(err, "look for table %s", k.Table)
		}
		if is {
			there = append(there, k)
		}
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", timeout.Milliseconds())); err != nil {
		return kindOf(err, "set timeouts")
	}
	for len(there) > 0 {
		n := slices.IndexFunc(there, func(k ddl.Lock) bool { return k.Mode != there[0].Mode })
		if n < 0 {
			n = len(there)
		}
		names := make([]string, n)
		for i, k := range there[:n] {
			names[i] = ddl.Quote(l.d.schema) + "." + ddl.Quote(k.Table)
		}
		_, err := tx.Exec(ctx, "LOCK TABLE "+strings.Join(names, ", ")+" IN "+there[0].Mode+" MODE")
		var e *pgconn.PgError
		if errors.As(err, &e) && e.Code == "57014" && ctx.Err() == nil {
			return errs.Wrap(errs.Unavailable, errors.Join(schema.ErrBusy, err), "lock %s", strings.Join(names, ", "))
		}
		if err != nil {
			return kindOf(err, "lock %s", strings.Join(names, ", "))
		}
		there = there[n:]
	}
	_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", quickTimeout.Milliseconds()))
	return kindOf(err, "set timeouts")
}

// gate closes a version: no session may hold its lock, none may come to hold it, and no other may be known to use it.
func (l *lease) gate(ctx context.Context, tx pgx.Tx, a schema.Act) error {
	var free bool
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1, hashtext($2))", versionClass, a.Gate).Scan(&free); err != nil {
		return kindOf(err, "close version %s", a.Gate)
	}
	sessions, err := l.d.Sessions(ctx)
	if err != nil {
		return err
	}
	if err := schema.InUse(sessions, a.Gate, a.Stays, a.AllowUnknown); err != nil {
		return err
	}
	if !free {
		return errs.Wrap(errs.Conflict, schema.ErrInUse, "a session uses version %s", a.Gate)
	}
	return l.silence(ctx, tx, a)
}

// silence takes the writer's lock against calls of programs in deployment mode. Readers come first: it is only taken in a moment in which
// there is no call. When there is none for long, calls that come are held for as long as a lock may be waited for.
func (l *lease) silence(ctx context.Context, tx pgx.Tx, a schema.Act) error {
	if a.Insist {
		_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, hashtext($2))", callClass, a.Gate)
		return kindOf(err, "hold calls of version %s", a.Gate)
	}
	var quiet bool
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1, hashtext($2))", callClass, a.Gate).Scan(&quiet); err != nil {
		return kindOf(err, "hold calls of version %s", a.Gate)
	}
	if !quiet {
		return errs.Wrap(errs.Unavailable, schema.ErrBusy, "version %s is in the middle of a call", a.Gate)
	}
	return nil
}

// hold bounds how long calls wait: what it returns is asked before each statement, which ends when the time is over.
func (l *lease) hold(ctx context.Context, tx pgx.Tx) func() error {
	end := time.Now().Add(holdTimeout)
	return func() error {
		left := time.Until(end)
		if left < time.Millisecond {
			return errs.Wrap(errs.Unavailable, schema.ErrBusy, "it takes longer than %s", holdTimeout)
		}
		_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", left.Milliseconds()))
		return kindOf(err, "set timeouts")
	}
}

// inTime makes an error of a statement that was ended because its time was over one of locks that were not to be had: it is tried again.
func inTime(ctx context.Context, err error, bounded bool) error {
	var e *pgconn.PgError
	if bounded && errors.As(err, &e) && e.Code == "57014" && ctx.Err() == nil {
		return errs.Wrap(errs.Unavailable, errors.Join(schema.ErrBusy, err), "it takes longer than %s", holdTimeout)
	}
	return err
}

// buildIndex builds an index concurrently. What an interrupted build left behind is dropped first.
func (l *lease) buildIndex(ctx context.Context, s ddl.Step) error {
	name := ddl.Quote(l.d.schema) + "." + ddl.Quote(s.Name)
	valid, err := l.indexState(ctx, name)
	if err != nil || valid == "valid" {
		return err
	}
	drop := func() error {
		_, err := l.conn.Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+name)
		return kindOf(err, "drop the half-built index %s", name)
	}
	if valid == "invalid" {
		if err := drop(); err != nil {
			return err
		}
	}
	for _, q := range s.SQL {
		if _, err := l.conn.Exec(ctx, q); err != nil {
			built := kindOf(err, "%s", brief(q))
			if ctx.Err() == nil {
				return errors.Join(built, drop())
			}
			return built
		}
	}
	return nil
}

func (l *lease) indexState(ctx context.Context, name string) (string, error) {
	var state string
	err := l.conn.QueryRow(ctx, "SELECT CASE WHEN indisvalid THEN 'valid' ELSE 'invalid' END FROM pg_index WHERE indexrelid = to_regclass($1)", name).Scan(&state)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return state, kindOf(err, "look for index %s", name)
}

// Fill fills a batch of rows, by their places in the table's file. Users' triggers are not fired where that may be chosen.
func (l *lease) Fill(ctx context.Context, b schema.Batch) (schema.Filled, error) {
	begin := time.Now()
	p := b.Record.Filled
	table := ddl.Quote(l.d.schema) + "." + ddl.Quote(b.Step.Name)
	err := l.inTx(ctx, func(tx pgx.Tx) error {
		set := fmt.Sprintf("SET LOCAL ringfence.fill = 'on'; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = %d", fillLock.Milliseconds())
		if l.d.super {
			set += "; SET LOCAL session_replication_role = replica; SET LOCAL deadlock_timeout = '" + ownDeadlock + "'"
		}
		if _, err := tx.Exec(ctx, set, pgx.QueryExecModeSimpleProtocol); err != nil {
			return kindOf(err, "set timeouts")
		}
		var file, blocks int64
		if err := tx.QueryRow(ctx, "SELECT pg_relation_filenode($1::regclass)::bigint, pg_relation_size($1::regclass) / current_setting('block_size')::bigint", table).Scan(&file, &blocks); err != nil {
			return kindOf(err, "measure table %s", b.Step.Name)
		}
		if p.File != file { // the first batch, or the table was rewritten
			p = schema.Progress{File: file, Blocks: blocks, Rows: p.Rows, Took: p.Took}
		}
		if p.Blocks > p.Block {
			to := min(p.Block+b.Blocks, p.Blocks)
			tag, err := tx.Exec(ctx, fmt.Sprintf("%s WHERE _rf_t.ctid >= '(%d,0)'::tid AND _rf_t.ctid < '(%d,0)'::tid", b.Step.SQL[0], p.Block, to), pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				return kindOf(err, "fill table %s", b.Step.Name)
			}
			p.Block, p.Rows = to, p.Rows+tag.RowsAffected()
		}
		r := b.Record
		r.Filled = p
		return l.d.move(ctx, tx, r)
	})
	return schema.Filled{Progress: p, Took: time.Since(begin)}, err
}

// fillLock is how long a batch waits for a row, far less than the deadlock_timeout of programs.
const fillLock = 200 * time.Millisecond

// brief is a statement as a message has room for it.
func brief(sql string) string {
	s := strings.Join(strings.Fields(sql), " ")
	if len(s) > 160 {
		s = strings.ToValidUTF8(s[:160], "") + "…"
	}
	return s
}
