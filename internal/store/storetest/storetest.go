package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Store is what every adapter offers.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
	Head(ctx context.Context) (seq int64, hash string, err error)
	Tree(ctx context.Context) (audit.Head, error)
	Tiles(ctx context.Context, want []audit.Tile) ([][]byte, error)
	Backup(ctx context.Context, w io.Writer) error
	Restore(ctx context.Context, r io.Reader) error
	Close() error
}

// Place is where one store is kept, empty at first. Open opens it, again after a Close or a second time next to
// one that is open. Exec changes it behind the store's back by one SQL statement, in which $schema stands for its
// schema. Newer is the statement that says its schema has version 999, Compatible one that says so, and that programs of version 1 can use
// it. Check says whether this program can use it. Empty and Bytes
// are literals of SQL.
type Place struct {
	Open       func(ctx context.Context) (Store, error)
	Exec       func(t testing.TB, statement string)
	Newer      string
	Compatible string
	Empty      string              // no bytes, as a literal
	Bytes      func([]byte) string // some bytes, as a literal
	Check      func(ctx context.Context) error
}

// Run runs the suite. Place makes a new place for each test.
func Run(t *testing.T, place func(t *testing.T) Place) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Place)
	}{
		{"RoundTrip", testRoundTrip},
		{"Bodies", testBodies},
		{"Conflicts", testConflicts},
		{"AllOrNothing", testAllOrNothing},
		{"Refused", testRefused},
		{"List", testList},
		{"Events", testEvents},
		{"Chain", testChain},
		{"ConcurrentWriters", testConcurrentWriters},
		{"TwoProcesses", testTwoProcesses},
		{"Reopen", testReopen},
		{"Cancel", testCancel},
		{"Closed", testClosed},
		{"Tampering", testTampering},
		{"Tree", testTree},
		{"TreeCatchesUp", testTreeCatchesUp},
		{"TreeTampering", testTreeTampering},
		{"AnyByte", testAnyByte},
		{"Forget", testForget},
		{"EventFilters", testEventFilters},
		{"HeadChecked", testHeadChecked},
		{"NewerSchema", testNewerSchema},
		{"CompatibleSchema", testCompatibleSchema},
		{"Backup", testBackup},
		{"BackupWhileWriting", testBackupWhileWriting},
		{"RestoreRefused", testRestoreRefused},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, place(t)) })
	}
}

// Open opens a place until the end of the test.
func Open(t testing.TB, p Place) Store {
	t.Helper()
	s, err := p.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var at = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func event(typ, subject string) audit.Event {
	return audit.Event{Time: at, Type: typ, Actor: "user:test", Subject: subject, Data: json.RawMessage(`{"n":1}`)}
}

func doc(kind, name string, rev int64, body string) store.Doc {
	return store.Doc{Kind: kind, Name: name, Rev: rev, Updated: at, Body: json.RawMessage(body)}
}

func put(docs ...store.Doc) store.Write { return store.Write{Puts: docs} }

func commit(t testing.TB, s Store, w store.Write) []audit.Event {
	t.Helper()
	events, err := s.Commit(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func get(t testing.TB, s Store, kind, name string) store.Doc {
	t.Helper()
	d, err := s.Get(t.Context(), kind, name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Record reads every event in pages and checks that the chain is whole and ends at the head.
func Record(t testing.TB, s Store) []audit.Event {
	t.Helper()
	all := readRecord(t, s)
	if err := audit.Verify(0, audit.Genesis, all); err != nil {
		t.Fatal(err)
	}
	seq, hash, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	end := audit.Event{Hash: audit.Genesis}
	if len(all) > 0 {
		end = all[len(all)-1]
	}
	if seq != end.Seq || hash != end.Hash {
		t.Fatalf("head is (%d, %s), the last event (%d, %s)", seq, hash, end.Seq, end.Hash)
	}
	return all
}

func readRecord(t testing.TB, s Store) []audit.Event {
	t.Helper()
	var all []audit.Event
	for after := int64(0); ; {
		page, err := s.Events(t.Context(), store.EventQuery{After: after, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Seq
	}
}

func wantKind(t testing.TB, err error, kind errs.Kind) {
	t.Helper()
	if err == nil || !errs.Is(err, kind) {
		t.Fatalf("got %v (%v), expected an error of kind %v", err, errs.KindOf(err), kind)
	}
}

func same(t testing.TB, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(want, got) { // cmp takes seconds over a large body
		t.Fatalf("-want +got\n%s", cmp.Diff(want, got))
	}
}

func numbered(n int) string { return fmt.Sprintf("d%05d", n) }
