package record_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/record/ship"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// place is a data folder with a record in SQLite.
type place struct {
	t     *testing.T
	dir   string
	now   time.Time
	store *sqlite.Store
	told  []record.Finding
}

func newPlace(t *testing.T) *place {
	p := &place{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	p.open()
	t.Cleanup(func() { _ = p.store.Close() })
	return p
}

func (p *place) db() string { return filepath.Join(p.dir, "db") }

func (p *place) open() {
	p.t.Helper()
	s, err := sqlite.Open(p.t.Context(), p.db())
	if err != nil {
		p.t.Fatal(err)
	}
	p.store = s
}

// Record implements record.Alarms.
func (p *place) Record(_ context.Context, wrong []record.Finding) error {
	p.told = wrong
	return nil
}

func (p *place) ledger(change func(*record.Options)) *record.Ledger {
	p.t.Helper()
	o := record.Options{Store: p.store, Tree: p.store, KeyFile: filepath.Join(p.dir, "key"), Ships: []record.Ship{ship.Folder{Dir: filepath.Join(p.dir, "away")}},
		Alarms: p, Every: 10 * time.Millisecond, Now: func() time.Time { return p.now }}
	if change != nil {
		change(&o)
	}
	l := record.New(o)
	if err := l.Open(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	return l
}

func (p *place) add(n int) {
	p.t.Helper()
	for range n {
		e, err := audit.New(p.now, "a.done", "user:test", "k/n", map[string]int{"n": 1})
		if err == nil {
			_, err = p.store.Commit(p.t.Context(), store.Write{Events: []audit.Event{e}})
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// exec changes the database behind everybody's back.
func (p *place) exec(statement string, args ...any) {
	p.t.Helper()
	db, err := sql.Open("sqlite", p.db())
	if err == nil {
		_, err = db.Exec(statement, args...)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		p.t.Fatal(err)
	}
}

// shipped runs the ledger until a checkpoint of all events is away.
func (p *place) shipped(l *record.Ledger) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	head, err := p.store.Tree(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan error, 1)
	run, stop := context.WithCancel(ctx)
	go func() { done <- l.Run(run) }()
	for {
		all, err := ship.Folder{Dir: filepath.Join(p.dir, "away")}.Shipped(ctx)
		if err != nil {
			p.t.Fatal(err)
		}
		if len(all) > 0 && p.sizeOf(l, all[0]) >= head.Size {
			break
		}
		select {
		case <-ctx.Done():
			p.t.Fatal("nothing was shipped")
		case <-time.After(5 * time.Millisecond):
		}
	}
	stop()
	if err := <-done; err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) sizeOf(l *record.Ledger, signed []byte) int64 {
	p.t.Helper()
	log, err := l.Log(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	o, err := audit.OpenCheckpoint(signed, log.Publics())
	if err != nil {
		p.t.Fatal(err)
	}
	return o.Size
}

func (p *place) look(l *record.Ledger, what string, seq int64) {
	p.t.Helper()
	wrong, err := l.Look(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	if what == "" {
		if len(wrong) != 0 {
			p.t.Fatalf("all is well and it finds %+v", wrong)
		}
		return
	}
	if len(wrong) != 1 || wrong[0].What != what || wrong[0].Seq != seq || len(p.told) != 1 {
		p.t.Fatalf("found %+v, told %+v, expected %s of event %d", wrong, p.told, what, seq)
	}
}

func TestIdentity(t *testing.T) {
	p := newPlace(t)
	first := p.ledger(nil)
	one, err := first.Log(t.Context())
	if err != nil || len(one.Keys) != 1 || !strings.HasPrefix(one.Origin, "ringfence/") {
		t.Fatal(one, err)
	}
	key := filepath.Join(p.dir, "key")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal("the key can be read by others: ", info.Mode(), err)
	}
	again, err := p.ledger(nil).Log(t.Context())
	if err != nil || len(again.Keys) != 1 {
		t.Fatal("opened again it has another key", again, err)
	}
	signed, err := first.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Another control plane on the same database that lacks the key signs nothing, and serves what was signed.
	other := p.ledger(func(o *record.Options) { o.KeyFile, o.Shared = filepath.Join(p.dir, "elsewhere"), true })
	p.add(1)
	if b, err := other.Sign(t.Context()); err != nil || !bytes.Equal(b, signed) {
		t.Fatalf("%s, %v", b, err)
	}
	if _, err := other.Rotate(t.Context(), "user:test", "x"); !errs.Is(err, errs.Unavailable) {
		t.Fatal(err)
	}
	// A data folder that lost its key gets another one, on the record.
	lost := p.ledger(func(o *record.Options) { o.KeyFile = filepath.Join(p.dir, "new", "key") })
	if two, err := lost.Log(t.Context()); err != nil || len(two.Keys) != 2 || two.Origin != one.Origin {
		t.Fatal(two, err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := record.New(record.Options{Store: p.store, Tree: p.store, KeyFile: key}).Open(t.Context()); !errs.Is(err, errs.Denied) {
		t.Fatal("a key that others read is used: ", err)
	}
	strange := newPlace(t)
	strange.ledger(nil)
	if err := record.New(record.Options{Store: p.store, Tree: p.store, KeyFile: filepath.Join(strange.dir, "key")}).Open(t.Context()); !errs.Is(err, errs.Conflict) {
		t.Fatal("the key of another log is used: ", err)
	}
}

func TestSignAndRotate(t *testing.T) {
	p := newPlace(t)
	l := p.ledger(nil)
	p.add(3)
	one, err := l.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if same, err := l.Sign(t.Context()); err != nil || !bytes.Equal(one, same) {
		t.Fatal("signed twice: ", err)
	}
	log, err := l.Rotate(t.Context(), "user:test", "who held it has left")
	if err != nil || len(log.Keys) != 2 {
		t.Fatal(log, err)
	}
	two, err := l.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.OpenCheckpoint(two, log.Publics()[:1]); err == nil {
		t.Error("the former key still signs")
	}
	if p.sizeOf(l, one) >= p.sizeOf(l, two) {
		t.Error("the record did not grow")
	}
	p.look(l, "", 0)
	proof, err := p.ledger(nil).Prove(t.Context(), 2)
	if err != nil || proof.Event.Seq != 2 || proof.Size < 2 {
		t.Fatal(proof, err)
	}
	if _, err := l.Prove(t.Context(), 99); !errs.Is(err, errs.Missing) {
		t.Error(err)
	}
	g, err := l.Growth(t.Context(), 2, 0)
	if err != nil || g.To <= 2 {
		t.Fatal(g, err)
	}
	for _, tile := range []string{"0/000", "9/000", "x", "entries/000"} {
		if _, err := l.Tile(t.Context(), tile); err == nil {
			t.Errorf("tile %s is served", tile)
		}
	}
	if b, err := l.Entries(t.Context(), "000.p/3"); err != nil || len(b) != 3*34 {
		t.Error(len(b), err)
	}
}

// An older copy of the database comes back: its end is missing, though it fits together.
func TestCutEnd(t *testing.T) {
	p := newPlace(t)
	p.ledger(nil)
	p.add(5)
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(p.db())
	if err != nil {
		t.Fatal(err)
	}
	p.open()
	l := p.ledger(nil)
	p.add(5)
	p.shipped(l)
	p.look(l, "", 0)
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.db(), old, 0o600); err != nil {
		t.Fatal(err)
	}
	p.open()
	l = p.ledger(nil)
	head, err := p.store.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.look(l, "checkpoint", head.Size+1)
	// It is on the record once, and stays an alarm when the record has grown past it.
	p.add(20)
	p.look(l, "checkpoint", 0)
	events, err := p.store.Events(t.Context(), store.EventQuery{Type: "record.mismatch"})
	if err != nil || len(events) == 0 || len(events) > 2 {
		t.Fatal(len(events), err)
	}
	if _, err := l.Accept(t.Context(), "user:test", "restored"); err != nil {
		t.Fatal(err)
	}
	p.look(l, "", 0)
	if _, err := l.Accept(t.Context(), "user:test", "again"); !errs.Is(err, errs.Conflict) {
		t.Fatal(err)
	}
}

// Somebody changes an event and makes everything after it fit: chain, tree and head.
func TestRewritten(t *testing.T) {
	p := newPlace(t)
	l := p.ledger(nil)
	p.add(6)
	p.shipped(l)
	events, err := p.store.Events(t.Context(), store.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var tree audit.Tree
	seq, prev := int64(0), audit.Genesis
	for _, e := range events {
		if e.Seq == 4 {
			e.Actor = "user:mallory"
		}
		e = audit.Seal(seq, prev, e)
		seq, prev = e.Seq, e.Hash
		leaf, err := audit.Leaf(e.Hash)
		if err != nil {
			t.Fatal(err)
		}
		tree.Append(leaf)
		p.exec("UPDATE events SET actor = ?, prev = ?, hash = ? WHERE seq = ?", e.Actor, e.Prev, e.Hash, e.Seq)
	}
	p.exec("UPDATE chain SET hash = ?, edge = ?", prev, tree.Bytes())
	l = p.ledger(nil)
	p.look(l, "checkpoint", 0)
	if _, err := l.Sign(t.Context()); !errs.Is(err, errs.Internal) {
		t.Fatal("what was rewritten is signed: ", err)
	}
}

func TestChangedEvent(t *testing.T) {
	p := newPlace(t)
	l := p.ledger(nil)
	p.add(6)
	p.exec("UPDATE events SET actor = 'user:other' WHERE seq = 3")
	p.look(l, "event", 3)
	p.exec("UPDATE events SET actor = 'user:test' WHERE seq = 3")
	p.look(l, "", 0)
	p.now = p.now.Add(2 * time.Hour)
	p.exec("UPDATE events SET time = 0, type = '', actor = '', subject = '', data = NULL WHERE seq = 4")
	p.look(l, "event", 4)
}

func TestRetention(t *testing.T) {
	p := newPlace(t)
	l := p.ledger(func(o *record.Options) { o.Keep = time.Hour })
	p.add(6)
	p.now = p.now.Add(2 * time.Hour)
	p.add(2)
	p.shipped(l)
	events, err := p.store.Events(t.Context(), store.EventQuery{})
	if err != nil || len(events) == 0 || events[0].Seq != 8 || !slices.ContainsFunc(events, func(e audit.Event) bool { return e.Type == audit.EventPruned }) {
		t.Fatal(events, err)
	}
	p.look(l, "", 0)
	proof, err := l.Prove(t.Context(), 3)
	if err != nil || !proof.Removed {
		t.Fatal(proof, err)
	}
	path, err := audit.ParseHashes(proof.Path)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := l.Log(t.Context())
	o, err := audit.OpenCheckpoint([]byte(proof.Checkpoint), log.Publics())
	if err == nil {
		err = audit.CheckEvent(o.Head, 3, proof.Event.Hash, path)
	}
	if err != nil {
		t.Fatal("what was removed is not proved any more: ", err)
	}
}
