package sqlite

import (
	"context"
	"database/sql"
	"os"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/batch"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

// statements are prepared once: parsing would cost more than running them.
type statements struct{ head, rev, put, remove, event, chain, hashes, tile, putTile, forget *sql.Stmt }

func (s *Store) prepare(ctx context.Context) error {
	for _, p := range []struct {
		db   *sql.DB
		stmt **sql.Stmt
		text string
	}{
		{s.reader, &s.doc, sqltext.Doc(schema)},
		{s.writer, &s.stmts.head, sqltext.Head(schema)},
		{s.writer, &s.stmts.rev, "SELECT rev FROM main.docs WHERE kind = ? AND name = ?"},
		{s.writer, &s.stmts.put, `INSERT INTO main.docs (kind, name, rev, updated, body) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (kind, name) DO UPDATE SET rev = excluded.rev, updated = excluded.updated, body = excluded.body`},
		{s.writer, &s.stmts.remove, "DELETE FROM main.docs WHERE kind = ? AND name = ?"},
		{s.writer, &s.stmts.event, "INSERT INTO main.events (seq, time, type, actor, subject, data, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		{s.writer, &s.stmts.chain, sqltext.SetHead(schema)},
		{s.writer, &s.stmts.hashes, sqltext.Hashes(schema)},
		{s.writer, &s.stmts.tile, sqltext.Tile(schema)},
		{s.writer, &s.stmts.putTile, sqltext.PutTile(schema)},
		{s.writer, &s.stmts.forget, sqltext.Forget(schema)},
	} {
		var err error
		if *p.stmt, err = p.db.PrepareContext(ctx, p.text); err != nil {
			return kindOf(err, "prepare a statement")
		}
	}
	return nil
}

// transact is the batch.Transact of the file. It takes no context: a batch carries many callers' writes.
func (s *Store) transact(keys []batch.Key, plan func(batch.Head, batch.Revs) batch.Changes) error {
	return s.inTx(context.Background(), func(tx *writeTx) error {
		head, err := tx.head()
		if err != nil {
			return err
		}
		revs, err := tx.revs(keys)
		if err != nil {
			return err
		}
		c := plan(head, revs)
		if err := c.Grow(head.Seq, tx); err != nil {
			return err
		}
		return tx.store(c)
	})
}

// inTx runs f in a transaction that holds the file's write lock from the start.
func (s *Store) inTx(ctx context.Context, f func(*writeTx) error) error {
	if err := s.checkFile(); err != nil {
		return err
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return kindOf(err, "begin a write")
	}
	if err := f(&writeTx{tx: tx, stmts: s.stmts}); err != nil {
		_ = tx.Rollback() // the first error says more
		return err
	}
	return kindOf(tx.Commit(), "commit a write")
}

// checkFile finds a file that was removed or replaced, to which SQLite would go on writing unseen by anyone.
func (s *Store) checkFile() error {
	now, err := os.Stat(s.path)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "database file")
	}
	if !os.SameFile(s.file, now) {
		return errs.E(errs.Unavailable, "database file %s was replaced by another one", s.path).Next("Restart Ringfence.")
	}
	return nil
}

type writeTx struct {
	tx    *sql.Tx
	stmts statements
}

func (t *writeTx) head() (batch.Head, error) {
	return scanHead(t.tx.Stmt(t.stmts.head).QueryRow())
}

func (t *writeTx) revs(keys []batch.Key) (batch.Revs, error) {
	revs := make(batch.Revs, len(keys))
	stmt := t.tx.Stmt(t.stmts.rev)
	for _, k := range keys {
		var rev int64
		switch err := stmt.QueryRow(k.Kind, k.Name).Scan(&rev); err {
		case nil:
			revs[k] = rev
		case sql.ErrNoRows:
		default:
			return nil, kindOf(err, "read the revision of %s/%s", k.Kind, k.Name)
		}
	}
	return revs, nil
}

func (t *writeTx) store(c batch.Changes) error {
	put := t.tx.Stmt(t.stmts.put)
	for _, d := range c.Puts {
		if err := putDoc(put, d); err != nil {
			return err
		}
	}
	remove := t.tx.Stmt(t.stmts.remove)
	for _, k := range c.Deletes {
		if _, err := remove.Exec(k.Kind, k.Name); err != nil {
			return kindOf(err, "delete %s/%s", k.Kind, k.Name)
		}
	}
	event := t.tx.Stmt(t.stmts.event)
	for _, e := range c.Events {
		if err := putEvent(event, e); err != nil {
			return err
		}
	}
	if c.Forget > 0 {
		if _, err := t.tx.Stmt(t.stmts.forget).Exec(c.Forget); err != nil {
			return kindOf(err, "remove the content of old events")
		}
	}
	if len(c.Events) == 0 && len(c.Tiles) == 0 {
		return nil
	}
	return t.setHead(c.Head, c.Tiles)
}

func (t *writeTx) setHead(h batch.Head, tiles []audit.TileRow) error {
	put := t.tx.Stmt(t.stmts.putTile)
	for _, row := range tiles {
		if _, err := put.Exec(row.Level, row.N, row.Hashes); err != nil {
			return kindOf(err, "write a tile of the tree")
		}
	}
	_, err := t.tx.Stmt(t.stmts.chain).Exec(h.Seq, h.Hash, h.Tree.Size, h.Tree.Bytes())
	return kindOf(err, "write the head of the chain")
}

func putDoc(stmt *sql.Stmt, d store.Doc) error {
	_, err := stmt.Exec(d.Kind, d.Name, d.Rev, d.Updated.UnixMicro(), string(d.Body))
	return kindOf(err, "write %s/%s", d.Kind, d.Name)
}

func putEvent(stmt *sql.Stmt, e audit.Event) error {
	_, err := stmt.Exec(e.Seq, e.Time.UnixMicro(), e.Type, e.Actor, e.Subject, sqltext.Text(e.Data), e.Prev, e.Hash)
	return kindOf(err, "write event %d", e.Seq)
}
