package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/store/batch"
	"github.com/ringfence/ringfence/internal/store/sqltext"
)

func scanHead(row sqltext.Row) (h batch.Head, err error) {
	h.Seq, h.Hash, h.Tree, err = sqltext.ScanHead(row)
	return h, err
}

// growTree brings the tree to the end of the record: the first time, and after a program that knows no tree.
func (s *Store) growTree(ctx context.Context) error {
	if h, err := s.readHead(ctx, s.pool); err != nil || h.Tree.Size == h.Seq {
		return err
	}
	return s.inTx(ctx, func(tx *writeTx) error {
		h, _, err := tx.begin(ctx, nil, "0") // a long record takes its time
		if err != nil {
			return err
		}
		return tx.restoreHead(ctx, h)
	})
}

// restoreHead writes a head with the tree that its events make.
func (t *writeTx) restoreHead(ctx context.Context, h batch.Head) error {
	c := batch.Changes{Head: h}
	if err := c.Grow(h.Seq, rows{ctx, t.tx, t.texts}); err != nil {
		return err
	}
	b := &pgx.Batch{}
	t.queueHead(b, c.Head, c.Tiles)
	return t.send(ctx, b)
}

func (t *writeTx) queueHead(b *pgx.Batch, h batch.Head, tiles []audit.TileRow) {
	for _, row := range tiles {
		b.Queue(t.texts.putTile, row.Level, row.N, row.Hashes)
	}
	b.Queue(t.texts.chain, h.Seq, h.Hash, h.Tree.Size, h.Tree.Bytes())
}

// rows are what the tree grows from and is read from.
type rows struct {
	ctx   context.Context
	q     querier
	texts *texts
}

func (r rows) Hashes(after, through int64) ([]string, error) {
	return collect(r.ctx, r.q, func(row sqltext.Row) (h string, err error) { return h, row.Scan(&h) }, r.texts.hashes, after, through)
}

func (r rows) Tile(level int, n int64) ([]byte, error) {
	var b []byte
	err := r.q.QueryRow(r.ctx, r.texts.tile, level, n).Scan(&b)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return b, kindOf(err, "read a tile of the tree")
}

// Tree returns the size and the hash of the tree over the record.
func (s *Store) Tree(ctx context.Context) (audit.Head, error) {
	h, err := s.readHead(ctx, s.pool)
	return audit.Head{Size: h.Tree.Size, Root: h.Tree.Root()}, err
}

// Tiles returns the hashes of tiles, as many as each is wide; errs.Missing when the tree is not that large.
func (s *Store) Tiles(ctx context.Context, want []audit.Tile) ([][]byte, error) {
	return batch.Tiles(want, rows{ctx, s.pool, &s.texts})
}
