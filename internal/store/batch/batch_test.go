package batch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// memory is an adapter that keeps nothing but what a transaction would leave.
type memory struct {
	gate   chan struct{} // each transaction takes one
	fail   func(Changes) error
	head   Head
	revs   Revs
	events []audit.Event
	tiles  map[audit.Tile][]byte
	sizes  []int // events of each transaction tried
}

func newMemory() *memory {
	return &memory{gate: make(chan struct{}, 1000), head: Head{Hash: audit.Genesis}, revs: Revs{}, tiles: map[audit.Tile][]byte{}}
}

func (m *memory) open() {
	for range cap(m.gate) {
		m.gate <- struct{}{}
	}
}

func (m *memory) transact(keys []Key, plan func(Head, Revs) Changes) error {
	<-m.gate
	revs := Revs{}
	for _, k := range keys {
		if rev, ok := m.revs[k]; ok {
			revs[k] = rev
		}
	}
	c := plan(m.head, revs)
	if err := c.Grow(m.head.Seq, m); err != nil {
		return err
	}
	m.sizes = append(m.sizes, len(c.Events))
	if m.fail != nil {
		if err := m.fail(c); err != nil {
			return err
		}
	}
	for _, d := range c.Puts {
		m.revs[Key{d.Kind, d.Name}] = d.Rev
	}
	for _, k := range c.Deletes {
		delete(m.revs, k)
	}
	for _, row := range c.Tiles {
		m.tiles[audit.Tile{Level: row.Level, N: row.N}] = row.Hashes
	}
	m.head, m.events = c.Head, append(m.events, c.Events...)
	return nil
}

func (m *memory) Hashes(after, through int64) ([]string, error) {
	var all []string
	for _, e := range m.events[after:through] {
		all = append(all, e.Hash)
	}
	return all, nil
}

func (m *memory) Tile(level int, n int64) ([]byte, error) {
	return m.tiles[audit.Tile{Level: level, N: n}], nil
}

func write(name string, rev int64) store.Write {
	return store.Write{
		Puts:   []store.Doc{{Kind: "k", Name: name, Rev: rev, Body: []byte(`1`)}},
		Events: []audit.Event{{Time: time.Now(), Type: "a.done", Actor: "user:test", Subject: name}},
	}
}

// submit commits each write from a goroutine, in order, and returns where the answers come.
func submit(ctx context.Context, g *Group, writes ...store.Write) []chan error {
	answers := make([]chan error, len(writes))
	for i, w := range writes {
		answers[i] = make(chan error, 1)
		go func() { _, err := g.Commit(ctx, w); answers[i] <- err }()
		synctest.Wait() // queued before the next one
	}
	return answers
}

func TestWaitingWritesShareATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		g := New(m.transact)
		answers := submit(t.Context(), g, write("first", 0), // taken alone
			write("a", 0), write("a", 1), write("a", 1), write("b", 0), write("c", 3),
			store.Write{Deletes: []store.Doc{{Kind: "k", Name: "b", Rev: 1}}}, write("b", 1), write("b", 0))
		m.open()
		for i, kind := range []errs.Kind{0, 0, 0, errs.Conflict, 0, errs.Conflict, 0, errs.Conflict, 0} {
			if err := <-answers[i]; (err != nil) != (kind != 0) || errs.KindOf(err) != kind {
				t.Errorf("write %d: %v, expected kind %v", i, err, kind)
			}
		}
		g.Close()
		if fmt.Sprint(m.sizes) != "[1 4]" {
			t.Errorf("transactions of %v events, expected one of 1 and one of 4", m.sizes)
		}
		if m.revs[Key{"k", "a"}] != 2 || m.revs[Key{"k", "b"}] != 1 {
			t.Errorf("revisions %v", m.revs)
		}
		if err := audit.Verify(0, audit.Genesis, m.events); err != nil || len(m.events) != 5 {
			t.Errorf("%d events, %v", len(m.events), err)
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		g := New(m.transact)
		writes := []store.Write{write("first", 0)}
		for i := range 3 {
			w := write(fmt.Sprint("big", i), 0)
			w.Puts[0].Body = []byte(`"` + strings.Repeat("x", store.MaxBody-2) + `"`)
			writes = append(writes, w)
		}
		for i := range maxWrites {
			writes = append(writes, write(fmt.Sprint(i), 0))
		}
		answers := submit(t.Context(), g, writes...)
		m.open()
		for _, a := range answers {
			if err := <-a; err != nil {
				t.Error(err)
			}
		}
		g.Close()
		if want := fmt.Sprint([]int{1, 2, maxWrites, 1}); fmt.Sprint(m.sizes) != want {
			t.Errorf("transactions of %v events, expected %s", m.sizes, want)
		}
	})
}

func TestOneBadWriteFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.fail = func(c Changes) error {
			for _, e := range c.Events {
				if e.Subject == "bad" {
					return errors.New("refused")
				}
			}
			return nil
		}
		g := New(m.transact)
		answers := submit(t.Context(), g, write("first", 0), write("a", 0), write("bad", 0), write("bad", 1), write("b", 0))
		m.open()
		for i, want := range []string{"<nil>", "<nil>", "refused", "k/bad: there is none, expected revision 1", "<nil>"} {
			if err := <-answers[i]; fmt.Sprint(err) != want {
				t.Errorf("write %d: %v, expected %s", i, err, want)
			}
		}
		g.Close()
		if len(m.events) != 3 {
			t.Errorf("%d events, expected 3", len(m.events))
		}
	})
}

func TestUnknownOutcomeIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.fail = func(Changes) error { return errs.E(errs.Unavailable, "lost") }
		g := New(m.transact)
		answers := submit(t.Context(), g, write("first", 0), write("a", 0), write("b", 0), write("b", 0))
		m.open()
		for i, a := range answers {
			if err := <-a; !errs.Is(err, errs.Unavailable) {
				t.Errorf("write %d: %v", i, err)
			}
		}
		g.Close()
		if len(m.sizes) != 2 {
			t.Errorf("%d transactions, expected 2: none tried again", len(m.sizes))
		}
	})
}

func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		g := New(m.transact)
		taken, giveUpTaken := context.WithCancel(t.Context())
		queued, giveUpQueued := context.WithTimeout(t.Context(), time.Second)
		defer giveUpQueued()
		first := submit(taken, g, write("first", 0))[0]
		second := submit(queued, g, write("second", 0))[0]
		third := submit(t.Context(), g, write("third", 0))[0]
		giveUpTaken()
		time.Sleep(2 * time.Second) // on the bubble's clock
		if err := <-second; !errs.Is(err, errs.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a write that was still waiting: %v", err)
		}
		select {
		case err := <-first:
			t.Errorf("a write whose transaction runs was answered with %v before its end", err)
		default:
		}
		m.open()
		if err := errors.Join(<-first, <-third); err != nil {
			t.Error(err)
		}
		g.Close()
		if _, ok := m.revs[Key{"k", "second"}]; ok || len(m.events) != 2 {
			t.Errorf("%d events, second written: %v", len(m.events), ok)
		}
	})
}

func TestCloseFinishesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		g := New(m.transact)
		answers := submit(t.Context(), g, write("a", 0), write("b", 0))
		go g.Close()
		synctest.Wait()
		if _, err := g.Commit(t.Context(), write("c", 0)); !errs.Is(err, errs.Unavailable) {
			t.Errorf("a write after Close: %v", err)
		}
		m.open()
		if err := errors.Join(<-answers[0], <-answers[1]); err != nil {
			t.Error(err)
		}
		g.Close() // again: nothing happens
	})
}

func TestCheckHead(t *testing.T) {
	e1 := audit.Seal(0, audit.Genesis, audit.Event{Type: "a"})
	e2 := audit.Seal(1, e1.Hash, audit.Event{Type: "b"})
	changed := e2
	changed.Type = "c"
	for _, c := range []struct {
		head Head
		last audit.Event
		ok   bool
	}{
		{Head{Seq: 0, Hash: audit.Genesis}, audit.Event{}, true},
		{Head{Seq: 2, Hash: e2.Hash}, e2, true},
		{Head{Seq: 2, Hash: e2.Hash}, e1, false},
		{Head{Seq: 2, Hash: e2.Hash}, audit.Event{}, false},
		{Head{Seq: 0, Hash: audit.Genesis}, e2, false},
		{Head{Seq: 0, Hash: "x"}, audit.Event{}, false},
		{Head{Seq: 2, Hash: e1.Hash}, e2, false},
		{Head{Seq: 2, Hash: e2.Hash}, changed, false},
	} {
		if err := CheckHead(c.head, c.last); (err == nil) != c.ok {
			t.Errorf("head %v, last event %d: %v", c.head, c.last.Seq, err)
		}
	}
}
