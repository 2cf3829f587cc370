package track

import (
	"encoding/binary"
	"math"

	"github.com/twmb/murmur3"

	"github.com/ringfence/ringfence/internal/errs"
)

// record is an event as the journal has it.
type record struct {
	kind               Kind
	environment        string
	at                 int64 // milliseconds since 1970
	key, name, context string
	variant, set       string
	value              float64
}

// mark is an id that was counted, with the print of the batch that it names.
type mark struct {
	hash  int64
	print int64
}

// hashOf names an id in 64 bits. With a hundred million ids in the window, one new event in 10^11 is taken for another.
func hashOf(environment, scope, id string) int64 {
	b := make([]byte, 0, len(environment)+len(scope)+len(id)+2)
	b = append(append(append(append(append(b, environment...), 0), scope...), 0), id...)
	return int64(murmur3.Sum64(b))
}

// The journal's rows: a version, then chunks. A chunk is an environment, marks and records, each preceded by its length or number.
const journalVersion = 1

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendChunk(b []byte, environment string, marks []mark, events []Event) []byte {
	b = appendText(b, environment)
	b = binary.AppendUvarint(b, uint64(len(marks)))
	for _, m := range marks {
		b = binary.LittleEndian.AppendUint64(b, uint64(m.hash))
		b = binary.LittleEndian.AppendUint64(b, uint64(m.print))
	}
	b = binary.AppendUvarint(b, uint64(len(events)))
	for i := range events {
		e := &events[i]
		b = append(b, byte(e.Kind))
		b = binary.AppendVarint(b, e.Time.UnixMilli())
		b = appendText(b, e.Key)
		b = appendText(b, e.Name)
		b = appendText(b, e.Context)
		if e.Kind == Exposure {
			b = appendText(b, e.Variant)
			b = appendText(b, e.Set)
			continue
		}
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(e.Value))
	}
	return b
}

// reader takes a row of the journal apart. After the first thing that is not as expected all is empty and bad is set.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) fail() { r.rest, r.bad = "", true }

func (r *reader) uvarint() uint64 {
	var v uint64
	for shift, i := 0, 0; i < len(r.rest) && i < binary.MaxVarintLen64; i, shift = i+1, shift+7 {
		c := r.rest[i]
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return v
		}
	}
	r.fail()
	return 0
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// take returns the next n bytes, which share memory with the row.
func (r *reader) take(n uint64) string {
	if n > uint64(len(r.rest)) {
		r.fail()
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) text() string { return r.take(r.uvarint()) }

func (r *reader) word() uint64 {
	s := r.take(8)
	if len(s) < 8 {
		return 0
	}
	var v uint64
	for i := range 8 {
		v |= uint64(s[i]) << (8 * i)
	}
	return v
}

// readJournal calls the functions for what a row of the journal holds.
func readJournal(row string, onMark func(mark), onRecord func(record)) error {
	r := &reader{rest: row}
	if v := r.take(1); v != string(rune(journalVersion)) {
		return errs.E(errs.Internal, "the journal of events has a row of an unknown version").Next("Start the newest version of Ringfence that wrote to this folder.")
	}
	for !r.bad && r.rest != "" {
		environment := r.text()
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			if m := (mark{hash: int64(r.word()), print: int64(r.word())}); !r.bad {
				onMark(m)
			}
		}
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			if rec := r.record(environment); !r.bad {
				onRecord(rec)
			}
		}
	}
	if r.bad {
		return errs.E(errs.Internal, "the journal of events is damaged")
	}
	return nil
}

func (r *reader) record(environment string) record {
	rec := record{environment: environment}
	if kind := r.take(1); kind != "" {
		rec.kind = Kind(kind[0])
	}
	rec.at, rec.key, rec.name, rec.context = r.varint(), r.text(), r.text(), r.text()
	switch rec.kind {
	case Exposure:
		rec.variant, rec.set = r.text(), r.text()
	case Metric:
		rec.value = math.Float64frombits(r.word())
	default:
		r.fail()
	}
	return rec
}
