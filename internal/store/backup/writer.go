package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Writer writes a backup: every document in order, then every event in order, then Close.
type Writer struct {
	out      *bufio.Writer
	enc      *json.Encoder
	sum      hash.Hash
	progress progress
}

// NewWriter writes the header. Schema is the version of the store's schema.
func NewWriter(w io.Writer, schema int) (*Writer, error) {
	b := &Writer{out: bufio.NewWriterSize(w, 64<<10), sum: sha256.New(), progress: progress{head: audit.Genesis}}
	b.enc = json.NewEncoder(io.MultiWriter(b.out, b.sum))
	b.enc.SetEscapeHTML(false) // twice the length for nothing
	return b, b.write(inDocs, line{Header: &header{Format: Format, Schema: schema}})
}

func (b *Writer) write(at place, l line) error {
	if at < b.progress.at {
		return fmt.Errorf("backup: documents come before events, and nothing after the end")
	}
	b.progress.at = at
	if err := b.enc.Encode(l); err != nil {
		return errs.Wrap(errs.Unavailable, err, "write the backup")
	}
	return nil
}

// Doc writes the next document, by kind and name.
func (b *Writer) Doc(d store.Doc) error {
	if !b.progress.follows(d) {
		return fmt.Errorf("backup: %s/%s is out of order", d.Kind, d.Name)
	}
	b.progress.passedDoc(d)
	return b.write(inDocs, line{Doc: &docLine{Kind: d.Kind, Name: d.Name, Rev: d.Rev, Updated: d.Updated.UTC(), Body: string(d.Body)}})
}

// Event writes the next event. One that does not continue the chain is refused: the backup would not restore.
func (b *Writer) Event(e audit.Event) error {
	if err := b.progress.chain.Add(e); err != nil {
		return errs.Wrap(errs.Internal, err, "the record is damaged or was tampered with")
	}
	b.progress.passedEvent(e)
	return b.write(inEvents, line{Event: &eventLine{Seq: e.Seq, Time: e.Time.UTC(), Type: e.Type, Actor: e.Actor,
		Subject: e.Subject, Data: string(e.Data), Prev: e.Prev, Hash: e.Hash}})
}

// Close writes the end, for a store whose chain ends at (seq, head). It does not close the underlying writer.
func (b *Writer) Close(seq int64, head string) error {
	p := b.progress
	if err := p.chain.End(); err != nil {
		return errs.Wrap(errs.Internal, err, "the record is damaged or was tampered with")
	}
	if p.events != seq || p.head != head {
		return errs.E(errs.Internal, "the record is damaged: it ends at event %d, expected %d", p.events, seq)
	}
	end := trailerLine{Docs: p.docs, Events: p.events, Head: p.head, SHA256: hex.EncodeToString(b.sum.Sum(nil))}
	if err := b.write(atEnd, line{End: &end}); err != nil {
		return err
	}
	if err := b.out.Flush(); err != nil {
		return errs.Wrap(errs.Unavailable, err, "write the backup")
	}
	return nil
}
