package storetest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Fill puts what is hard to carry into s: odd names and bodies, deleted documents, events with and without data.
func Fill(t testing.TB, s Store) { fill(t, s, store.MaxBody, 700) }

func fill(t testing.TB, s Store, big, many int) {
	t.Helper()
	commit(t, s, store.Write{
		Puts: []store.Doc{doc("k", "plain", 0, `{"a":1}`), doc("k", "gone", 0, `1`), doc("é", "😀\u2028", 0, ` { "b" : "<&>`+"\u2028"+`" } `),
			doc("K", "A", 0, `"\u0000"`), doc("big", "big", 0, `"`+strings.Repeat(`\"`, big/2-1)+`"`)},
		Events: []audit.Event{event("a.done", "k/plain"), {Time: at, Type: "no.data", Actor: "user:é"}},
	})
	e := event("odd.data", "x\u2028")
	e.Data = []byte(" [1 , \"<\u2028>\"]\n")
	commit(t, s, store.Write{Puts: []store.Doc{doc("k", "plain", 1, `2`)}, Deletes: []store.Doc{{Kind: "k", Name: "gone", Rev: 1}}, Events: []audit.Event{e}})
	var w store.Write
	for i := range many {
		w.Puts = append(w.Puts, doc("many", numbered(i), 0, `1`))
		w.Events = append(w.Events, event("many.made", numbered(i)))
	}
	commit(t, s, w)
}

// Backup returns what s backs up.
func Backup(t testing.TB, s Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// SameContent compares two stores by all that can be asked.
func SameContent(t testing.TB, a, b Store) {
	t.Helper()
	same(t, Record(t, b), Record(t, a))
	for _, kind := range []string{"k", "K", "é", "big", "many"} {
		docsA, errA := a.List(t.Context(), store.Page{Kind: kind})
		docsB, errB := b.List(t.Context(), store.Page{Kind: kind})
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		if len(docsA) == 0 {
			t.Fatalf("no documents of kind %s", kind)
		}
		same(t, docsB, docsA)
	}
}

// refill empties the place, so that a backup can go into it again.
func refill(t testing.TB, p Place) {
	t.Helper()
	p.Exec(t, `DELETE FROM $schema.docs`)
	p.Exec(t, `DELETE FROM $schema.events`)
	p.Exec(t, `DELETE FROM $schema.tiles`)
	p.Exec(t, `UPDATE $schema.chain SET seq = 0, size = 0, edge = `+p.Empty+`, hash = '`+audit.Genesis+`'`)
}

func testBackup(t *testing.T, p Place) {
	if testing.Short() {
		t.Skip("a large backup takes its time")
	}
	s := Open(t, p)
	empty := Backup(t, s)
	if err := s.Restore(t.Context(), bytes.NewReader(empty)); err != nil {
		t.Fatalf("restore of an empty backup: %v", err)
	}
	Fill(t, s)
	before := Record(t, s)
	saved := Backup(t, s)
	err := s.Restore(t.Context(), bytes.NewReader(saved))
	wantKind(t, err, errs.Conflict)

	for _, packed := range []bool{false, true} {
		refill(t, p)
		in := saved
		if packed {
			in = pack(t, saved)
		}
		if err := s.Restore(t.Context(), bytes.NewReader(in)); err != nil {
			t.Fatal(err)
		}
		same(t, Record(t, s), before)
		if again := Backup(t, s); !bytes.Equal(again, saved) {
			t.Fatal("the backup of what was restored is another one")
		}
	}
	// Life goes on where it was.
	commit(t, s, store.Write{Puts: []store.Doc{doc("k", "plain", 2, `3`)}, Events: []audit.Event{event("a.done", "k/plain")}})
	Record(t, s)
}

func pack(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// testBackupWhileWriting backs up while every write raises a document and records it: in each backup the
// document's revision and the number of events must be those of one moment.
func testBackupWhileWriting(t *testing.T, p Place) {
	s := Open(t, p)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for rev := int64(0); ; rev++ {
			select {
			case <-stop:
				return
			default:
			}
			_, err := s.Commit(t.Context(), store.Write{Puts: []store.Doc{doc("k", "n", rev, fmt.Sprint(rev+1))}, Events: []audit.Event{event("n.raised", "k/n")}})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 5 {
		saved := string(Backup(t, s))
		raised := strings.Count(saved, `"type":"n.raised"`)
		if raised > 0 && !strings.Contains(saved, fmt.Sprintf(`"name":"n","rev":%d,`, raised)) {
			t.Errorf("a backup with %d events lacks revision %d", raised, raised)
		}
		// Some writes between two backups, however slow the machine.
		for seq := int64(0); seq < int64(raised)+10 && !t.Failed(); {
			var err error
			if seq, _, err = s.Head(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	wg.Wait()
	Record(t, s)
}

func testRestoreRefused(t *testing.T, p Place) {
	s := Open(t, p)
	fill(t, s, 1000, 50)
	saved := Backup(t, s)
	refill(t, p)
	lines := bytes.SplitAfter(saved, []byte("\n"))
	lines = lines[:len(lines)-1]
	for name, in := range map[string][]byte{
		"nothing":           nil,
		"something else":    []byte("{\"a\":1}\n"),
		"cut in a line":     saved[:len(saved)/2],
		"without its end":   bytes.Join(lines[:len(lines)-1], nil),
		"cut newline":       saved[:len(saved)-1],
		"trailing":          append(bytes.Clone(saved), "{}\n"...),
		"newer format":      bytes.Replace(saved, []byte(`"format":1`), []byte(`"format":2`), 1),
		"newer schema":      bytes.Replace(saved, []byte(`"schema":`), []byte(`"schema":9`), 1),
		"changed document":  bytes.Replace(saved, []byte(`"name":"plain"`), []byte(`"name":"plaim"`), 1),
		"changed event":     bytes.Replace(saved, []byte(`user:test`), []byte(`user:best`), 1),
		"unknown field":     bytes.Replace(saved, []byte(`"kind":"many"`), []byte(`"kinf":"many"`), 1),
		"dropped document":  bytes.Join(append(append([][]byte{}, lines[:1]...), lines[2:]...), nil),
		"dropped event":     bytes.Join(append(append([][]byte{}, lines[:len(lines)-2]...), lines[len(lines)-1]), nil),
		"swapped documents": bytes.Join(append([][]byte{lines[0], lines[2], lines[1]}, lines[3:]...), nil),
		"damaged gzip":      damage(pack(t, saved)),
		"cut gzip":          pack(t, saved)[:400],
	} {
		if err := s.Restore(t.Context(), bytes.NewReader(in)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: got %v, expected it refused as invalid", name, err)
		}
	}
	if err := s.Restore(t.Context(), io.MultiReader(bytes.NewReader(saved[:len(saved)-100]), broken{})); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a reader that breaks: got %v", err)
	}
	if got := Record(t, s); len(got) != 0 {
		t.Fatalf("refused backups left %d events", len(got))
	}
	if docs, err := s.List(t.Context(), store.Page{Kind: "k"}); err != nil || len(docs) != 0 {
		t.Fatalf("refused backups left %v, %v", docs, err)
	}
}

func damage(b []byte) []byte {
	b[len(b)-6] ^= 1 // the checksum at the end
	return b
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the line is dead") }

func testNewerSchema(t *testing.T, p Place) {
	s := Open(t, p)
	commit(t, s, put(doc("k", "n", 0, `1`)))
	if err := p.Check(t.Context()); err != nil {
		t.Fatalf("a database of this program: %v", err)
	}
	p.Exec(t, p.Newer)
	if err := p.Check(t.Context()); !errs.Is(err, errs.Conflict) {
		t.Fatalf("the check of a newer one: %v", err)
	}
	again, err := p.Open(t.Context())
	if err == nil {
		again.Close()
		t.Fatal("opened a database with a schema that is newer than the program")
	}
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "999") || errs.HintOf(err) == "" {
		t.Fatalf("got %v", err)
	}
}

// A program goes on with a schema of a later one that says that it may, beside it, and leaves what it says.
func testCompatibleSchema(t *testing.T, p Place) {
	if err := p.Check(t.Context()); err != nil {
		t.Fatalf("nothing yet: %v", err)
	}
	beside := Open(t, p)
	commit(t, beside, put(doc("k", "n", 0, `1`)))
	p.Exec(t, p.Compatible)
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := Open(t, p)
	commit(t, s, put(doc("k", "n", 1, `2`)))
	commit(t, beside, put(doc("k", "n", 2, `3`)))
	again := Open(t, p) // what the schema says is as it was
	if d, err := again.Get(t.Context(), "k", "n"); err != nil || string(d.Body) != `3` || d.Rev != 3 {
		t.Fatalf("%+v, %v", d, err)
	}
}
