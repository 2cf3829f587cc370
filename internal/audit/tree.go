package audit

import (
	"encoding/hex"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// HashSize is the length of a hash in bytes.
const HashSize = 32

// Hash is a hash of the tree: of a leaf, of an inner node or of the whole, as RFC 6962 makes them.
type Hash [HashSize]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Leaf returns the leaf of an event by its hash in the chain, as it is stored: 64 hexadecimal digits.
//
// The content of a leaf is the 32 bytes of the event's chain hash, which covers every field and the event before. So a leaf is
// as good as the event's own bytes, is small and of one length whatever the event holds, can still be proved after the event's
// content was removed, and tells someone without the right to read nothing to guess at: the hash of the event before is in it.
func Leaf(chainHash string) (Hash, error) {
	content, err := LeafContent(chainHash)
	if err != nil {
		return Hash{}, err
	}
	return Hash(tlog.RecordHash(content)), nil
}

// LeafContent is what is hashed for a leaf.
func LeafContent(chainHash string) ([]byte, error) {
	b, err := hex.DecodeString(chainHash)
	if err != nil || len(b) != HashSize || hex.EncodeToString(b) != chainHash {
		return nil, fmt.Errorf("%q is no hash of an event: expected %d hexadecimal digits", chainHash, 2*HashSize)
	}
	return b, nil
}

// Tree is all that is needed to append: how many leaves there are, and the right edge, the hashes of the perfect subtrees that the
// leaves fall into, the largest first. The zero Tree is the empty one.
type Tree struct {
	Size int64
	Edge []Hash
}

// Append adds a leaf.
func (t *Tree) Append(leaf Hash) {
	h := leaf
	for n := t.Size; n&1 == 1; n >>= 1 {
		h = node(t.Edge[len(t.Edge)-1], h)
		t.Edge = t.Edge[:len(t.Edge)-1]
	}
	t.Edge = append(t.Edge, h)
	t.Size++
}

func node(left, right Hash) Hash { return Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right))) }

// Root is the hash of the whole.
func (t Tree) Root() Hash {
	if len(t.Edge) == 0 {
		empty, _ := tlog.TreeHash(0, nil) // of nothing: asks for no hash
		return Hash(empty)
	}
	h := t.Edge[len(t.Edge)-1]
	for i := len(t.Edge) - 2; i >= 0; i-- {
		h = node(t.Edge[i], h)
	}
	return h
}

// Clone copies t, so that the copy may grow by itself.
func (t Tree) Clone() Tree {
	return Tree{Size: t.Size, Edge: append([]Hash(nil), t.Edge...)}
}

// Bytes is the edge as it is stored.
func (t Tree) Bytes() []byte {
	b := make([]byte, 0, len(t.Edge)*HashSize)
	for _, h := range t.Edge {
		b = append(b, h[:]...)
	}
	return b
}

// ParseTree reads what was stored.
func ParseTree(size int64, edge []byte) (Tree, error) {
	if size < 0 || len(edge) != bits.OnesCount64(uint64(size))*HashSize {
		return Tree{}, fmt.Errorf("a tree of %d leaves with an edge of %d bytes", size, len(edge))
	}
	return Tree{Size: size, Edge: hashes(edge)}, nil
}

func hashes(b []byte) []Hash {
	all := make([]Hash, 0, len(b)/HashSize)
	for ; len(b) >= HashSize; b = b[HashSize:] {
		all = append(all, Hash(b[:HashSize]))
	}
	return all
}

// base is the tree of the first size leaves, which is a multiple of a tile's width, when no tile was completed since.
func (t Tree) base(size int64) Tree {
	return Tree{Size: size, Edge: append([]Hash(nil), t.Edge[:bits.OnesCount64(uint64(size))]...)}
}
