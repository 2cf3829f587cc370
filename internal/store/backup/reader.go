package backup

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Record is one thing that a backup holds: exactly one field is set.
type Record struct {
	Doc   *store.Doc
	Event *audit.Event
}

// Reader reads a backup.
type Reader struct {
	lines    *bufio.Scanner
	n        int // lines read
	sum      hash.Hash
	progress progress
}

// NewReader reads the header and refuses a backup that is of another format, or of a schema after schema.
func NewReader(r io.Reader, schema int) (*Reader, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "not a backup: damaged gzip")
		}
		in = bufio.NewReader(z)
	}
	b := &Reader{lines: bufio.NewScanner(in), sum: sha256.New(), progress: progress{head: audit.Genesis}}
	b.lines.Buffer(nil, maxLine)
	b.lines.Split(wholeLines)
	text, err := b.line()
	if err != nil {
		return nil, err
	}
	var l struct { // only what every format must have: a later header may hold more
		Header *header `json:"ringfenceBackup"`
	}
	if err := json.Unmarshal(text, &l); err != nil || l.Header == nil {
		return nil, errs.E(errs.Invalid, "not a Ringfence backup: expected its header in line 1")
	}
	if h := *l.Header; h.Format != Format || h.Schema > schema {
		return nil, errs.E(errs.Invalid, "the backup has format %d and schema %d, expected format %d and schema up to %d", h.Format, h.Schema, Format, schema).
			Next("Restore it with the Ringfence release that wrote it or a later one.")
	}
	b.sum.Write(text)
	b.progress.at = inDocs
	return b, nil
}

// wholeLines splits after each newline and keeps it. A last line without one is refused as cut off.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// line returns the next line with its newline, valid until the next call.
func (b *Reader) line() ([]byte, error) {
	if b.lines.Scan() {
		b.n++
		return b.lines.Bytes(), nil
	}
	err := b.lines.Err()
	switch {
	case err == nil, errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errs.E(errs.Invalid, "the backup is cut off after line %d: expected its end", b.n)
	case errors.Is(err, bufio.ErrTooLong):
		return nil, errs.E(errs.Invalid, "line %d of the backup has more than %d bytes", b.n+1, maxLine)
	case errors.As(err, new(flate.CorruptInputError)) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader):
		return nil, errs.Wrap(errs.Invalid, err, "the backup is damaged after line %d", b.n)
	}
	return nil, errs.Wrap(errs.Unavailable, err, "read the backup after line %d", b.n)
}

// Next returns the next record, and io.EOF when the end has proved that all was there.
func (b *Reader) Next() (Record, error) {
	if b.progress.at == atEnd {
		return Record{}, io.EOF
	}
	text, err := b.line()
	if err != nil {
		return Record{}, err
	}
	var l line
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return Record{}, errs.Wrap(errs.Invalid, err, "line %d of the backup", b.n)
	}
	if l.End != nil {
		return Record{}, b.end(*l.End)
	}
	b.sum.Write(text)
	switch {
	case l.Doc != nil && l.Event == nil && b.progress.at == inDocs:
		return b.doc(*l.Doc)
	case l.Event != nil && l.Doc == nil:
		return b.event(*l.Event)
	}
	return Record{}, errs.E(errs.Invalid, "line %d of the backup: expected documents, then events, then the end", b.n)
}

func (b *Reader) doc(l docLine) (Record, error) {
	d := store.Doc{Kind: l.Kind, Name: l.Name, Rev: l.Rev, Updated: l.Updated.UTC(), Body: json.RawMessage(l.Body)}
	if err := store.CheckDoc(d); err != nil {
		return Record{}, errs.Wrap(errs.Invalid, err, "line %d of the backup", b.n)
	}
	if d.Rev < 1 || !b.progress.follows(d) {
		return Record{}, errs.E(errs.Invalid, "line %d of the backup: %s/%s has no revision or is out of order", b.n, d.Kind, d.Name)
	}
	b.progress.passedDoc(d)
	return Record{Doc: &d}, nil
}

func (b *Reader) event(l eventLine) (Record, error) {
	e := l.event()
	var err error
	if !e.Removed() {
		err = store.CheckEvent(e)
	}
	if err == nil {
		err = b.progress.chain.Add(e)
	}
	if err != nil {
		return Record{}, errs.Wrap(errs.Invalid, err, "line %d of the backup", b.n)
	}
	b.progress.at = inEvents
	b.progress.passedEvent(e)
	return Record{Event: &e}, nil
}

func (b *Reader) end(l trailerLine) error {
	p := b.progress
	want := trailerLine{Docs: p.docs, Events: p.events, Head: p.head, SHA256: hex.EncodeToString(b.sum.Sum(nil))}
	if l != want {
		return errs.E(errs.Invalid, "the backup was changed: its end does not match the %d documents and %d events before it", p.docs, p.events)
	}
	if err := p.chain.End(); err != nil {
		return errs.Wrap(errs.Invalid, err, "the backup's record")
	}
	if b.lines.Scan() {
		return errs.E(errs.Invalid, "the backup goes on after its end, in line %d", b.n+1)
	}
	if err := b.lines.Err(); err != nil {
		return errs.Wrap(errs.Invalid, err, "the backup is damaged after its end")
	}
	b.progress.at = atEnd
	return io.EOF
}

// Head returns what Close was given. It is meaningful after io.EOF.
func (b *Reader) Head() (seq int64, hash string) { return b.progress.events, b.progress.head }
