package batch

import (
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
)

// Tiles reads tiles as wide as they are asked for. Leaves whose tile is not full yet are not stored: they are those of the last events.
func Tiles(want []audit.Tile, rows audit.Rows) ([][]byte, error) {
	all := make([][]byte, len(want))
	for i, t := range want {
		b, err := rows.Tile(t.Level, t.N)
		if err == nil && b == nil && t.Level == 0 {
			b, err = lastLeaves(t, rows)
		}
		if err != nil {
			return nil, err
		}
		size := t.Width * audit.HashSize
		if t.Width < 1 || len(b) < size {
			return nil, errs.E(errs.Missing, "the tree has no tile %s yet", t.Path())
		}
		all[i] = b[:size]
	}
	return all, nil
}

func lastLeaves(t audit.Tile, rows audit.Rows) ([]byte, error) {
	after := t.N * audit.TileWidth
	texts, err := rows.Hashes(after, after+int64(t.Width))
	if err != nil {
		return nil, err
	}
	leaves, err := audit.LeavesOf(after, texts)
	if err != nil {
		return nil, tampered(err)
	}
	return audit.JoinHashes(leaves), nil
}
