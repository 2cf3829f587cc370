package storetest

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

func testEvents(t *testing.T, p Place) {
	s := Open(t, p)
	for _, e := range []struct{ typ, subject string }{
		{"rollout.started", "rollout/a"}, {"ring.entered", "rollout/a"}, {"rollout.started", "rollout/b"},
		{"rollout.ended", "rollout/a"}, {"rolloutx.y", "rollout/a"}, {"release.made", ""},
	} {
		commit(t, s, store.Write{Events: []audit.Event{event(e.typ, e.subject)}})
	}
	for _, c := range []struct {
		query store.EventQuery
		want  []int64
	}{
		{store.EventQuery{}, []int64{1, 2, 3, 4, 5, 6}},
		{store.EventQuery{Backward: true}, []int64{6, 5, 4, 3, 2, 1}},
		{store.EventQuery{After: 2}, []int64{3, 4, 5, 6}},
		{store.EventQuery{After: 6}, nil},
		{store.EventQuery{Before: 3}, []int64{1, 2}},
		{store.EventQuery{After: 1, Before: 5, Limit: 2}, []int64{2, 3}},
		{store.EventQuery{After: 1, Before: 5, Limit: 2, Backward: true}, []int64{4, 3}},
		{store.EventQuery{Subject: "rollout/a"}, []int64{1, 2, 4, 5}},
		{store.EventQuery{Subject: "rollout/a", Backward: true, Limit: 1}, []int64{5}},
		{store.EventQuery{Subject: "rollout/"}, nil},
		{store.EventQuery{Type: "rollout."}, []int64{1, 3, 4}},
		{store.EventQuery{Type: "rollout.started", Subject: "rollout/b"}, []int64{3}},
		{store.EventQuery{Type: "r", Before: 6, After: 4}, []int64{5}},
		{store.EventQuery{Type: "ROLLOUT"}, nil},
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
	for _, bad := range []store.EventQuery{{After: -1}, {Before: -1}, {Limit: -1}, {Limit: store.MaxLimit + 1}, {Type: "\xff"}, {Subject: "\x00"}} {
		_, err := s.Events(t.Context(), bad)
		wantKind(t, err, errs.Invalid)
	}
}

func testChain(t *testing.T, p Place) {
	s := Open(t, p)
	var answered []audit.Event
	far := event("time.odd", "x")
	far.Time = time.Date(1, 2, 3, 4, 5, 6, 789, time.FixedZone("odd", 12345))
	bare := audit.Event{Time: at, Type: "é.😀", Actor: "user:日本"}
	made, err := audit.New(at, "a.done", "system:test", "k/n", map[string]any{"html": "<&>", "n": 1.5})
	if err != nil {
		t.Fatal(err)
	}
	sealed := event("already.sealed", "x") // what a caller says about place and hash does not count
	sealed.Seq, sealed.Prev, sealed.Hash = 99, "x", "y"
	for _, w := range []store.Write{
		{Events: []audit.Event{made}},
		put(doc("k", "n", 0, `1`)), // no event: the chain stays
		{Events: []audit.Event{far, bare, sealed}},
	} {
		answered = append(answered, commit(t, s, w)...)
	}
	same(t, Record(t, s), answered)
	if len(answered) != 4 {
		t.Fatalf("%d events, expected 4", len(answered))
	}
}

func testCancel(t *testing.T, p Place) {
	s := Open(t, p)
	commit(t, s, put(doc("k", "n", 0, `1`)))
	ctx, cancel := contextThatEnded(t)
	defer cancel()
	_, err1 := s.Commit(ctx, store.Write{Puts: []store.Doc{doc("k", "n", 1, `2`)}, Events: []audit.Event{event("a.done", "k/n")}})
	_, err2 := s.Get(ctx, "k", "n")
	_, err3 := s.List(ctx, store.Page{Kind: "k"})
	_, err4 := s.Events(ctx, store.EventQuery{})
	_, _, err5 := s.Head(ctx)
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errs.Is(err, errs.Unavailable) || !errors.Is(err, ctx.Err()) {
			t.Errorf("call %d: got %v, expected that it gave up", i+1, err)
		}
	}
	same(t, get(t, s, "k", "n"), doc("k", "n", 1, `1`))
	if got := Record(t, s); len(got) != 0 {
		t.Fatalf("a cancelled write left %v", got)
	}
}

func testClosed(t *testing.T, p Place) {
	s, err := p.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Commit(t.Context(), put(doc("k", "n", 0, `1`)))
	wantKind(t, err, errs.Unavailable)
	_, err = s.Get(t.Context(), "k", "n")
	wantKind(t, err, errs.Unavailable)
}

func testTampering(t *testing.T, p Place) {
	s := Open(t, p)
	for range 9 {
		commit(t, s, store.Write{Events: []audit.Event{event("a.done", "k/n")}})
	}
	for _, c := range []struct{ change, found string }{
		{`UPDATE $schema.events SET data = '{"n":2}' WHERE seq = 7`, "event 7: its content"},
		{`UPDATE $schema.events SET time = time + 1 WHERE seq = 6`, "event 6: its content"},
		{`UPDATE $schema.events SET data = NULL WHERE seq = 5`, "event 5: its content"},
		{`DELETE FROM $schema.events WHERE seq = 4`, "event 5: expected number 4"},
		{`UPDATE $schema.events SET prev = hash WHERE seq = 2`, "event 2: does not continue"},
	} {
		p.Exec(t, c.change)
		err := audit.Verify(0, audit.Genesis, readRecord(t, s))
		if err == nil || !strings.HasPrefix(err.Error(), c.found) {
			t.Fatalf("%s: got %v, expected %s", c.change, err, c.found)
		}
	}
	if err := s.Backup(t.Context(), io.Discard); !errs.Is(err, errs.Internal) {
		t.Fatalf("a backup of a damaged record: got %v, expected it refused", err)
	}
}

func testHeadChecked(t *testing.T, p Place) {
	s := Open(t, p)
	for range 3 {
		commit(t, s, store.Write{Events: []audit.Event{event("a.done", "k/n")}})
	}
	for _, change := range []struct{ do, undo string }{
		{`UPDATE $schema.events SET actor = 'user:other' WHERE seq = 3`, `UPDATE $schema.events SET actor = 'user:test' WHERE seq = 3`},
		{`UPDATE $schema.chain SET seq = 2`, `UPDATE $schema.chain SET seq = 3`},
		{`DELETE FROM $schema.events WHERE seq = 3`, ``},
		{`DELETE FROM $schema.events`, ``},
		{`DELETE FROM $schema.chain`, ``},
	} {
		p.Exec(t, change.do)
		if again, err := p.Open(t.Context()); err == nil {
			again.Close()
			t.Fatalf("opened after %s", change.do)
		} else if !errs.Is(err, errs.Internal) || errs.HintOf(err) == "" {
			t.Fatalf("after %s: %v, without a hint or of kind %v", change.do, err, errs.KindOf(err))
		}
		if change.undo == "" {
			continue
		}
		p.Exec(t, change.undo)
		again, err := p.Open(t.Context())
		if err != nil {
			t.Fatalf("after %s: %v", change.undo, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
