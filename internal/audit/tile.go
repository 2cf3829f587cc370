package audit

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// The tree is stored and served in tiles of 256 hashes, as C2SP's tlog-tiles has them.
const (
	tileHeight = 8
	TileWidth  = 1 << tileHeight
	maxLevel   = 7 // more than an int64 of events needs
)

// Tile names a row of hashes of one level: level 0 are leaves, a hash of level 1 covers a whole tile of level 0.
type Tile struct {
	Level int
	N     int64
	Width int // of a tile that is not full yet: how many hashes are asked for
}

// TileRow is a tile as it is stored: those of level 0 when they are full, those above as they grow.
type TileRow struct {
	Level  int
	N      int64
	Hashes []byte
}

// Rows are what the tree grows from: the chain hashes of stored events, and stored tiles.
type Rows interface {
	Hashes(after, through int64) ([]string, error)
	Tile(level int, n int64) ([]byte, error) // nil when there is none
}

// Grow appends to t the events that t lacks: those stored up to number seq, and those with the hashes more that come after. It
// returns the tree and the tiles that are stored with it. Leaves of a tile that becomes full are read again, and must be what t says.
func Grow(t Tree, seq int64, more []string, rows Rows) (Tree, []TileRow, error) {
	if t.Size > seq {
		return t, nil, fmt.Errorf("the tree has %d leaves, the record %d events", t.Size, seq)
	}
	g := growth{tree: t.Clone(), seq: seq, more: more, rows: rows, upper: map[Tile][]byte{}}
	for end := seq + int64(len(more)); g.tree.Size < end; {
		if err := g.tile(min(end, (g.tree.Size/TileWidth+1)*TileWidth)); err != nil {
			return t, nil, err
		}
	}
	return g.tree, g.out(), nil
}

type growth struct {
	tree  Tree
	seq   int64
	more  []string
	rows  Rows
	full  []TileRow
	upper map[Tile][]byte
	order []Tile
}

// tile grows the tree to a size within the tile that it is in.
func (g *growth) tile(to int64) error {
	start := g.tree.Size / TileWidth * TileWidth
	from := g.tree.Size
	if to == start+TileWidth {
		from = start
	}
	leaves, err := g.leaves(from, to)
	if err != nil {
		return err
	}
	again, before := g.tree.base(start), g.tree.Size
	for _, l := range leaves[before-from:] {
		g.tree.Append(l)
	}
	if to != start+TileWidth {
		return nil
	}
	for _, l := range leaves {
		again.Append(l)
	}
	if again.Root() != g.tree.Root() {
		return fmt.Errorf("the hashes of events %d to %d are not those that were recorded", start+1, to)
	}
	data := join(leaves)
	g.full = append(g.full, TileRow{Level: 0, N: start / TileWidth, Hashes: data})
	return g.above(1, start/TileWidth, data)
}

// above puts the hash of the full tile n, of the level below, into its place.
func (g *growth) above(level int, n int64, below []byte) error {
	at := Tile{Level: level, N: n / TileWidth}
	place := int(n % TileWidth)
	row, ok := g.upper[at]
	if !ok {
		g.order = append(g.order, at)
		if place > 0 {
			stored, err := g.rows.Tile(at.Level, at.N)
			if err != nil {
				return err
			}
			row = bytes.Clone(stored)
		}
	}
	if len(row) != place*HashSize {
		return fmt.Errorf("tile %d of level %d has %d bytes, expected %d", at.N, at.Level, len(row), place*HashSize)
	}
	root := subtree(below)
	row = append(row, root[:]...)
	g.upper[at] = row
	if place == TileWidth-1 {
		return g.above(level+1, at.N, row)
	}
	return nil
}

func (g *growth) out() []TileRow {
	all := g.full
	for _, at := range g.order {
		all = append(all, TileRow{Level: at.Level, N: at.N, Hashes: g.upper[at]})
	}
	return all
}

func (g *growth) leaves(after, through int64) ([]Hash, error) {
	texts := make([]string, 0, through-after)
	if stored := min(through, g.seq); stored > after {
		some, err := g.rows.Hashes(after, stored)
		if err != nil {
			return nil, err
		}
		if int64(len(some)) != stored-after {
			return nil, fmt.Errorf("of events %d to %d only %d are there", after+1, stored, len(some))
		}
		texts = append(texts, some...)
	}
	if through > g.seq {
		texts = append(texts, g.more[max(after-g.seq, 0):through-g.seq]...)
	}
	return LeavesOf(after, texts)
}

// LeavesOf are the leaves of events by their chain hashes, which come after the event with a number.
func LeavesOf(after int64, chainHashes []string) ([]Hash, error) {
	all := make([]Hash, 0, len(chainHashes))
	for i, text := range chainHashes {
		l, err := Leaf(text)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", after+int64(i)+1, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func join(hs []Hash) []byte {
	b := make([]byte, 0, len(hs)*HashSize)
	for _, h := range hs {
		b = append(b, h[:]...)
	}
	return b
}

// JoinHashes are the hashes of a tile, one after the other.
func JoinHashes(hs []Hash) []byte { return join(hs) }

// subtree is the hash over the hashes of a full tile.
func subtree(data []byte) Hash {
	var t Tree
	for _, h := range hashes(data) {
		t.Append(h)
	}
	return t.Root()
}

// widest is how many hashes the tile has in a tree of some size, 0 when it is not in it.
func (t Tile) widest(size int64) int {
	n := size >> (tileHeight * t.Level)
	return int(max(0, min(TileWidth, n-t.N*TileWidth)))
}

// In says whether a tree of this size has the tile, as wide as it is asked for.
func (t Tile) In(size int64) bool {
	return t.Level >= 0 && t.Level <= maxLevel && t.N >= 0 && t.N < 1<<40 && t.Width >= 1 && t.Width <= t.widest(size)
}

// Path is where tlog-tiles puts it: tile/0/x001/x234/067, with .p/5 when it has 5 hashes.
func (t Tile) Path() string {
	return "tile/" + strconv.Itoa(t.Level) + "/" + indexPath(t.N, t.Width)
}

func indexPath(n int64, width int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width != TileWidth {
		path += ".p/" + strconv.Itoa(width)
	}
	return path
}

// ParseTile reads what comes after "tile/" in a path: of hashes "0/x001/067", of entries "entries/x001/067", for which entries is true.
func ParseTile(path string) (t Tile, entries bool, err error) {
	level, index, ok := strings.Cut(path, "/")
	bad := fmt.Errorf("%q names no tile: expected LEVEL/INDEX or entries/INDEX, as C2SP's tlog-tiles has them", path)
	if !ok || len(path) > 64 {
		return Tile{}, false, bad
	}
	if entries = level == "entries"; !entries {
		if t.Level, err = strconv.Atoi(level); err != nil || t.Level < 0 || t.Level > maxLevel {
			return Tile{}, false, bad
		}
	}
	t.Width = TileWidth
	if whole, part, ok := strings.Cut(index, ".p/"); ok {
		index = whole
		if t.Width, err = strconv.Atoi(part); err != nil || t.Width < 1 || t.Width >= TileWidth {
			return Tile{}, false, bad
		}
	}
	for _, digits := range strings.Split(index, "/") {
		n, err := strconv.ParseUint(strings.TrimPrefix(digits, "x"), 10, 16)
		if err != nil || n > 999 || t.N > 1<<40 {
			return Tile{}, false, bad
		}
		t.N = t.N*1000 + int64(n)
	}
	canonical := t.Path()
	if entries {
		canonical = "tile/entries/" + indexPath(t.N, t.Width)
	}
	if canonical != "tile/"+path {
		return Tile{}, false, bad
	}
	return t, entries, nil
}
