package audit

import (
	"encoding/hex"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// maxProof bounds a proof that comes from outside: a tree of as many leaves as an int64 counts needs no more.
const maxProof = 63 * 2

// TileSource brings tiles, as wide as they are asked for.
type TileSource func([]Tile) ([][]byte, error)

// Head is a size of the tree and its hash then.
type Head struct {
	Size int64
	Root Hash
}

// reader checks every tile against the head before it believes it.
func reader(h Head, source TileSource) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: h.Size, Hash: tlog.Hash(h.Root)}, tiles{source})
}

type tiles struct{ source TileSource }

func (tiles) Height() int { return tileHeight }

func (t tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	asked := make([]Tile, len(want))
	for i, w := range want {
		asked[i] = Tile{Level: w.L, N: w.N, Width: w.W}
	}
	return t.source(asked)
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// ProveEvent proves that the event with number seq is in the tree of h.
func ProveEvent(h Head, seq int64, source TileSource) ([]Hash, error) {
	if seq < 1 || seq > h.Size {
		return nil, fmt.Errorf("event %d is not among the %d of the tree", seq, h.Size)
	}
	p, err := tlog.ProveRecord(h.Size, seq-1, reader(h, source))
	return own(p), err
}

// CheckEvent says whether proof shows that the event with number seq and this chain hash is in the tree of h.
func CheckEvent(h Head, seq int64, chainHash string, proof []Hash) error {
	leaf, err := Leaf(chainHash)
	if err != nil {
		return err
	}
	if seq < 1 || seq > h.Size || len(proof) > maxProof {
		return fmt.Errorf("event %d is not among the %d of the tree", seq, h.Size)
	}
	if err := tlog.CheckRecord(theirs(proof), h.Size, tlog.Hash(h.Root), seq-1, tlog.Hash(leaf)); err != nil {
		return fmt.Errorf("event %d: the proof does not lead to the hash of the tree of %d", seq, h.Size)
	}
	return nil
}

// ProveGrowth proves that the tree of h began as the one of its first size leaves.
func ProveGrowth(h Head, size int64, source TileSource) ([]Hash, error) {
	if size < 1 || size > h.Size {
		return nil, fmt.Errorf("a tree of %d is no beginning of one of %d", size, h.Size)
	}
	p, err := tlog.ProveTree(h.Size, size, reader(h, source))
	return own(p), err
}

// CheckGrowth says whether proof shows that the tree of h began as that of old.
func CheckGrowth(old, h Head, proof []Hash) error {
	switch {
	case old.Size < 1 || old.Size > h.Size || len(proof) > maxProof:
		return fmt.Errorf("a tree of %d is no beginning of one of %d", old.Size, h.Size)
	case old.Size == h.Size && old.Root != h.Root:
		return fmt.Errorf("two trees of %d have different hashes", h.Size)
	}
	if err := tlog.CheckTree(theirs(proof), h.Size, tlog.Hash(h.Root), old.Size, tlog.Hash(old.Root)); err != nil {
		return fmt.Errorf("the tree of %d does not continue the one of %d", h.Size, old.Size)
	}
	return nil
}

// RootAt is the hash that the tree of h had at a smaller size.
func RootAt(h Head, size int64, source TileSource) (Hash, error) {
	if size < 0 || size > h.Size {
		return Hash{}, fmt.Errorf("the tree has %d leaves, fewer than %d", h.Size, size)
	}
	root, err := tlog.TreeHash(size, reader(h, source))
	return Hash(root), err
}

func own(p []tlog.Hash) []Hash {
	out := make([]Hash, len(p))
	for i, h := range p {
		out[i] = Hash(h)
	}
	return out
}

func theirs(p []Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(p))
	for i, h := range p {
		out[i] = tlog.Hash(h)
	}
	return out
}

// ParseHashes reads hashes in hexadecimal.
func ParseHashes(texts []string) ([]Hash, error) {
	if len(texts) > maxProof {
		return nil, fmt.Errorf("a proof of %d hashes: expected at most %d", len(texts), maxProof)
	}
	out := make([]Hash, len(texts))
	for i, t := range texts {
		b, err := hex.DecodeString(t)
		if err != nil || len(b) != HashSize {
			return nil, fmt.Errorf("hash %d of the proof: expected %d hexadecimal digits", i+1, 2*HashSize)
		}
		out[i] = Hash(b)
	}
	return out, nil
}
