package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// fakeRows is a store in memory.
type fakeRows struct {
	events []Event
	tiles  map[Tile][]byte
}

func (f fakeRows) Hashes(after, through int64) ([]string, error) {
	if through > int64(len(f.events)) {
		return nil, errors.New("not there")
	}
	return chainHashes(f.events[after:through]), nil
}

func (f fakeRows) Tile(level int, n int64) ([]byte, error) {
	return f.tiles[Tile{Level: level, N: n}], nil
}

// source serves tiles, those that are not full from the events.
func (f fakeRows) source(want []Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range want {
		b := f.tiles[Tile{Level: t.Level, N: t.N}]
		if b == nil && t.Level == 0 {
			texts, _ := f.Hashes(t.N*TileWidth, t.N*TileWidth+int64(t.Width))
			leaves, err := LeavesOf(0, texts)
			if err != nil {
				return nil, err
			}
			b = join(leaves)
		}
		if len(b) < t.Width*HashSize {
			return nil, fmt.Errorf("no %s", t.Path())
		}
		out = append(out, b[:t.Width*HashSize])
	}
	return out, nil
}

func chainHashes(events []Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, e.Hash)
	}
	return all
}

func numberOf(n int) []Event {
	events := make([]Event, n)
	for i := range events {
		events[i] = Event{Type: "a.done", Actor: "user:test", Subject: fmt.Sprint(i)}
	}
	return chain(events...)
}

// grown is the tree of events that came in steps.
func grown(t interface{ Fatal(...any) }, events []Event, steps func(left int) int) (Tree, fakeRows) {
	var tree Tree
	rows := fakeRows{tiles: map[Tile][]byte{}}
	for at := 0; at < len(events); {
		n := steps(len(events) - at)
		next, tiles, err := Grow(tree, int64(at), chainHashes(events[at:at+n]), rows)
		if err != nil {
			t.Fatal(err)
		}
		at += n
		tree, rows.events = next, events[:at]
		for _, row := range tiles {
			rows.tiles[Tile{Level: row.Level, N: row.N}] = bytes.Clone(row.Hashes)
		}
	}
	return tree, rows
}

// However events come, the tree is that of RFC 6962 over them, as the Go team's own code makes it.
func TestTreeIsThatOfTheRFC(t *testing.T) {
	events := numberOf(1400)
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	roots := make([]Hash, len(events)+1)
	roots[0] = sha256.Sum256(nil)
	for i, e := range events {
		content, err := LeafContent(e.Hash)
		if err != nil {
			t.Fatal(err)
		}
		more, err := tlog.StoredHashes(int64(i), content, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		root, err := tlog.TreeHash(int64(i)+1, read)
		if err != nil {
			t.Fatal(err)
		}
		roots[i+1] = Hash(root)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, len(events)).Draw(t, "events")
		tree, rows := grown(t, events[:n], func(left int) int { return rapid.IntRange(1, left).Draw(t, "step") })
		if tree.Size != int64(n) || tree.Root() != roots[n] {
			t.Fatalf("tree of %d with %s, expected %d, %s", tree.Size, tree.Root(), n, roots[n])
		}
		if again, err := ParseTree(tree.Size, tree.Bytes()); err != nil || again.Root() != tree.Root() {
			t.Fatal("what was stored is another tree", err)
		}
		if n == 0 {
			return
		}
		h := Head{Size: int64(n), Root: roots[n]}
		seq := rapid.Int64Range(1, int64(n)).Draw(t, "seq")
		checkProofs(t, h, Head{seq, roots[seq]}, events[seq-1].Hash, rows)
	})
}

func checkProofs(t *rapid.T, h, old Head, chainHash string, rows fakeRows) {
	seq := old.Size
	proof, err := ProveEvent(h, seq, rows.source)
	if err == nil {
		err = CheckEvent(h, seq, chainHash, proof)
	}
	if err != nil {
		t.Fatal(err)
	}
	if CheckEvent(h, seq, Genesis, proof) == nil || CheckEvent(Head{h.Size, Hash{1}}, seq, chainHash, proof) == nil {
		t.Fatal("another event or another tree was proved")
	}
	growth, err := ProveGrowth(h, seq, rows.source)
	if err == nil {
		err = CheckGrowth(old, h, growth)
	}
	if err != nil {
		t.Fatal(err)
	}
	if CheckGrowth(Head{seq, Hash{1}}, h, growth) == nil {
		t.Fatal("a tree of other events was a beginning")
	}
	if root, err := RootAt(h, seq, rows.source); err != nil || root != old.Root {
		t.Fatalf("hash at %d: %v, %v", seq, root, err)
	}
}

// A stored tile of which any bit changed proves nothing.
func TestTilesAreChecked(t *testing.T) {
	events := numberOf(600)
	tree, rows := grown(t, events, func(left int) int { return left })
	h := Head{tree.Size, tree.Root()}
	if len(rows.tiles) != 3 {
		t.Fatalf("%d tiles, expected two full ones and one above", len(rows.tiles))
	}
	for at, b := range rows.tiles {
		b[HashSize+3] ^= 4
		if _, err := ProveEvent(h, at.N*TileWidth+2, rows.source); err == nil {
			t.Errorf("tile %v was changed and is believed", at)
		}
		b[HashSize+3] ^= 4
	}
	rows.events[549].Hash = Genesis
	if _, err := ProveEvent(h, 550, rows.source); err == nil {
		t.Error("the hash of an event was changed and is believed")
	}
}

func TestGrowRefuses(t *testing.T) {
	events := numberOf(300)
	tree, rows := grown(t, events[:200], func(left int) int { return left })
	for name, c := range map[string]struct {
		tree Tree
		seq  int64
		more []string
	}{
		"more leaves than events": {tree, 199, nil},
		"events that are gone":    {tree, 250, nil},
		"no hash":                 {tree, 200, []string{"x"}},
	} {
		if _, _, err := Grow(c.tree, c.seq, c.more, rows); err == nil {
			t.Errorf("%s: grown", name)
		}
	}
	rows.events[3].Hash = events[4].Hash
	if _, _, err := Grow(tree, 200, chainHashes(events[200:]), rows); err == nil {
		t.Error("a tile became full over a changed event")
	}
}

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]Tile{
		"0/000":           {0, 0, 256},
		"0/x001/x234/067": {0, 1234067, 256},
		"1/007.p/5":       {1, 7, 5},
	} {
		got, entries, err := ParseTile(path)
		if err != nil || entries || got != want || got.Path() != "tile/"+path {
			t.Errorf("%s: %v, %v, %s", path, got, err, got.Path())
		}
	}
	if got, entries, err := ParseTile("entries/x001/000.p/9"); err != nil || !entries || got != (Tile{0, 1000, 9}) {
		t.Errorf("%v, %v, %v", got, entries, err)
	}
	for _, bad := range []string{"", "0", "0/", "8/000", "-1/000", "0/0", "0/x000/001", "0/001/002", "0/000.p/0", "0/000.p/256", "0/000.p/05", "00/000", "0/x001", "entries/", "x/000"} {
		if got, _, err := ParseTile(bad); err == nil {
			t.Errorf("%q gave %v", bad, got)
		}
	}
}

// FuzzParseTile: what is taken is the canonical path of what it names.
func FuzzParseTile(f *testing.F) {
	for _, s := range []string{"0/000", "entries/x001/067.p/8", "1/x999/x999/999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tile, entries, err := ParseTile(path)
		if err != nil || entries {
			return
		}
		if tile.Path() != "tile/"+path {
			t.Fatalf("%q is %v, whose path is %s", path, tile, tile.Path())
		}
	})
}

func BenchmarkAppendTree(b *testing.B) {
	var tree Tree
	leaf := Hash{1}
	b.ReportAllocs()
	for b.Loop() {
		tree.Append(leaf)
	}
}
