package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// treeOf is the tree over events, made one by one.
func treeOf(t testing.TB, events []audit.Event) audit.Tree {
	t.Helper()
	var tree audit.Tree
	for _, e := range events {
		leaf, err := audit.Leaf(e.Hash)
		if err != nil {
			t.Fatal(err)
		}
		tree.Append(leaf)
	}
	return tree
}

// CheckTree compares the tree of s with the one that its events make, and proves events of all places through its tiles.
func CheckTree(t testing.TB, s Store) {
	t.Helper()
	events := Record(t, s)
	want := treeOf(t, events)
	head, err := s.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head.Size != want.Size || head.Root != want.Root() {
		t.Fatalf("tree of %d with hash %s, expected %d, %s", head.Size, head.Root, want.Size, want.Root())
	}
	source := func(want []audit.Tile) ([][]byte, error) { return s.Tiles(t.Context(), want) }
	for seq := int64(1); seq <= head.Size; seq += 1 + head.Size/97 {
		proof, err := audit.ProveEvent(head, seq, source)
		if err == nil {
			err = audit.CheckEvent(head, seq, events[seq-1].Hash, proof)
		}
		if err != nil {
			t.Fatalf("event %d of %d: %v", seq, head.Size, err)
		}
		old := audit.Head{Size: seq, Root: treeOf(t, events[:seq]).Root()}
		if proof, err = audit.ProveGrowth(head, seq, source); err == nil {
			err = audit.CheckGrowth(old, head, proof)
		}
		if err != nil {
			t.Fatalf("growth from %d to %d: %v", seq, head.Size, err)
		}
	}
}

func many(n int) store.Write {
	var w store.Write
	for i := range n {
		w.Events = append(w.Events, event("many.made", numbered(i)))
	}
	return w
}

func testTree(t *testing.T, p Place) {
	s := Open(t, p)
	CheckTree(t, s)
	for _, n := range []int{1, 1, 3, 250, 1, 1, 600, 167} { // tiles that end within, at and between writes: 1024 in all
		commit(t, s, many(n))
		CheckTree(t, s)
	}
	for _, bad := range []audit.Tile{{Level: 0, N: 4, Width: 1}, {Level: 1, N: 0, Width: 5}, {Level: 2, N: 0, Width: 1}, {Level: 0, N: 0, Width: 0}} {
		_, err := s.Tiles(t.Context(), []audit.Tile{bad})
		wantKind(t, err, errs.Missing)
	}
}

// A program that knows no tree wrote, before there was one and beside one that does.
func testTreeCatchesUp(t *testing.T, p Place) {
	s := Open(t, p)
	commit(t, s, many(700))
	p.Exec(t, `DELETE FROM $schema.tiles`)
	p.Exec(t, `UPDATE $schema.chain SET size = 0, edge = `+p.Empty)
	again := Open(t, p)
	CheckTree(t, again)
	p.Exec(t, `DELETE FROM $schema.tiles WHERE level = 0 AND n = 1`)
	p.Exec(t, `DELETE FROM $schema.tiles WHERE level = 1`)
	before := treeOf(t, Record(t, s)[:256])
	p.Exec(t, `INSERT INTO $schema.tiles SELECT 1, 0, hashes FROM $schema.tiles WHERE level = 0 AND n = 0`)
	p.Exec(t, fmt.Sprintf(`UPDATE $schema.tiles SET hashes = %s WHERE level = 1`, p.Bytes(before.Bytes())))
	p.Exec(t, fmt.Sprintf(`UPDATE $schema.chain SET size = 256, edge = %s`, p.Bytes(before.Bytes())))
	commit(t, s, many(1))
	CheckTree(t, s)
}

// What is changed in the events of a tile that is not full yet is found when it becomes full, and nothing is stored on top.
func testTreeTampering(t *testing.T, p Place) {
	s := Open(t, p)
	commit(t, s, many(200))
	p.Exec(t, `UPDATE $schema.events SET hash = prev WHERE seq = 50`)
	_, err := s.Commit(t.Context(), many(100))
	wantKind(t, err, errs.Internal)
	if seq, _, err := s.Head(t.Context()); err != nil || seq != 200 {
		t.Fatalf("the record ends at %d, %v", seq, err)
	}
	p.Exec(t, `UPDATE $schema.chain SET size = 999, edge = `+p.Empty)
	if _, err := s.Commit(t.Context(), many(1)); err == nil {
		t.Fatal("a write on top of a tree that cannot be")
	}
}

func testForget(t *testing.T, p Place) {
	s := Open(t, p)
	commit(t, s, many(20))
	whole := Record(t, s)
	_, err := s.Commit(t.Context(), store.Write{Forget: 5, Events: []audit.Event{event("other.done", "x")}})
	wantKind(t, err, errs.Invalid)
	said, err := audit.New(at, audit.EventPruned, "system:record", "record/events", audit.Pruned{Through: 5, Before: at})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, store.Write{Forget: 5, Events: []audit.Event{said}})
	all, err := s.Events(t.Context(), store.EventQuery{Removed: true})
	if err != nil || len(all) != 21 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	var chain audit.Chain
	for i, e := range all {
		if i < 5 {
			same(t, e, whole[i].Stripped())
		}
		if err := chain.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := chain.End(); err != nil {
		t.Fatal(err)
	}
	same(t, chain.Removed(), []audit.Range{{First: 1, Last: 5}})
	rest, err := s.Events(t.Context(), store.EventQuery{})
	if err != nil || len(rest) != 16 || rest[0].Seq != 6 {
		t.Fatalf("%d events are left, %v", len(rest), err)
	}
	head, err := s.Tree(t.Context())
	if err != nil || head.Root != treeOf(t, all).Root() {
		t.Fatalf("the tree is another one: %v", err)
	}
	saved := Backup(t, s)
	refill(t, p)
	if err := s.Restore(t.Context(), bytes.NewReader(saved)); err != nil {
		t.Fatal(err)
	}
	if again, err := s.Tree(t.Context()); err != nil || again != head {
		t.Fatalf("after a restore: %v, %v", again, err)
	}
	p.Exec(t, `UPDATE $schema.events SET time = 0, type = '', actor = '', subject = '', data = NULL WHERE seq = 9`)
	if err := s.Backup(t.Context(), &bytes.Buffer{}); !errs.Is(err, errs.Internal) {
		t.Fatalf("a backup with an event whose content vanished: %v", err)
	}
}

func testEventFilters(t *testing.T, p Place) {
	s := Open(t, p)
	for i, actor := range []string{"user:a", "user:b", "user:a", "system:c"} {
		e := event("a.done", "k/n")
		e.Actor, e.Time = actor, at.Add(time.Duration(i)*time.Minute)
		commit(t, s, store.Write{Events: []audit.Event{e}})
	}
	for _, c := range []struct {
		query store.EventQuery
		want  []int64
	}{
		{store.EventQuery{Actor: "user:a"}, []int64{1, 3}},
		{store.EventQuery{Actor: "user"}, nil},
		{store.EventQuery{Since: at.Add(time.Minute)}, []int64{2, 3, 4}},
		{store.EventQuery{Until: at.Add(time.Minute)}, []int64{1}},
		{store.EventQuery{Since: at.Add(time.Minute), Until: at.Add(3 * time.Minute), Actor: "user:a", Type: "a."}, []int64{3}},
	} {
		events, err := s.Events(t.Context(), c.query)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, e := range events {
			got = append(got, e.Seq)
		}
		same(t, got, c.want)
	}
}

// testAnyByte: whatever byte of a stored event changes, the record no longer leads to what it was.
func testAnyByte(t *testing.T, p Place) {
	s := Open(t, p)
	w := many(30)
	w.Events[7].Data = nil
	commit(t, s, w)
	whole := Record(t, s)
	was, err := s.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]func(audit.Event) string{
		"type": func(e audit.Event) string { return e.Type }, "actor": func(e audit.Event) string { return e.Actor },
		"subject": func(e audit.Event) string { return e.Subject }, "data": func(e audit.Event) string { return string(e.Data) },
		"prev": func(e audit.Event) string { return e.Prev }, "hash": func(e audit.Event) string { return e.Hash },
		"seq": func(e audit.Event) string { return fmt.Sprint(e.Seq) }, "time": func(e audit.Event) string { return fmt.Sprint(e.Time.UnixMicro()) },
	}
	names := []string{"type", "actor", "subject", "data", "prev", "hash", "seq", "time"}
	rapid.Check(t, func(rt *rapid.T) {
		e := whole[rapid.IntRange(0, len(whole)-1).Draw(rt, "event")]
		column := rapid.SampledFrom(names).Draw(rt, "column")
		old := columns[column](e)
		if old == "" {
			rt.Skip("nothing to change")
		}
		i := rapid.IntRange(0, len(old)-1).Draw(rt, "byte")
		other := rapid.SampledFrom([]byte("0123456789")).Filter(func(b byte) bool { return b != old[i] }).Draw(rt, "other")
		changed := old[:i] + string(other) + old[i+1:]
		quote, key := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }, e.Seq
		if column == "seq" || column == "time" {
			quote = func(s string) string { return s }
		}
		if column == "seq" {
			n, err := strconv.ParseInt(changed, 10, 64)
			if err != nil || n <= int64(len(whole)) { // the key of another one, which no database takes
				rt.Skip("taken")
			}
			key = n
		}
		p.Exec(t, fmt.Sprintf("UPDATE $schema.events SET %s = %s WHERE seq = %d", column, quote(changed), e.Seq))
		if _, err := verifyStored(t, s, was); err == nil {
			rt.Fatalf("byte %d of %s of event %d was changed and nothing is found", i, column, e.Seq)
		} else if b := (&audit.Bad{}); !errors.As(err, &b) || b.Seq > e.Seq+1 || b.Seq < e.Seq {
			rt.Fatalf("byte %d of %s of event %d was changed: %v", i, column, e.Seq, err)
		}
		p.Exec(t, fmt.Sprintf("UPDATE $schema.events SET %s = %s WHERE seq = %d", column, quote(old), key))
	})
	if _, err := verifyStored(t, s, was); err != nil {
		t.Fatal("all was put back: ", err)
	}
}

// verifyStored checks the record as it is stored against the tree that it had.
func verifyStored(t testing.TB, s Store, was audit.Head) (audit.Tree, error) {
	t.Helper()
	events, err := s.Events(t.Context(), store.EventQuery{Removed: true, Limit: store.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	var chain audit.Chain
	for _, e := range events {
		if err := chain.Add(e); err != nil {
			return audit.Tree{}, err
		}
	}
	if err := chain.End(); err != nil {
		return audit.Tree{}, err
	}
	tree := treeOf(t, events)
	if tree.Size != was.Size || tree.Root() != was.Root {
		return tree, &audit.Bad{Seq: min(tree.Size, was.Size), Why: "the tree is another one"}
	}
	return tree, nil
}
