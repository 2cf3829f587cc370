package record_test

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/store"
)

func TestReadersAreRecordedOnceAnHour(t *testing.T) {
	p := newPlace(t)
	r := record.NewReaders(p.store)
	note := func(who, how, subject string) {
		t.Helper()
		if err := r.Note(t.Context(), p.now, who, record.Read{How: how, Subject: subject}); err != nil {
			t.Fatal(err)
		}
	}
	count := func(want int) {
		t.Helper()
		events, err := p.store.Events(t.Context(), store.EventQuery{Type: "record.read"})
		if err != nil || len(events) != want {
			t.Fatalf("%d events, %v, expected %d", len(events), err, want)
		}
	}
	for range 50 {
		note("user:a", "list", "")
	}
	count(1)
	note("user:a", "list", "token/x")
	note("user:b", "list", "")
	note("user:a", "follow", "")
	count(4)
	p.now = p.now.Add(time.Hour)
	note("user:a", "list", "")
	count(5)
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Note(t.Context(), p.now, "user:c", record.Read{How: "list"}); !errs.Is(err, errs.Unavailable) {
		t.Fatal("read by who could not be recorded: ", err)
	}
}
