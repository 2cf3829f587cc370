package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store/batch"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

func scanHead(row sqltext.Row) (h batch.Head, err error) {
	h.Seq, h.Hash, h.Tree, err = sqltext.ScanHead(row)
	return h, kindOf(err, "read the head of the chain")
}

// growTree brings the tree to the end of the record: the first time, and after a program that knows no tree.
func (s *Store) growTree(ctx context.Context) error {
	if h, err := readHead(ctx, s.reader); err != nil || h.Tree.Size == h.Seq {
		return err
	}
	return s.inTx(ctx, func(tx *writeTx) error {
		h, err := tx.head()
		if err != nil {
			return err
		}
		return tx.restoreHead(h)
	})
}

// restoreHead writes a head with the tree that its events make.
func (t *writeTx) restoreHead(h batch.Head) error {
	c := batch.Changes{Head: h}
	if err := c.Grow(h.Seq, t); err != nil {
		return err
	}
	return t.setHead(c.Head, c.Tiles)
}

// Hashes and Tile make a transaction what the tree grows from.
func (t *writeTx) Hashes(after, through int64) ([]string, error) {
	return hashes(t.tx.Stmt(t.stmts.hashes).Query(after, through))
}

func (t *writeTx) Tile(level int, n int64) ([]byte, error) {
	return scanTile(t.tx.Stmt(t.stmts.tile).QueryRow(level, n))
}

func hashes(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, kindOf(err, "read the record")
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var h string
		if err := rows.Scan(&h); err != nil {
			return nil, kindOf(err, "read the record")
		}
		all = append(all, h)
	}
	return all, kindOf(rows.Err(), "read the record")
}

func scanTile(row *sql.Row) ([]byte, error) {
	var b []byte
	err := row.Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return b, kindOf(err, "read a tile of the tree")
}

// Tree returns the size and the hash of the tree over the record.
func (s *Store) Tree(ctx context.Context) (audit.Head, error) {
	h, err := readHead(ctx, s.reader)
	return audit.Head{Size: h.Tree.Size, Root: h.Tree.Root()}, err
}

// Tiles returns the hashes of tiles, as many as each is wide; errs.Missing when the tree is not that large.
func (s *Store) Tiles(ctx context.Context, want []audit.Tile) ([][]byte, error) {
	return batch.Tiles(want, reading{ctx, s.reader})
}

// reading is what tiles are read from without a transaction: the record only grows.
type reading struct {
	ctx context.Context
	db  *sql.DB
}

func (r reading) Hashes(after, through int64) ([]string, error) {
	return hashes(r.db.QueryContext(r.ctx, sqltext.Hashes(schema), after, through))
}

func (r reading) Tile(level int, n int64) ([]byte, error) {
	b, err := scanTile(r.db.QueryRowContext(r.ctx, sqltext.Tile(schema), level, n))
	if err != nil && r.ctx.Err() != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "read a tile of the tree")
	}
	return b, err
}
