package track

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

func execIn(t *testing.T, f *file, text string, args ...any) {
	t.Helper()
	if _, err := f.writer.Exec(text, args...); err != nil {
		t.Fatal(err)
	}
}

// A write that fails takes nothing, and the next one is as if it had not been.
func TestJournalThatCannotBeWritten(t *testing.T) {
	s := openNew(t)
	e := did("u", "order", 1, 0)
	e.ID = "one"
	execIn(t, s.journal, "CREATE TRIGGER no BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no'); END")
	if _, err := s.Append(t.Context(), Batch{Environment: "prod", Events: []Event{e}}); err == nil {
		t.Fatal("it was acknowledged")
	}
	execIn(t, s.journal, "DROP TRIGGER no")
	if got := take(t, s, e); got != (Taken{1, 0}) || stored(t, s, "metrics") != 1 {
		t.Errorf("%+v", got)
	}
}

// A commit may fail and have been kept all the same, as when a flush fails at its end.
func TestJournalThatWasWrittenAllTheSame(t *testing.T) {
	s := openNew(t)
	take(t, s, did("u", "order", 1, 0))
	e := did("u", "order", 1, 0)
	e.ID = "one"
	row := appendChunk([]byte{journalVersion}, "prod", []mark{{hash: hashOf("prod", "event", e.ID)}}, []Event{e})
	s.doubt = true // as after that failure
	execIn(t, s.journal, "INSERT INTO journal (seq, events, body) VALUES (?, 1, ?)", s.lastSeq.Load()+1, row)
	if got := take(t, s, e, did("u", "order", 1, 0)); got != (Taken{1, 1}) || stored(t, s, "metrics") != 3 {
		t.Errorf("%+v, %d are stored", got, stored(t, s, "metrics"))
	}
}

// What cannot be folded stays in the journal, readers are told, and it is folded when it can be.
func TestEventsThatCannotBeFolded(t *testing.T) {
	s := openNew(t)
	execIn(t, s.events, "CREATE TRIGGER no BEFORE INSERT ON metrics BEGIN SELECT RAISE(ABORT, 'no'); END")
	take(t, s, exposure("u", "checkout", "on", 0), did("u", "order", 1, 0))
	if _, err := s.Summaries(t.Context(), week()); err == nil {
		t.Fatal("there is a summary")
	}
	take(t, s, exposure("v", "checkout", "on", 0))
	execIn(t, s.events, "DROP TRIGGER no")
	for deadline := time.Now().Add(time.Minute); ; {
		res, err := s.Summaries(t.Context(), week())
		if err == nil && len(res.Variants) == 1 && res.Variants[0].N == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(res, err)
		}
	}
	if n := stored(t, s, "exposures"); n != 2 {
		t.Errorf("%d exposures", n)
	}
}

func TestDamagedJournal(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "events")
	s := openAt(t, folder, time.Now)
	execIn(t, s.journal, "INSERT INTO journal (seq, events, body) VALUES (?, 1, ?)", s.lastSeq.Load()+1, []byte("\x01\x05prod"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Folder: folder}); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
}

func TestClosedStore(t *testing.T) {
	s := openNew(t)
	execIn(t, s.events, "CREATE TRIGGER no BEFORE INSERT ON metrics BEGIN SELECT RAISE(ABORT, 'no'); END")
	take(t, s, did("u", "order", 1, 0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), Batch{Environment: "prod", Events: []Event{did("u", "order", 1, 24*time.Hour)}}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v", err)
	}
	if _, err := s.Summaries(t.Context(), week()); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v", err)
	}
}
