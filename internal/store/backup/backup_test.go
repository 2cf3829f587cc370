package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

type content struct {
	Docs   []store.Doc
	Events []audit.Event
}

func drawContent(t *rapid.T) content {
	text := rapid.StringMatching(`[^\x00]{1,20}`)
	at := rapid.Custom(func(t *rapid.T) time.Time { return time.UnixMicro(rapid.Int64Range(-1e16, 1e17).Draw(t, "at")).UTC() })
	body := rapid.Custom(func(t *rapid.T) json.RawMessage {
		b, _ := json.Marshal(text.Draw(t, "text"))
		return append(append([]byte(rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "space")), b...), "\t"...)
	})
	var c content
	last := ""
	for range rapid.IntRange(0, 5).Draw(t, "docs") {
		last += text.Draw(t, "name") // longer than the one before: after it
		c.Docs = append(c.Docs, store.Doc{Kind: "k", Name: last, Rev: rapid.Int64Min(1).Draw(t, "rev"), Updated: at.Draw(t, "updated"), Body: body.Draw(t, "body")})
	}
	prev := audit.Genesis
	for i := range rapid.IntRange(0, 5).Draw(t, "events") {
		e := audit.Event{Time: at.Draw(t, "time"), Type: text.Draw(t, "type"), Actor: text.Draw(t, "actor"), Subject: text.Draw(t, "subject")}
		if rapid.Bool().Draw(t, "data") {
			e.Data = body.Draw(t, "data")
		}
		e = audit.Seal(int64(i), prev, e)
		prev, c.Events = e.Hash, append(c.Events, e)
	}
	return c
}

func encode(t rapid.TB, c content) []byte {
	var out bytes.Buffer
	w, err := NewWriter(&out, 1)
	for _, d := range c.Docs {
		err = errors.Join(err, w.Doc(d))
	}
	head := audit.Genesis
	for _, e := range c.Events {
		err = errors.Join(err, w.Event(e))
		head = e.Hash
	}
	if err = errors.Join(err, w.Close(int64(len(c.Events)), head)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decode(in []byte) (content, error) {
	var c content
	r, err := NewReader(bytes.NewReader(in), 1)
	for err == nil {
		var rec Record
		rec, err = r.Next()
		switch {
		case err != nil:
		case rec.Doc != nil:
			c.Docs = append(c.Docs, *rec.Doc)
		default:
			c.Events = append(c.Events, *rec.Event)
		}
	}
	if errors.Is(err, io.EOF) {
		_, err = r.Next() // stays at the end
	}
	return c, err
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawContent(t)
		got, err := decode(encode(t, want))
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("-want +got\n%s", d)
		}
	})
}

// TestDamage: a backup with any byte changed, any line dropped or swapped, or cut anywhere never reaches its end.
func TestDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := encode(t, drawContent(t))
		in := bytes.Clone(whole)
		lines := bytes.SplitAfter(in, []byte("\n"))
		lines = lines[:len(lines)-1]
		i, j := rapid.IntRange(0, len(lines)-1).Draw(t, "line"), rapid.IntRange(0, len(lines)-1).Draw(t, "other")
		switch rapid.SampledFrom([]string{"byte", "cut", "drop", "swap", "double"}).Draw(t, "damage") {
		case "byte":
			in[rapid.IntRange(0, len(in)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		case "cut":
			in = in[:rapid.IntRange(0, len(in)-1).Draw(t, "at")]
		case "drop":
			in = bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil)
		case "swap":
			lines[i], lines[j] = lines[j], lines[i]
			in = bytes.Join(lines, nil)
		case "double":
			in = bytes.Join(append(append([][]byte{}, lines[:i+1]...), lines[i:]...), nil)
		}
		_, err := decode(in)
		if bytes.Equal(in, whole) {
			return // swapped with itself
		}
		if !errs.Is(err, errs.Invalid) {
			t.Fatalf("%v of kind %v", err, errs.KindOf(err))
		}
	})
}

func TestWriterRefuses(t *testing.T) {
	e := audit.Seal(0, audit.Genesis, audit.Event{Time: time.Unix(0, 0), Type: "a", Actor: "b"})
	d := store.Doc{Kind: "k", Name: "n", Rev: 1, Body: []byte(`1`)}
	for name, do := range map[string]func(*Writer) error{
		"a document twice":           func(w *Writer) error { return errors.Join(w.Doc(d), w.Doc(d)) },
		"a document after an event":  func(w *Writer) error { return errors.Join(w.Event(e), w.Doc(d)) },
		"an event twice":             func(w *Writer) error { return errors.Join(w.Event(e), w.Event(e)) },
		"an end before the head":     func(w *Writer) error { return w.Close(1, e.Hash) },
		"an end with another head":   func(w *Writer) error { return errors.Join(w.Event(e), w.Close(1, audit.Genesis)) },
		"an event after the end":     func(w *Writer) error { return errors.Join(w.Close(0, audit.Genesis), w.Event(e)) },
		"an event that was tampered": func(w *Writer) error { x := e; x.Actor = "c"; return w.Event(x) },
	} {
		w, err := NewWriter(io.Discard, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := do(w); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestLineTooLong(t *testing.T) {
	in := append(encode(t, content{}), bytes.Repeat([]byte("x"), maxLine+1)...)
	first := bytes.IndexByte(in, '\n') + 1
	_, err := decode(append(in[:first:first], bytes.Repeat([]byte("x"), maxLine+1)...))
	if !errs.Is(err, errs.Invalid) {
		t.Fatal(err)
	}
}
